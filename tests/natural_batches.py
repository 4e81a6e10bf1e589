"""Calls that share a batch in tests: the queues are held until all of them wait."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from unittest.mock import patch

import pytest

from innkeeper.store import batching
from innkeeper.store.batching import Alone, BatchQueue
from innkeeper.store.database import Database
from innkeeper.store.work import Work

Act = Callable[[Work], Awaitable[Any]]


@asynccontextmanager
async def on_demand(database: Database) -> AsyncIterator[Work]:
    """Work as a request has it."""
    work = database.work_on_demand("live", "system")
    try:
        yield work
    finally:
        await work.end()


async def run_alone(database: Database, act: Act) -> Any:
    """Run one call as a request does."""
    async with on_demand(database) as work:
        return await act(work)


def skip_if_forced() -> None:
    """Skip a test of what is different when every call runs as a batch."""
    if os.environ.get("INNKEEPER_FORCE_BATCHES"):
        pytest.skip("batches are forced")


async def run_batched(database: Database, *acts: Act) -> list[Any]:
    """Run calls of one kind in one batch; return their results, or the errors they raised.

    Call it after one of that kind ran, which makes the queue.
    """
    skip_if_forced()
    gate = asyncio.Event()
    batches: list[int] = []
    run_batch = BatchQueue._start

    def count(queue: BatchQueue[Any, Any]) -> None:
        batches.append(len(queue._pending))
        run_batch(queue)

    # However slow the machine is, what is held here is not taken for stalled.
    no_stalls = patch.object(batching, "STALLED_SECONDS", 3600.0)
    with no_stalls, patch.object(BatchQueue, "_start", count):
        holders = [queue.run(None, gate.wait) for queue in database.batches]
        task = asyncio.gather(*holders)
        await asyncio.sleep(0)
        calls = [asyncio.ensure_future(run_alone(database, act)) for act in acts]
        while sum(len(queue._pending) for queue in database.batches) < len(acts):
            await asyncio.sleep(0)
        gate.set()
        await task
        results = await asyncio.gather(*calls, return_exceptions=True)
    assert batches[0] == len(acts), "the calls did not share a batch"
    return results


def force_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run every call that can share a batch as a batch, if need be of one."""

    async def run(
        queue: BatchQueue[Any, Any],
        item: Any,
        alone: Callable[[], Awaitable[Any]],
        key: object = None,
        *,
        is_slow: bool = False,
    ) -> Any:
        try:
            outcome = Alone.ALONE if is_slow else (await queue._run_batch([item]))[0]
        except Exception:
            outcome = Alone.ALONE
        return await alone() if isinstance(outcome, Alone) else outcome

    in_batch = Work.in_batch

    async def in_batch_released(
        work: Work, kind: str, run_batch: Any, item: Any, run_alone: Any, *key: Any, **queue: Any
    ) -> Any:
        """Lend the connection to others during the batch, as a call that waits for one does."""

        async def leave() -> Alone:
            return Alone.ALONE

        if not work.may_batch:
            return await run_alone()
        async with work.released():
            outcome = await in_batch(work, kind, run_batch, item, leave, *key, **queue)
        return await run_alone() if outcome is Alone.ALONE else outcome

    monkeypatch.setattr(BatchQueue, "run", run)
    monkeypatch.setattr(Work, "in_batch", in_batch_released)
    may_batch = property(lambda work: not work.in_transaction and not work.session_held)
    monkeypatch.setattr(Work, "may_batch", may_batch)
