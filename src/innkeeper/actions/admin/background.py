"""Queue jobs in the caller's transaction, and helpers for repeated attempts."""

import logging
from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar

from innkeeper import clock
from innkeeper.errors import ApiError
from innkeeper.resources.base import Record
from innkeeper.store.work import Json, Work

log = logging.getLogger(__name__)

Item = TypeVar("Item")

DELIVERIES: Final = "deliveries"
"""A queue with separate slots: a destination that does not respond blocks no other jobs."""
ATTEMPTS: Final = 30
"""Attempts of a job whose dependency is unavailable: about two hours if each fails at once."""
FIRST_PAUSE: Final = timedelta(seconds=5)
LONGEST_PAUSE: Final = timedelta(minutes=5)
MESSAGE_LENGTH_MAX: Final = 500


async def try_each(
    items: Iterable[Item],
    act: Callable[[Item], Awaitable[object]],
    doing: str,
    *,
    ends: tuple[type[Exception], ...] = (),
) -> None:
    """Call `act` for every item, also after failures; `doing` describes the action in the log.

    Raises the first exception after all items were tried. An exception of the types `ends` is
    raised at once, since every other item would fail in the same way.
    """
    first: Exception | None = None
    for item in items:
        try:
            await act(item)
        except ends:
            raise
        except Exception as fault:
            log.error("%s failed for %s", doing, item, exc_info=fault)
            first = first or fault
    if first is not None:
        raise first


class RetryAt(Exception):
    """Raised by a job to run again at a time of its choice; the job counts its attempts itself."""

    def __init__(self, at: datetime) -> None:
        super().__init__(f"again at {at}")
        self.at = at


def next_attempt(attempts: int) -> datetime | None:
    """Return the time of the next attempt after `attempts` failures; None after the last."""
    if attempts >= ATTEMPTS:
        return None
    return clock.now() + pause(attempts)


def pause(
    attempts: int, first: timedelta = FIRST_PAUSE, longest: timedelta = LONGEST_PAUSE
) -> timedelta:
    """Return the pause after `attempts` failures: it doubles each time, up to `longest`."""
    return min(first * (1 << min(attempts - 1, 20)), longest)


async def put_off(work: Work, query: str, record: Record, fault: Exception) -> str:
    """Store an attempt that failed and raise `RetryAt`, or return the error after the last attempt.

    `query` stores attempts, error and next attempt of the `record`, which counts its `attempts`.
    """
    attempts, error = record["attempts"] + 1, operator_message(fault)
    at = next_attempt(attempts)
    await work.run(query, ref=record["ref"], attempts=attempts, error=error, at=at)
    if at is not None:
        raise RetryAt(at) from fault
    return error


def operator_message(fault: BaseException) -> str:
    """Return the message of an exception for operators: API errors with message and cause."""
    if isinstance(fault, ApiError):
        cause = fault.__cause__
        return f"{fault.message} ({operator_message(cause)})" if cause else fault.message
    return f"{type(fault).__name__}: {fault}"[:MESSAGE_LENGTH_MAX]


async def defer(
    work: Work,
    task: str,
    *,
    lock: str | None = None,
    at: datetime | None = None,
    queue: str = "default",
    **args: Any,
) -> int:
    """Queue the task of that name for this workspace; returns the id of the job.

    `lock`: jobs with the same lock run one at a time, in the order they were queued; one that is
    retried later blocks those behind it. `queue`: the queue whose slots it uses. The job starts
    after the transaction commits, and never if it rolls back.
    """
    row = await work.row(
        "jobs.defer",
        task=task,
        lock=lock,
        at=at,
        queue=queue,
        args=Json({"workspace": work.workspace, **args}),
    )
    return int(row["id"])


async def defer_once(
    work: Work, task: str, *, lock: str, queue: str = "default", **args: Any
) -> bool:
    """Queue a task unless a job with that lock is pending or running; returns whether it was
    queued."""
    payload = Json({"workspace": work.workspace, **args})
    row = await work.one("jobs.defer_once", task=task, lock=lock, queue=queue, args=payload)
    return row is not None


async def is_running(work: Work, lock: str) -> bool:
    """Return whether a job with that lock is running."""
    row = await work.one("jobs.is_running", lock=lock)
    return bool(row and row["is_running"])


async def count_jobs(work: Work) -> dict[str, int]:
    """Count the jobs that are `due` but not started, `running`, or `failed` (stored for days)."""
    row = await work.one("jobs.counts")
    return dict(row or {})


async def list_jobs(work: Work, status: str | None = None, limit: int = 100) -> list[Record]:
    """List the newest jobs: id, task, status, attempts, scheduled_at, workspace."""
    return await work.all("jobs.list", status=status, limit=limit)
