"""The log of who changed what: written in the transaction of the change, read by filters."""

from typing import Any

from innkeeper import clock
from innkeeper.actions.records.paging import Page
from innkeeper.resources.base import Record
from innkeeper.rules.keys import digest
from innkeeper.store.work import Json, Work


def subject_hash(subject: object) -> bytes:
    """What names a guest in the log: nothing that leads to the guest without knowing its ref."""
    return digest("audit", str(subject)).bytes


async def note(work: Work, action: str, subject: object = None, **details: Any) -> None:
    """That `work.actor` did `action`, e.g. `guest.edit`, to the guest or other `subject`."""
    await work.run(
        "audit.note",
        now=clock.now(),
        actor=work.actor,
        workspace=work.workspace or None,
        action=action,
        subject_hash=None if subject is None else subject_hash(subject),
        details=Json(details),
    )


async def list_(
    work: Work,
    *,
    workspace: str,
    actor: str | None = None,
    action: str | None = None,
    subject: str | None = None,
    limit: int = 50,
    offset: int = 0,
) -> Page:
    """A page of the log as a workspace sees it, newest first."""
    rows = await work.all(
        "audit.list",
        workspace=workspace,
        actor=actor,
        action=action,
        subject_hash=None if subject is None else subject_hash(subject),
        limit=limit,
        offset=offset,
    )
    return Page(rows, rows[0]["total"] if rows else 0)


async def words(work: Work, workspace: str) -> Record:
    """The `actors` and `actions` that the log knows."""
    row = await work.one("audit.words", workspace=workspace) or {}
    return {name: row.get(name) or [] for name in ("actors", "actions")}
