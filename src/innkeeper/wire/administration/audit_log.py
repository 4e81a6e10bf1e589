"""`/innkeeper/v1/auditLog`: who changed what, newest first."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
from datetime import datetime
from typing import Annotated, Any, Final

from innkeeper.actions.admin import audit
from innkeeper.actions.paging import Page
from innkeeper.resources.base import Record
from innkeeper.resources.kinds import ListOf
from innkeeper.resources.payload_kinds import Described, MapOf
from innkeeper.resources.payloads import ABSENT, Absent, Payload
from innkeeper.rules.scopes import READ_PERSONAL, Scope
from innkeeper.store.work import Work
from innkeeper.wire.audiences.reports import as_csv
from innkeeper.wire.endpoint import EndpointFamily, EndpointRequest
from innkeeper.wire.payloads import FilterText, PageOf, Paging

AUDIT_LOG: Final = EndpointFamily("Audit log", "/innkeeper/v1/auditLog")
_LONGEST: Final = 300


Change = tuple[str, Any, Any]
"""Field, value before, value after."""


class ListAuditLogParameters(Paging):
    """Which rows of the log to list."""

    actor: Annotated[str | Absent, FilterText(_LONGEST), "Who changed something."] = ABSENT
    action: Annotated[str | Absent, FilterText(_LONGEST), "For example guest.edit."] = ABSENT
    subject: Annotated[str | Absent, FilterText(_LONGEST), "Ref of a guest."] = ABSENT
    since: Annotated[datetime | Absent, "Only rows of this time or later."] = ABSENT
    until: Annotated[datetime | Absent, "Only rows before this time."] = ABSENT


class AuditRow(Payload):
    """A row of the audit log."""

    at: datetime
    actor: str
    action: str
    subject_kind: str | Absent
    subject: Annotated[str, "An address, a friendly id, or the ref of a guest."] | Absent
    changes: Annotated[
        dict[str, Any],
        MapOf(ListOf(Described({}))),
        "Field -> [value before, value after]; of a secret only that it was set.",
    ]
    details: Annotated[dict[str, Any], MapOf(Described({}))]


@AUDIT_LOG.endpoint(
    "GET",
    "",
    "List the audit log",
    parameters=ListAuditLogParameters,
    response=PageOf[AuditRow],
    scopes=READ_PERSONAL | {Scope.ADMINISTRATION},
    is_large=True,
)
async def list_audit_log(work: Work, request: EndpointRequest) -> Page:
    """Return a page of the log that the filters select, newest first."""
    parameters: ListAuditLogParameters = request.parameters
    names = ("actor", "action", "subject", "since", "until")
    values = {name: getattr(parameters, name) for name in names}
    filters = {name: None if value is ABSENT else value for name, value in values.items()}
    selected = audit.AuditFilter(work.workspace, **filters)
    page = await audit.list_(work, parameters.page(), selected)
    for row in page.items:
        row["changes"] = row["changes"] or {}
    return page


def changes_of(row: Record) -> list[Change]:
    """Return the changes of a row."""
    return [(name, *values) for name, values in (row["changes"] or {}).items()]


async def read_csv(
    parts: AsyncIterator[list[Record]], changes: Callable[[Record], list[Change]] = changes_of
) -> AsyncGenerator[bytes, None]:
    """Yield rows of the log as CSV, a line for each change, each part encoded in a thread."""
    has_header = True
    async for rows in parts:
        yield await asyncio.to_thread(_as_csv, rows, changes, has_header)
        has_header = False
    if has_header:
        yield _as_csv((), changes, has_header)


def _as_csv(
    rows: Iterable[Record], changes: Callable[[Record], list[Change]], has_header: bool
) -> bytes:
    lines = []
    for row in rows:
        head = [row["at"], row["actor"], row["action"], row["subject"]]
        lines += [[*head, *change] for change in changes(row) or [("", "", "")]]
    columns = ["at", "actor", "action", "about", "field", "before", "after"]
    return as_csv({"columns": columns, "rows": lines}, has_header=has_header)
