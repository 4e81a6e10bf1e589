"""Queue unfinished work again whose job was lost.

Runs every minute, in each workspace. Each row that an `Unfinished` finds either has a pending or
running job, or gets one. Imports that cannot continue fail with a reason instead
(`command_imports.end_interrupted`).
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from innkeeper.actions.admin.background import DELIVERIES, defer, try_each
from innkeeper.actions.audiences import audience_exports, bulk_actions, export_runs, segments
from innkeeper.actions.bulk import batches, command_imports, file_exports, undo
from innkeeper.actions.identity import rule_settings
from innkeeper.jobs.registry import scheduled
from innkeeper.store.work import Row, Work

log = logging.getLogger("innkeeper.jobs")


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A kind of background work: its task, and the query for its unfinished rows."""

    task: str
    member: str
    """The task's argument that holds the row's ref; empty for a task without arguments."""
    query: str
    """Returns the unfinished rows, each with its `ref`."""
    lock: Callable[[Work, Row], str | None] = lambda work, row: None
    queue: str = "default"


UNFINISHED: Final = (
    Unfinished(batches.TASK, "batch", "batches.unfinished"),
    Unfinished(undo.TASK, "batch", "import_undo.pending"),
    Unfinished(file_exports.TASK, "export", "file_exports.unfinished"),
    Unfinished(
        audience_exports.RUN,
        "execution",
        "exports.unfinished",
        lambda work, row: audience_exports.lock_of_runs(work, row["export_ref"]),
    ),
    Unfinished(
        export_runs.DELIVER,
        "execution",
        "exports.undelivered",
        lambda work, row: export_runs.lock_of_deliveries(work, row["export_ref"]),
        DELIVERIES,
    ),
    Unfinished(segments.PUBLISH, "segment", "segments.publishing"),
    Unfinished(
        bulk_actions.RUN,
        "action",
        "bulk_actions.unfinished",
        lambda work, row: bulk_actions.lock_of(work, row["ref"]),
    ),
    Unfinished(
        rule_settings.TASK,
        "",
        "identity.next_job",
        lambda work, row: rule_settings.lock_of_jobs(work),
    ),
)


@scheduled("* * * * *", "jobs.requeue")
async def requeue(work: Work) -> None:
    """Queue unfinished work that has no job, and fail imports whose command was killed."""
    await try_each(UNFINISHED, partial(requeue_kind, work), "queueing lost jobs again")
    if interrupted := await command_imports.end_interrupted(work):
        log.warning("%d imports of %s were interrupted", interrupted, work.workspace)


async def requeue_kind(work: Work, kind: Unfinished) -> None:
    """Queue the unfinished rows of one kind that have no job.

    Rows are read before jobs. If a job ends in between, the job queued here has nothing to do;
    in the other order, unfinished work would be missed.
    """
    rows = await work.all(kind.query)
    if not rows:
        return
    jobs = await work.all(
        "jobs.pending", task=kind.task, member=kind.member, workspace=work.workspace
    )
    pending = {job["ref"] for job in jobs}
    for row in rows:
        ref = str(row["ref"])
        if ref in pending or (pending and not kind.member):
            continue
        log.warning("%s of %s had no job: queued again (%s)", kind.task, work.workspace, ref)
        args: dict[str, Any] = {kind.member: ref} if kind.member else {}
        await defer(work, kind.task, lock=kind.lock(work, row), queue=kind.queue, **args)
