"""The audit log: rows are written in the transaction of the change and listed by filters."""

from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from innkeeper.actions.paging import Page, PageRequest, read_page
from innkeeper.resources.base import Record
from innkeeper.rules.audited import AuditedKind, differences
from innkeeper.rules.identity_keys import digest
from innkeeper.store.work import Json, Lend, Work

READ_AT_ONCE: Final = 100
"""Rows that a file of the log reads at a time: each may hold a whole definition."""


def subject_hash(subject: object) -> bytes:
    """Return the hash that identifies a guest in the log without disclosing its ref."""
    return digest("audit", str(subject)).bytes


@dataclass(frozen=True, slots=True)
class AuditSubject:
    """The subject of a row; that of a guest is cleared when the guest is erased."""

    kind: str
    name: str
    """The name to display: an e-mail address, a friendly id, the ref of a guest."""


GUEST: Final = "guest"
USER: Final = "user"


def changed(
    before: Mapping[str, Any], after: Mapping[str, Any], names: Iterable[str]
) -> dict[str, list[Any]]:
    """Return {field: [before, after]} of the fields that differ."""
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
    """Record that `work.actor` did `action`, e.g. `guest.edit`, to the guest or other `subject`.

    `about` is the name to display, `changes` are {field: [before, after]}. Both are personal data
    if the subject is a guest: pass its ref as `subject`, so that an erasure finds them. `workspace`
    is the workspace whose log lists the row, if `work` has none.
    """
    await work.run(
        "audit.note",
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
    """Record that `work.actor` changed configuration from `before` to `after`; None: no such state.

    Every action that changes configuration calls this in the transaction of the change, so that
    API, screens and CLI write the same row. `action` defaults to `kind.verb`.
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
    """Record another attempt of `action`, at most one row an hour for each account.

    Anybody can try to log in, so repeats only raise the count in the row. Without `user`, all
    unknown e-mail addresses share one row, and the address is not stored.
    """
    await work.run(
        "audit.count_repeat",
        since=since,
        actor=user["email"] if user else "somebody",
        action=action,
        subject_hash=subject_hash(user["ref"]) if user else None,
        subject_kind=USER if user else None,
        subject=user["email"] if user else None,
        address=address,
    )


async def erase(work: Work, guests: Iterable[UUID]) -> int:
    """Remove guests from the log: rows still state the action, but not the guest or the changes.

    Returns the number of rows.
    """
    return await work.run("audit.erase", subjects=[subject_hash(guest) for guest in guests])


async def erase_definitions(work: Work, guests: Iterable[UUID]) -> int:
    """Remove changes of segments, exports and traits from the log that contain an e-mail address or
    a phone number of guests; call it while the guests are stored. Returns the number of rows."""
    return await work.run("audit.erase_definitions", guests=list(guests), workspace=work.workspace)


async def of_guests(work: Work, guests: Iterable[UUID]) -> list[Record]:
    """List the rows of the log about guests."""
    return await work.all("audit.of_subjects", subjects=[subject_hash(ref) for ref in guests])


def plain(value: Any) -> Any:
    """Convert a value to one that JSON can represent."""
    if isinstance(value, Mapping):
        return {str(name): plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(each) for each in value]
    return value if value is None or isinstance(value, str | int | float | Decimal) else str(value)


@dataclass(frozen=True)
class AuditFilter:
    """Which rows of the log of a workspace are selected; `until` is excluded."""

    workspace: str
    actor: str | None = None
    action: str | None = None
    subject: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    @property
    def params(self) -> Record:
        """The parameters of the queries."""
        members = asdict(self)
        subject = members.pop("subject")
        return members | {"subject_hash": None if subject is None else subject_hash(subject)}


async def list_(work: Work, page_request: PageRequest, selected: AuditFilter) -> Page:
    """List a page of the log, newest first."""
    return await read_page(work, "audit.list", page_request, **selected.params)


async def read_all(
    lend: Lend, selected: AuditFilter, limit: int | None = None
) -> AsyncIterator[list[Record]]:
    """Yield the rows that are selected, newest first, some at a time; each read has a connection of
    its own, so that none is held meanwhile."""
    last: Record = {"at": None, "sequence": None}
    number = 0
    while limit is None or number < limit:
        most = READ_AT_ONCE if limit is None else min(READ_AT_ONCE, limit - number)
        params = {**selected.params, "at": last["at"], "sequence": last["sequence"]}
        async with lend() as work:
            rows = await work.all("audit.list_before", most=most, **params)
        if rows:
            yield rows
            last = rows[-1]
        if len(rows) < most:
            return
        number += most


async def list_filter_values(work: Work, workspace: str) -> Record:
    """List the `actors` and `actions` that occur in the log of a workspace."""
    row = await work.row("audit.words", workspace=workspace)
    return {name: row.get(name) or [] for name in ("actors", "actions")}
