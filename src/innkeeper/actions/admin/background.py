"""Handing work to the background: queued in the caller's own transaction."""

from datetime import datetime
from typing import Any

from innkeeper.resources.base import Record
from innkeeper.store.work import Json, Work


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


async def list_jobs(work: Work, status: str | None = None, limit: int = 100) -> list[Record]:
    """The newest jobs: id, task, status, attempts, scheduled_at, workspace."""
    return await work.all("jobs.list", status=status, limit=limit)
