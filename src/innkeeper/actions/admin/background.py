"""Handing work to the background: queued in the caller's own transaction."""

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
"""The queue with slots of its own: a destination that does not answer takes none of other jobs."""
ATTEMPTS: Final = 30
"""Of what cannot go on because something is away: for two hours, where that is told at once."""
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
    """Do something with every item, whatever becomes of the others; `doing` is for the log.

    Raises the first fault once all were tried; one of the kinds `ends` at once, since all others
    would meet it too.
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
    """A job is to run again at a time that it chose itself; it counts its attempts."""

    def __init__(self, at: datetime) -> None:
        super().__init__(f"again at {at}")
        self.at = at


def next_attempt(attempts: int) -> datetime | None:
    """When what has failed so often is tried again; None: no more."""
    if attempts >= ATTEMPTS:
        return None
    return clock.now() + pause(attempts)


def pause(
    attempts: int, first: timedelta = FIRST_PAUSE, longest: timedelta = LONGEST_PAUSE
) -> timedelta:
    """How long to wait after so many failed attempts: twice as long each time."""
    return min(first * (1 << min(attempts - 1, 20)), longest)


async def put_off(work: Work, query: str, record: Record, fault: Exception) -> str:
    """Note by `query` why something that counts its `attempts` cannot go on now and raise `Later`;
    what was wrong, when it was tried often enough."""
    attempts, error = record["attempts"] + 1, operator_message(fault)
    at = next_attempt(attempts)
    await work.run(query, ref=record["ref"], attempts=attempts, error=error, at=at)
    if at is not None:
        raise RetryAt(at) from fault
    return error


def operator_message(fault: BaseException) -> str:
    """What an operator is told of a fault: ours in its words, with what was behind it."""
    if isinstance(fault, ApiError):
        why = fault.__cause__
        return f"{fault.message} ({operator_message(why)})" if why else fault.message
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
    """Queue the task of that name for this workspace; its id.

    `lock`: jobs with the same lock run one at a time, in the order they were queued; one that is
    tried again later holds up those behind it. `queue`: whose slots it takes. The job starts once
    the transaction has committed, and never if it has not.
    """
    row = await work.one(
        "jobs.defer",
        task=task,
        lock=lock,
        at=at,
        queue=queue,
        args=Json({"workspace": work.workspace, **args}),
    )
    assert row is not None  # noqa: S101 - the function answers with an id
    return int(row["id"])


async def defer_once(
    work: Work, task: str, *, lock: str, queue: str = "default", **args: Any
) -> bool:
    """The same unless a job with that lock waits or runs already; whether it was queued."""
    given = Json({"workspace": work.workspace, **args})
    row = await work.one("jobs.defer_once", task=task, lock=lock, queue=queue, args=given)
    return row is not None


async def count_jobs(work: Work) -> dict[str, int]:
    """How many jobs are `due` and not begun, `running`, or `failed` (kept for some days)."""
    row = await work.one("jobs.counts")
    return dict(row or {})


async def list_jobs(work: Work, status: str | None = None, limit: int = 100) -> list[Record]:
    """The newest jobs: id, task, status, attempts, scheduled_at, workspace."""
    return await work.all("jobs.list", status=status, limit=limit)
