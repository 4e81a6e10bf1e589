"""F20: what others use is not deleted without a word, and nothing is left that leads nowhere."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
from calling import Api
from sites import Site
from test_exports_api import OWN as EXPORTS
from test_exports_api import contents, exported, run
from test_segments_api import OWN as SEGMENTS
from test_segments_api import create_segment, guests_where, jobs, rule
from waiting import PATIENCE_SECONDS, until, until_blocked

from innkeeper.actions.audiences import audience_exports, export_runs
from innkeeper.lake.locks import EXPORTS as EXPORTS_LOCK
from innkeeper.lake.locks import alone
from innkeeper.store.work import Work

__all__ = ["jobs"]
TRAITS = "/innkeeper/v1/traits"
TRAIT = {"entity": "order", "function": "greatest", "field": "price", "currency": "EUR"}
EVERYBODY = guests_where(rule("ref", "is not null"))
NO_SOURCE = "The segment of this export was deleted. Choose another one first."


def refused(answer: Any) -> list[str]:
    assert answer.status_code == 409, answer.text
    assert answer.json()["developerMessage"].startswith("Change or delete what uses it first")
    return answer.json()["errors"]


def orphan(connection: psycopg.Connection, segment: dict[str, Any]) -> None:
    """Delete a segment as a person does who was asked on the screens."""
    connection.execute("DELETE FROM ws_live.segments WHERE ref = %s", [segment["ref"]])


def test_f20_a_segment_with_exports_and_a_webhook_is_409_with_each(api: Api) -> None:
    segment = create_segment(api, EVERYBODY, webhook="https://example.com/hook")
    path = f"{SEGMENTS}/{segment['ref']}"
    exported(api, segment, friendlyId="letters", name="Letters")
    exported(api, segment, friendlyId="calls", name="Calls")
    assert refused(api.delete(path)) == [
        "Audience export calls reads it.",
        "Audience export letters reads it.",
        "Webhook https://example.com/hook receives the guests who enter and leave it.",
    ]
    assert api.get(path).status_code == 200
    for name in ("letters", "calls"):
        assert api.delete(f"{EXPORTS}/{name}").status_code == 204
    assert len(refused(api.delete(path))) == 1
    assert api.patch(path, json={"webhook": None}).status_code == 200
    assert api.delete(path).status_code == 204


def test_f20_an_export_that_reads_another_segment_by_a_filter_does_not_use_it(api: Api) -> None:
    """A filter is a copy of a definition, so nothing of it is lost."""
    segment, other = create_segment(api, EVERYBODY), create_segment(api, EVERYBODY, name="Other")
    exported(api, other, filter=EVERYBODY)
    assert api.delete(f"{SEGMENTS}/{segment['ref']}").status_code == 204


def test_f20_many_uses_are_counted_after_twenty(api: Api) -> None:
    segment = create_segment(api, EVERYBODY)
    for number in range(23):
        exported(api, segment, friendlyId=f"e{number:02}")
    response = refused(api.delete(f"{SEGMENTS}/{segment['ref']}"))
    assert len(response) == 21
    assert response[-1] == "3 more use it."


def test_f20_a_trait_names_all_of_its_users(api: Api) -> None:
    assert api.put(f"{TRAITS}/dearest", json=TRAIT).status_code == 200
    large = guests_where(rule("dearest", "is greater than", 5, location="trait"))
    create_segment(api, large, friendlyId="large")
    create_segment(api, large, friendlyId="larger")
    every = create_segment(api, EVERYBODY, friendlyId="every")
    exported(api, every, friendlyId="priced", columns=["ref", "trait.dearest"])
    assert sorted(refused(api.delete(f"{TRAITS}/dearest"))) == [
        "Audience export priced uses trait dearest.",
        "Segment large uses trait dearest.",
        "Segment larger uses trait dearest.",
    ]
    assert api.delete(f"{TRAITS}/nothing").status_code == 404


@contextmanager
def half_done(site: Site, statement: str, *values: Any) -> Iterator[psycopg.Connection]:
    """A statement of somebody else that has not been committed yet."""
    with psycopg.connect(site.dsn) as other:
        other.execute(statement, values)
        yield other


def test_f20_an_export_that_is_being_made_is_waited_for(api: Api, site: Site) -> None:
    """Of a delete and a create at the same time the second one sees the first."""
    segment = create_segment(api, EVERYBODY)
    export = exported(api, segment, friendlyId="late")
    assert api.delete(f"{EXPORTS}/{export['ref']}").status_code == 204
    copy = (
        "INSERT INTO ws_live.exports (ref, friendly_id, name, segment_ref, definition_type, shape,"
        " modified_by, created_at, modified_at)"
        " VALUES (gen_random_uuid(), 'late', 'Late', %s, 'FULL_SYNC', '{}', 'x', now(), now())"
    )
    with (
        half_done(site, copy, segment["ref"]) as other,
        api.another() as second,
        ThreadPoolExecutor(1) as pool,
    ):
        answer = pool.submit(second.delete, f"{SEGMENTS}/{segment['ref']}")
        until_blocked(site.dsn)
        other.commit()
        assert refused(answer.result()) == ["Audience export late reads it."]


@pytest.mark.parametrize("what", ["segment", "export"])
def test_f20_a_definition_made_while_its_trait_is_deleted_is_400(
    api: Api, site: Site, what: str
) -> None:
    api.put(f"{TRAITS}/dearest", json=TRAIT)
    large = guests_where(rule("dearest", "is greater than", 5, location="trait"))
    every = create_segment(api, EVERYBODY, friendlyId="every")
    calls = {
        "segment": (SEGMENTS, {"name": "Large", "definition": large}),
        "export": (EXPORTS, {"name": "Out", "segment": every["ref"], "columns": ["trait.dearest"]}),
    }
    path, body = calls[what]
    query = "DELETE FROM ws_live.traits WHERE name = %s"
    with (
        half_done(site, query, "dearest") as other,
        api.another() as second,
        ThreadPoolExecutor(1) as pool,
    ):
        answer = pool.submit(second.post, path, json=body)
        until_blocked(site.dsn)
        other.commit()
        assert answer.result().status_code == 400
        assert "dearest" in answer.result().text


def test_f20_an_export_without_source_is_read_downloaded_changed_and_deleted(
    api: Api, jobs: Any, connection: psycopg.Connection
) -> None:
    guest = api.guest()
    segment = create_segment(api, EVERYBODY)
    export = exported(api, segment, friendlyId="left", schedule="DAILY")
    execution = run(api, jobs, export)
    path = f"{EXPORTS}/{export['ref']}"
    orphan(connection, segment)
    assert "segment" not in api.get(path).json()
    assert [item["friendlyId"] for item in api.get(EXPORTS).json()["items"]] == ["left"]
    ((_, content),) = contents(api, execution)
    assert content
    response = api.post(f"{path}/run")
    assert (response.status_code, response.json()["message"]) == (409, NO_SOURCE)
    # It keeps its schedule, and has no next run.
    renamed = api.patch(path, json={"name": "Left alone"})
    assert renamed.status_code == 200, renamed.text
    assert (renamed.json()["name"], renamed.json()["schedule"]) == ("Left alone", "DAILY")
    assert "nextAt" not in renamed.json()
    other = create_segment(api, EVERYBODY, name="Other")
    pointed = api.patch(path, json={"segment": other["friendlyId"]}).json()
    assert (pointed["segment"], pointed["nextAt"][-14:]) == (other["ref"], "T00:30:00.000Z")
    assert run(api, jobs, export)["successes"] == 1
    assert guest["ref"]
    assert api.patch(path, json={"segment": None}).status_code == 400
    orphan(connection, other)
    assert api.delete(path).status_code == 204


def test_f20_an_execution_without_its_source_ends_with_a_reason(
    api: Api, jobs: Any, connection: psycopg.Connection
) -> None:
    """Also where somebody is told of its end."""
    api.guest()
    segment = create_segment(api, EVERYBODY)
    export = exported(api, segment, webhook="https://example.com/hook")
    execution = api.post(f"{EXPORTS}/{export['ref']}/run").json()["executionRef"]
    orphan(connection, segment)
    jobs(lambda work: export_runs.run(work, UUID(execution)))
    (item,) = api.get(f"{EXPORTS}/{export['ref']}/executions").json()["items"]
    assert (item["status"], item["errorLogs"]) == ("FAILED", [NO_SOURCE])


def test_f20_an_export_that_cannot_start_holds_up_no_other(
    api: Api, jobs: Any, connection: psycopg.Connection
) -> None:
    segment, other = create_segment(api, EVERYBODY), create_segment(api, EVERYBODY, name="Other")
    for name in ("first", "second", "third"):
        source = segment if name == "second" else other
        exported(api, source, friendlyId=name, schedule="DAILY")
    # As it was left by a version that deleted segments without a look.
    orphan(connection, segment)
    connection.execute("UPDATE ws_live.exports SET next_at = now() - interval '1 minute'")
    assert jobs(audience_exports.start_due) == 2
    assert jobs(audience_exports.start_due) == 0
    rows = connection.execute(
        "SELECT friendly_id, next_at IS NULL FROM ws_live.exports ORDER BY friendly_id"
    ).fetchall()
    assert rows == [("first", False), ("second", True), ("third", False)]


def test_f20_an_export_that_is_deleted_while_it_runs_leaves_no_files(
    api: Api, jobs: Any, site: Site, connection: psycopg.Connection
) -> None:
    api.guest()
    export = exported(api, create_segment(api, EVERYBODY))
    execution = api.post(f"{EXPORTS}/{export['ref']}/run").json()["executionRef"]
    started, free = threading.Event(), threading.Event()

    def hold() -> None:
        async def act(work: Work) -> None:
            async with alone(work, EXPORTS_LOCK):
                started.set()
                free.wait(PATIENCE_SECONDS)

        jobs(act)

    def work_it() -> Any:
        return jobs(lambda work: export_runs.run(work, UUID(execution)))

    with ThreadPoolExecutor(2) as pool:
        holding = pool.submit(hold)
        assert started.wait(PATIENCE_SECONDS)
        running = pool.submit(work_it)
        query = "SELECT status FROM ws_live.export_executions"
        until(
            "the execution to start",
            lambda: connection.execute(query).fetchone() == ("PENDING_EMR_JOB",),
        )
        assert api.delete(f"{EXPORTS}/{export['ref']}").status_code == 204
        free.set()
        holding.result(PATIENCE_SECONDS)
        assert running.result(PATIENCE_SECONDS) is None
    folder = Path(site.settings.data) / "files" / "live" / "exports" / execution
    assert not [each for each in folder.rglob("*") if each.is_file()]


def test_f20_a_point_of_sale_that_is_used_is_deleted_over_the_vendors_path(api: Api) -> None:
    """The contract has 200 with a body (segmentation-and-export.md 7)."""
    path = "/v2/tenants/points-of-sale"
    assert api.post(path, json={"name": "used.example"}).status_code == 201
    sold = {"entity": "order", "rules": [rule("pointOfSale", "is equal to", "used.example")]}
    create_segment(api, {"filterGroups": [sold]})
    assert api.delete(f"{path}/used.example").status_code == 200
