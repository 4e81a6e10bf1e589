"""`/innkeeper/v1/dashboards`: the reports that a user of the screens pinned."""

from typing import Annotated, Final

import msgspec

from innkeeper.actions.audiences import dashboards
from innkeeper.actions.audiences.dashboards import LONGEST_TITLE, MOST_DAYS
from innkeeper.resources.base import Record
from innkeeper.resources.kinds import Text, Whole
from innkeeper.resources.payload_kinds import NotBlank
from innkeeper.resources.payloads import ABSENT, Absent, Payload
from innkeeper.rules.scopes import Scope
from innkeeper.store.work import Work
from innkeeper.wire.endpoint import EndpointFamily, EndpointRequest

DASHBOARDS: Final = EndpointFamily("Reports", "/innkeeper/v1/dashboards")
_READ: Final = frozenset({Scope.READ, Scope.ADMINISTRATION})
_WRITE: Final = frozenset({Scope.WRITE, Scope.ADMINISTRATION})


class PinnedReport(Payload, kw_only=True):
    """A report on a dashboard."""

    report: Annotated[str, NotBlank()]
    title: Annotated[str | None, Text(LONGEST_TITLE)] = None
    days: Annotated[
        int | None, Whole(1, MOST_DAYS), "Days up to today, in place of `from` and `to`."
    ] = None
    parameters: Annotated[dict[str, str] | Absent, "As in the query of the report."] = ABSENT


class Dashboard(Payload):
    """The pinned reports of a user, in order."""

    items: list[PinnedReport]


@DASHBOARDS.endpoint(
    "GET", "/{email}", "Fetch the dashboard of a user", response=Dashboard, scopes=_READ
)
async def fetch_dashboard(work: Work, request: EndpointRequest) -> Record:
    """Return the reports that a user pinned."""
    return {"items": await dashboards.list_reports(work, request.path["email"])}


@DASHBOARDS.endpoint(
    "PUT",
    "/{email}",
    "Replace the dashboard of a user",
    request=Dashboard,
    response=Dashboard,
    scopes=_WRITE,
)
async def replace_dashboard(work: Work, request: EndpointRequest) -> Record:
    """Replace the reports that a user pinned: add, reorder and remove them."""
    payload: Dashboard = request.payload
    items = [
        {**msgspec.structs.asdict(each), "parameters": each.parameters or {}}
        for each in payload.items
    ]
    return {"items": await dashboards.put_reports(work, request.path["email"], items)}
