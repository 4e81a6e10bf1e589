"""Spark answers what DuckDB answers: the same trees, over the same snapshot, on two workers."""

import gzip
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from demo_shop import load_demo
from engines import WORKERS, needs_spark, settings_for
from sqlglot import exp, parse_one

from innkeeper.actions.audiences import (
    audience_exports,
    export_runs,
    segment_questions,
    segment_runs,
    segments,
)
from innkeeper.actions.audiences import reports as asking
from innkeeper.actions.records import guests
from innkeeper.actions.records.extensions import OF_GUESTS
from innkeeper.errors import OperatorError, Unavailable
from innkeeper.lake import catalogue_sql, engines, reports
from innkeeper.lake.compaction import compact
from innkeeper.lake.export_files import write_file
from innkeeper.lake.flush import flush_all
from innkeeper.lake.session import LakeSession, Snapshot
from innkeeper.lake.snapshot import opened
from innkeeper.lake.tables import TABLES
from innkeeper.lake.trait_sql import trait_values
from innkeeper.resources.segments import ENTITIES
from innkeeper.rules.exports import read_shape
from innkeeper.rules.report_parameters import read_parameters
from innkeeper.rules.traits import Traits, read
from innkeeper.settings import SPARK
from innkeeper.store.database import Database
from innkeeper.store.work import Work

pytestmark = needs_spark


PATIENT = 600
"""Seconds: two workers share the machine with whatever else runs on it."""


def on_spark(snapshot: Snapshot, master: str = WORKERS) -> Snapshot:
    settings = replace(snapshot.settings, lake_engine=SPARK, lake_spark_master=master)
    return replace(snapshot, settings=settings)


@pytest.fixture
async def shop(database: Database) -> AsyncIterator[tuple[Snapshot, LakeSession, LakeSession]]:
    """A shop with a past: files, something old in them, a tail, merges; both engines on it."""
    await load_demo(database, 60)
    async with database.work("live") as work:
        await flush_all(work)
        existing = await some_guests(work)
        await guests.delete(work, existing[0])
        await guests.patch(work, existing[1], {"city": "Cork"})
        await flush_all(work)
        await guests.patch(work, existing[2], {"city": "Cork"})
        await guests.delete(work, existing[3])
        await work.connection.execute(
            "UPDATE ws_live.guests SET survivor_ref = %s WHERE ref = %s", [existing[1], existing[4]]
        )
        # Refunds that were booked as orders of their own (F4).
        await work.connection.execute(
            "UPDATE ws_live.orders SET body = body || '{\"price\": -5}' WHERE ref IN (SELECT ref "
            "FROM ws_live.orders WHERE body ->> 'status' = 'REFUNDED' ORDER BY ref LIMIT 3)"
        )
        for value in ("5", 5, 5.5, True, None):
            ref = (await guests.create(work, {"guest_type": "visitor"}))["ref"]
            changes = {"name": "odd name", "pairs": {"tier": value}, "single": False}
            await OF_GUESTS.create(work, guest=ref, changes=changes)
        async with opened(work) as lake:
            spark = engines.session(on_spark(lake.snapshot))
            assert lake.snapshot.merged
            assert lake.snapshot.old["guest"]
            assert lake.snapshot.tail.paths
            yield lake.snapshot, lake.session, spark
            spark.close()


async def some_guests(work: Work) -> list[Any]:
    cursor = await work.connection.execute(
        "SELECT o.guest_ref AS ref FROM ws_live.order_contacts AS o GROUP BY 1 ORDER BY 1 LIMIT 5"
    )
    return [row["ref"] for row in await cursor.fetchall()]


def same(
    duck: LakeSession, spark: LakeSession, question: exp.Query, *, ordered: bool = False
) -> list[Any]:
    """The answer of both; raises where they differ."""
    rows, row = duck.rows(question, PATIENT), spark.rows(question, PATIENT)
    if ordered:
        assert row == rows, question.sql(dialect="duckdb")
    else:
        assert sorted(map(repr, row)) == sorted(map(repr, rows)), question.sql("duckdb")
    return rows


async def test_spark_finds_what_duckdb_finds(
    shop: tuple[Snapshot, LakeSession, LakeSession],
) -> None:
    """Tables with every column and type, the builder's fields and values, reports, traits."""
    _, duck, spark = shop
    for table in TABLES:
        rows = same(duck, spark, exp.select("*").from_(table.name))
        # The demo has no static lists.
        assert rows or table.name == "static_list_members", table.name
    for entity in ENTITIES.values():
        same(duck, spark, catalogue_sql.subtypes(entity))
        same(duck, spark, catalogue_sql.free_fields(entity))
    for entity, place, name in (
        ("guest", "core", "city"),
        ("guest", "core", "emails"),
        ("guest", "odd name", "tier"),
        ("event", "custom", "sc_search_term"),
    ):
        requests = catalogue_sql.values(ENTITIES[entity], None, place, name, name)
        assert requests is not None
        same(duck, spark, catalogue_sql.ranked(requests, "", 50))
        same(duck, spark, catalogue_sql.ranked(requests, "O", 50))
    same(duck, spark, catalogue_sql.member_kinds([("custom", "sc_search_term"), ("ext", "a")]))
    same(duck, spark, catalogue_sql.currencies())
    parameters = read_parameters(
        {"timeZone": "Europe/Dublin", "interval": "week", "currency": "GBP"}
    )
    params = asking._parse("revenue", parameters, asking.MOST_PERIODS)
    for report in reports.REPORTS.values():
        same(duck, spark, reports.question(report, params, most=1000), ordered=True)
    for within in (None, timedelta(days=7)):
        funnel = reports.funnel(["VIEW", "ADD", "CONFIRM"], params, within, "core_city")
        assert same(duck, spark, funnel)
    for name in [*Traits(), "lifetimeValue.GBP", "averageOrderValue.GBP", "rfmValue.GBP"]:
        assert same(duck, spark, trait_values(Traits().trait(name))), name
    # F4: of prices as they count, whatever the function.
    body = {"entity": "order", "field": "price", "currency": "GBP"}
    for function in ("sum", "average", "least", "greatest", "latest", "most_common"):
        assert same(duck, spark, trait_values(read("own", {**body, "function": function})))


@pytest.mark.parametrize(
    "body",
    [
        {"format": "CSV", "columns": ["ref", "email", "lastSeen", "trait.lastOrderAt"]},
        {
            "format": "NDJSON",
            "columns": ["ref", "dateOfBirth", "odd name.tier", "trait.orderCount"],
        },
        {"format": "JSON", "columns": ["ref", "city", "identifiers"]},
        {"format": "NDJSON", "columns": ["ref", "orders", "events"]},
        {"format": "NDJSON", "template": {"id": "{{ref}}", "n": "{{trait.orderCount}}"}},
    ],
)
async def test_files_of_exports_are_the_same(
    shop: tuple[Snapshot, LakeSession, LakeSession], tmp_path: Path, body: dict[str, Any]
) -> None:
    snapshot, duck, spark = shop
    shape = read_shape(body, Traits())
    refs = [str(ref) for (ref,) in duck.rows(exp.select("guest_ref").from_("guests"), PATIENT)]

    def lines(session: LakeSession) -> list[Any]:
        path = tmp_path / "file"
        assert write_file(session, snapshot, shape, Traits(), refs, path) == len(refs)
        text = gzip.decompress(path.read_bytes()).decode().splitlines()
        if shape.format == "CSV":
            return text
        rows = [json.loads(line) for line in text]
        rows = [json.loads(row["data"]) if shape.format == "JSON" else row for row in rows]
        # Neither engine promises an order inside a list.
        return [
            {
                key: sorted(map(repr, value)) if isinstance(value, list) else value
                for key, value in row.items()
            }
            for row in rows
        ]

    assert lines(spark) == lines(duck)


async def test_a_session_leaves_nothing_behind(
    shop: tuple[Snapshot, LakeSession, LakeSession], database: Database
) -> None:
    snapshot, _, spark = shop
    refs = [UUID(int=number) for number in (1, 2)]
    spark.table("requested_guests", "guest_ref", [*map(str, refs)])
    assert spark.rows(exp.select("guest_ref").from_("requested_guests"), PATIENT) == [
        (refs[0],),
        (refs[1],),
    ]
    assert list(snapshot.location.listed("live/scratch"))
    spark.close()
    assert not list(snapshot.location.listed("live/scratch"))
    async with database.work("live") as work:
        await compact(work, everything=True, grace=timedelta(0))


async def test_a_question_that_takes_too_long_is_cut_off(
    shop: tuple[Snapshot, LakeSession, LakeSession],
) -> None:
    _, _, spark = shop
    slow = parse_one(
        "SELECT count(*) FROM events a, events b, events c, events d, events e "
        "WHERE a.meta_ref || b.meta_ref || c.meta_ref || d.meta_ref || e.meta_ref = 'x'",
        dialect="duckdb",
    )
    assert isinstance(slow, exp.Query)
    with pytest.raises(Unavailable, match="longer than"):
        spark.rows(slow, 3)


async def test_segments_of_the_product_are_calculated_by_spark(dsn: str, tmp_path: Path) -> None:
    """`lake_engine = spark` and nothing else: preview, runs, Live membership, traits, exports,
    segments in SQL; the numbers by hand."""
    settings = replace(settings_for(SPARK, dsn, tmp_path), lake_query_seconds=PATIENT)
    async with Database(dsn, settings=settings) as database, database.work("live") as work:
        for city in ("Cork", "Cork", "Sligo"):
            await guests.create(work, {"guest_type": "customer", "city": city})
        await flush_all(work)
        rules = [
            {"field": "city", "comparator": "is equal to", "values": ["Cork"]},
            {
                "location": "trait",
                "field": "orderCount",
                "comparator": "is equal to",
                "values": [0],
            },
        ]
        definition = {"filterGroups": [{"entity": "guest", "rules": rules}]}
        preview = await segment_questions.preview(work, definition)
        assert (preview["size"], preview["total"], len(preview["sample"])) == (2, 3, 2)
        segment = await segments.create(work, {"name": "Cork", "definition": definition})
        await segments.start(work, segment["ref"])
        await segment_runs.publish(work, segment["ref"])
        existing = await guests.create(work, {"guest_type": "customer", "city": "Cork"})
        await segment_runs.refresh(work)
        assert (await segments.fetch(work, segment["ref"]))["size"] == 3
        assert [each["ref"] for each in await segments.of_guest(work, existing["ref"])] == [
            segment["ref"]
        ]
        runs = await segment_runs.runs(work, segment["ref"])
        expected = [(run["kind"], run["engine"], run["state"], run["rows"]) for run in runs]
        assert expected == [("LIVE", "spark", "SUCCESS", 3), ("PUBLISH", "spark", "SUCCESS", 2)]
        typed = {"sql": "SELECT guest_ref FROM guests WHERE core_city = 'Cork'"}
        assert (await segment_questions.preview(work, typed))["size"] == 3
        body = {"name": "Cork", "segment": "cork", "columns": ["ref", "city", "trait.orderCount"]}
        export = await audience_exports.create(work, body)
        execution = await audience_exports.start(work, export["ref"])
        ended = await export_runs.run(work, execution["ref"])
        assert ended is not None
        assert (ended["status"], ended["total"]) == ("SUCCESS", 3)


async def test_an_engine_that_is_not_installed_says_so(
    work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyspark.sql", None)
    async with opened(work) as lake:
        with pytest.raises(OperatorError, match=r"innkeeper\[spark\]"):
            engines.session(on_spark(lake.snapshot))
