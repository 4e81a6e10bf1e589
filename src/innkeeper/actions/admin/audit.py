"""The log of who changed what: written in the transaction of the change, read by filters."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from innkeeper import clock
from innkeeper.actions.paging import Page
from innkeeper.resources.base import Record
from innkeeper.rules.audited import AuditedKind, differences
from innkeeper.rules.identity_keys import digest
from innkeeper.store.work import Json, Work


def subject_hash(subject: object) -> bytes:
    """What names a guest in the log: nothing that leads to the guest without knowing its ref."""
    return digest("audit", str(subject)).bytes


@dataclass(frozen=True, slots=True)
class AuditSubject:
    """Whom or what a row is about; of a guest it goes with an erasure."""

    kind: str
    name: str
    """What a person knows it by: an e-mail address, a friendly id; the ref of a guest."""


GUEST: Final = "guest"
USER: Final = "user"


def changed(
    before: Mapping[str, Any], after: Mapping[str, Any], names: Iterable[str]
) -> dict[str, list[Any]]:
    """{field: [before, after]} of the fields that differ."""
    return {
        name: [before.get(name), after.get(name)]
        for name in names
        if before.get(name) != after.get(name)
    }


async def note(
    work: Work,
    action: str,
    subject: object = None,
    *,
    about: AuditSubject | None = None,
    changes: Mapping[str, Any] | None = None,
    workspace: str | None = None,
    **details: Any,
) -> None:
    """That `work.actor` did `action`, e.g. `guest.edit`, to the guest or other `subject`.

    `about` names it for people, `changes` are {field: [before, after]}. Of a guest both are
    personal data: give its ref as `subject`, so that an erasure finds them. `workspace` is whose
    log shows it, where `work` is of none.
    """
    await work.run(
        "audit.note",
        now=clock.now(),
        actor=work.actor,
        workspace=work.workspace or workspace,
        action=action,
        subject_hash=None if subject is None else subject_hash(subject),
        subject_kind=about and about.kind,
        subject=about and about.name,
        changes=None if not changes else Json(plain(changes)),
        details=Json(details),
    )


async def record(
    work: Work,
    kind: AuditedKind,
    verb: str,
    before: Mapping[str, Any] | None,
    after: Mapping[str, Any] | None,
    *,
    action: str = "",
    subject: object = None,
    workspace: str | None = None,
    **details: Any,
) -> None:
    """That `work.actor` changed configuration: from one state to another, None where there is none.

    Every action that changes configuration calls this in the transaction of the change, so that
    all who call the action leave the same row. `action` is `kind.verb` unless given.
    """
    state = after if after is not None else before or {}
    await note(
        *(work, action or f"{kind.name}.{verb}", subject),
        about=AuditSubject(kind.name, str(state[kind.key])),
        changes=differences(kind, before, after),
        workspace=workspace,
        **details,
    )


async def count_repeat(
    work: Work, action: str, user: Record | None, address: str, since: datetime
) -> None:
    """That somebody tried `action` once more: one row an hour for each account, since anybody may
    try; without `user` one for all addresses that nobody has, whatever was typed."""
    await work.run(
        "audit.note_again",
        now=clock.now(),
        since=since,
        actor=user["email"] if user else "somebody",
        action=action,
        subject_hash=subject_hash(user["ref"]) if user else None,
        subject_kind=USER if user else None,
        subject=user["email"] if user else None,
        address=address,
    )


async def erase(work: Work, guests: Iterable[UUID]) -> int:
    """Take guests out of the log: it goes on saying what was done, and no more to whom."""
    return await work.run("audit.erase", subjects=[subject_hash(guest) for guest in guests])


async def erase_definitions(work: Work, guests: Iterable[UUID]) -> int:
    """Take what was changed of segments, exports and traits out of the log, where it compares with
    an e-mail address or a phone number of guests who are still stored; how many rows."""
    return await work.run("audit.erase_definitions", guests=list(guests), workspace=work.workspace)


async def of_guests(work: Work, guests: Iterable[UUID]) -> list[Record]:
    """What the log holds of guests."""
    return await work.all("audit.of_subjects", subjects=[subject_hash(ref) for ref in guests])


def plain(value: Any) -> Any:
    """A value as JSON can hold it."""
    if isinstance(value, Mapping):
        return {str(name): plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(each) for each in value]
    return value if value is None or isinstance(value, str | int | float | Decimal) else str(value)


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


async def list_filter_values(work: Work, workspace: str) -> Record:
    """The `actors` and `actions` that the log knows."""
    row = await work.one("audit.words", workspace=workspace) or {}
    return {name: row.get(name) or [] for name in ("actors", "actions")}
