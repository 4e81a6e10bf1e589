"""Months of events: one that has no partition gets it, whatever became of the one before."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from innkeeper.actions.admin import workspaces
from innkeeper.actions.events import browsers, ingest
from innkeeper.rules.stream import IncomingEvent
from innkeeper.store.database import Database
from innkeeper.store.work import Work


async def record(work: Work, at: datetime) -> None:
    """A page view of a new browser, long ago, as a file of history has it."""
    browser, _ = await browsers.create(work)
    outcome = await ingest.record(
        work, IncomingEvent({"browser_id": str(browser), "type": "VIEW"}, at)
    )
    assert outcome is not None
    assert outcome.attached


async def test_a_month_made_in_a_transaction_that_was_undone_is_made_again(work: Work) -> None:
    at = datetime(2017, 3, 5, tzinfo=UTC)
    ref = uuid4()
    with pytest.raises(ZeroDivisionError):
        async with work.transaction():
            await record(work, at)
            _ = 1 // 0
    await record(work, at)
    browser, _ = await browsers.create(work)
    message = {"browser_id": str(browser), "type": "VIEW"}
    async with work.transaction():
        await ingest.record(work, IncomingEvent(message, at + timedelta(days=1)), ref)
    assert await work.one("events.fetch", at=at + timedelta(days=1), ref=ref)


async def test_a_month_of_a_sandbox_that_was_reset_is_made_again(database: Database) -> None:
    """Issue: the same API in the sandbox, which can be emptied while a server runs."""
    at = datetime(2016, 3, 5, tzinfo=UTC)
    for _ in range(2):
        async with database.work("live_sandbox") as work:
            await record(work, at)
        async with database.control() as control:
            await workspaces.reset(control, "live_sandbox")


async def test_events_are_read_by_guest_and_time_from_an_index_of_their_month(work: Work) -> None:
    """Issue: stored for volume, partitioned by time; 24,000 events, 600 guests, 3 months."""
    for month in (1, 2, 3):
        at = datetime(2015, month, 1, tzinfo=UTC)
        await work.run("events.add_partition", instant=at)
        await work.connection.execute(
            "INSERT INTO ws_live.events (ref, at, session_ref, guest_ref, browser_ref, number,"
            " type, channel, point_of_sale, timeout_seconds, ends_session, body, received_at)"
            " SELECT gen_random_uuid(), %(at)s + number * interval '3 minutes',"
            " gen_random_uuid(), md5((number %% 600)::text)::uuid, gen_random_uuid(), 1, 'VIEW',"
            " 'WEB', 'default', 1200, false, '{}', %(at)s FROM generate_series(1, 8000) AS number",
            {"at": at},
        )
    await work.connection.execute("ANALYZE ws_live.events")
    cursor = await work.connection.execute(
        "EXPLAIN (FORMAT JSON) SELECT body FROM ws_live.events WHERE guest_ref = md5('7')::uuid"
        " AND at >= '2015-02-02' AND at < '2015-02-05' ORDER BY at"
    )
    ((plan,),) = [tuple(row.values()) for row in await cursor.fetchall()]
    scans = [node for node in _nodes(json.loads(plan)[0]["Plan"]) if "Relation Name" in node]
    assert {node["Relation Name"] for node in scans} == {"events_2015_02"}
    assert {node["Node Type"] for node in scans} <= {"Index Scan", "Bitmap Heap Scan"}


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A plan and all below it."""
    yield plan
    for below in plan.get("Plans", ()):
        yield from _nodes(below)
