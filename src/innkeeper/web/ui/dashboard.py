"""The dashboard: reports that the user pinned, each loaded when it comes into view."""

from typing import Final

from starlette.responses import Response

from innkeeper.actions.audiences import dashboards, reports
from innkeeper.errors import BadRequest
from innkeeper.resources.naming import camel
from innkeeper.resources.payloads import members_of
from innkeeper.resources.values import whole_in
from innkeeper.rules.report_parameters import ReportParameters
from innkeeper.web.ui.report_titles import TITLES
from innkeeper.web.ui.shell import PageRoute, Visit

_DETAILS: Final = {"limit": "{} rows", "window": "within {} days", "by": "by {}"}
_MOVES: Final = {"earlier": -1, "later": 1}


async def show(visit: Visit) -> Response:
    """Show the pinned reports of the user."""
    pinned = []
    names = {name for name, _ in reports.list_reports()}
    for item in await dashboards.list_reports(visit.work, visit.person.email):
        query = dashboards.parameters_of(item)
        name = item["report"]
        path = f"/reports/{name}"
        detail = [f"{item['days']} days" if item["days"] else query.get("from", "")]
        detail += [
            _DETAILS.get(key, "{}").format(value)
            for key, value in item["parameters"].items()
            if key not in ("from", "to")
        ]
        pinned.append(
            {
                "title": item["title"] or TITLES.get(name, name),
                "detail": ", ".join(each for each in detail if each),
                "url": visit.url(path, **query),
                "exists": name in names,
            }
        )
    return visit.show("dashboard.html", pinned=pinned, titles=list(TITLES.items()))


async def change(visit: Visit) -> Response:
    """Pin, move or remove a report."""
    action, email = visit.form_text("action"), visit.person.email
    if action == "pin":
        names = [camel(member.wire_name) for member in members_of(ReportParameters)]
        parameters = {name: visit.form_text(name) for name in names}
        await dashboards.pin(visit.work, email, visit.form_text("report"), parameters)
        return visit.go("/dashboard", "The report was pinned.")
    position = whole_in(visit.form_text("position"))
    if position is None:
        raise BadRequest("Unknown report.")
    if action in _MOVES:
        await dashboards.move(visit.work, email, position, _MOVES[action])
    elif action == "remove":
        await dashboards.remove(visit.work, email, position)
    else:
        raise BadRequest("Unknown action.")
    return visit.go("/dashboard")


PAGES: Final = (PageRoute("/dashboard", show, change),)
