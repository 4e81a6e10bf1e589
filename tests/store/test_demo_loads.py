"""Demo data is loaded into an empty sandbox by a job whose progress is listed."""

import asyncio
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from demo_shop import load_demo

from innkeeper.actions.admin import long_jobs
from innkeeper.actions.audiences import consent, guest_views, sql_queries, subscriptions, webhooks
from innkeeper.actions.bulk import import_sources
from innkeeper.actions.console import demo_loads
from innkeeper.errors import Conflict
from innkeeper.resources.exports import EMAIL
from innkeeper.store.database import Database

SANDBOX = "live_sandbox"
LOST = uuid4()


async def newest(database: Database) -> dict[str, Any]:
    async with database.work(SANDBOX) as work:
        rows = await long_jobs.list_newest(work, 5)
    return next(row for row in rows if row["kind"] == "demo")


async def test_a_load_runs_once_in_an_empty_sandbox(database: Database) -> None:
    async with database.work("live") as work:
        with pytest.raises(Conflict, match="only into a sandbox"):
            await demo_loads.start(work)
    async with database.work(SANDBOX) as work:
        load = await demo_loads.start(work, 12)
        with pytest.raises(Conflict, match="already"):
            await demo_loads.start(work)
    row = await newest(database)
    assert (row["state"], row["done"], row["total"], row["unfinished"]) == ("waiting", 0, 12, 1)
    await demo_loads.run(database, SANDBOX, load["ref"])
    row = await newest(database)
    assert (row["state"], row["done"], row["finished_at"] is None) == ("done", 12, False)
    async with database.work(SANDBOX) as work:
        with pytest.raises(Conflict, match="has guests"):
            await demo_loads.start(work)
        assert (await work.one("guests.count_all"))["total"] >= 12  # type: ignore[index]
        (declared,) = await consent.list_fields(work)
        assert (declared.channel, declared.field) == (EMAIL, "ext.newsletterWeekly")
        listed = (guest_views.list_visible, sql_queries.list_saved, import_sources.list_all)
        counts = [len(await each(work)) for each in (*listed, subscriptions.list_all)]
        assert counts == [2, 2, 1, 1]
        messages = await webhooks.list_all(work)
        assert [each["failed_at"] is None for each in messages] == [True, False, True]
        # A worker that was killed runs its job again.
        now = row["started_at"]
        await work.run("long_jobs.start_demo", ref=LOST, total=3, actor="test", now=now)
        await work.run("long_jobs.begin_demo", ref=LOST)
    await demo_loads.run(database, SANDBOX, LOST)
    async with database.work(SANDBOX) as work:
        states = {each["state"] for each in await long_jobs.list_newest(work, 50)}
    assert "failed" in states


async def test_guests_are_created_with_their_first_order(database: Database, dsn: str) -> None:
    await load_demo(database, 12)
    with psycopg.connect(dsn) as connection:
        rows = connection.execute(
            "SELECT g.created_at < o.created_at + interval '1 second' "
            "FROM ws_live.order_contacts AS c"
            " JOIN ws_live.orders AS o ON o.ref = c.order_ref"
            " JOIN ws_live.guests AS g ON g.ref = c.guest_ref"
        ).fetchall()
    assert len(rows) > 3
    assert all(is_early for (is_early,) in rows)


async def test_a_load_that_is_cancelled_with_its_worker_has_failed(database: Database) -> None:
    async with database.work(SANDBOX) as work:
        load = await demo_loads.start(work, 500)
    running = asyncio.create_task(demo_loads.run(database, SANDBOX, load["ref"]))
    while not (await newest(database))["done"] and not running.done():
        await asyncio.sleep(0.01)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert (await newest(database))["state"] == "failed"
