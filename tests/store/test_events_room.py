"""Months of events: one that has no partition gets it, whatever became of the one before."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from innkeeper.actions.admin import workspaces
from innkeeper.actions.stream import browsers, ingest
from innkeeper.rules.stream import Sent
from innkeeper.store.database import Database
from innkeeper.store.work import Work

pytestmark = pytest.mark.anyio


async def record(work: Work, at: datetime) -> None:
    """A page view of a new browser, long ago, as a file of history has it."""
    browser, _ = await browsers.create(work)
    taken = await ingest.record(work, Sent({"browser_id": str(browser), "type": "VIEW"}, at))
    assert taken is not None
    assert taken.attached


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
        await ingest.record(work, Sent(message, at + timedelta(days=1)), ref)
    assert await work.one("events.fetch", at=at + timedelta(days=1), ref=ref)


async def test_a_month_of_a_sandbox_that_was_reset_is_made_again(database: Database) -> None:
    """Issue: the same API in the sandbox, which can be emptied while a server runs."""
    at = datetime(2016, 3, 5, tzinfo=UTC)
    for _ in range(2):
        async with database.work("live_sandbox") as work:
            await record(work, at)
        async with database.control() as control:
            await workspaces.reset(control, "live_sandbox")
