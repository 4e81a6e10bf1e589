"""Reports over HTTP: JSON, or CSV with `format=csv`."""

import csv
import io
from typing import Any, Final

from innkeeper.actions.audiences import reports
from innkeeper.errors import Invalid, Problem
from innkeeper.resources.kinds import Schema
from innkeeper.rules.masking import masked_row
from innkeeper.rules.spreadsheets import guarded
from innkeeper.store.work import Work
from innkeeper.wire.endpoint import Endpoint, EndpointRequest, EndpointResponse
from innkeeper.wire.schemas import (
    DAY,
    TEXT,
    TEXTS,
    URL,
    an_object,
    array_of,
    items_of,
    named,
)

PATH: Final = "/innkeeper/v1/reports"
TAG: Final = "Reports"


async def list_all(_: Work, request: EndpointRequest) -> EndpointResponse:
    """Every report there is."""
    items = [
        {"name": name, "title": title, "href": f"{request.base}{PATH}/{name}"}
        for name, title in reports.list_reports()
    ]
    return EndpointResponse({"items": items})


async def fetch(work: Work, request: EndpointRequest) -> EndpointResponse:
    """One report."""
    form = request.query.get("format", "json")
    if form not in ("json", "csv"):
        raise Invalid(Problem("format", "value must be one of json,csv"))
    report = await reports.run(work, request.path["report"], request.query)
    if not request.personal:
        report["rows"] = [masked_row(row) for row in report["rows"]]
    if form == "csv":
        return EndpointResponse(content=as_csv(report), content_type="text/csv; charset=utf-8")
    rows = [
        {column: plain(value) for column, value in zip(report["columns"], row, strict=True)}
        for row in report["rows"]
    ]
    return EndpointResponse(
        {
            "report": report["report"],
            "title": report["title"],
            "timeZone": report["time_zone"],
            "from": report["first_day"],
            "to": report["last_day"],
            "columns": report["columns"],
            "rows": rows,
        }
    )


def as_csv(report: dict[str, Any]) -> bytes:
    """Rows below a head; text that a spreadsheet would take for a formula is marked."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(report["columns"])
    for row in report["rows"]:
        writer.writerow([guarded(plain(value)) for value in row])
    return text.getvalue().encode()


def plain(value: Any) -> Any:
    """Days as text."""
    return value.isoformat() if hasattr(value, "isoformat") else value


_ROW: Final[Schema] = {
    "type": "object",
    "additionalProperties": {"type": ["string", "number", "null"]},
    "description": "A value for each of `columns`.",
}
_REPORT_SCHEMA: Final = named(
    "Report",
    an_object(
        ("report", "title", "timeZone", "from", "to", "columns", "rows"),
        report=TEXT,
        title=TEXT,
        timeZone=TEXT,
        columns=TEXTS,
        rows=array_of(_ROW),
        **{"from": DAY, "to": DAY},
    ),
)

REPORTS: Final = (
    Endpoint(
        method="GET",
        path=PATH,
        name="listReports",
        summary="List reports",
        tag=TAG,
        perform=list_all,
        response_schema=items_of(
            an_object(("name", "title", "href"), name=TEXT, title=TEXT, href=URL)
        ),
    ),
    Endpoint(
        method="GET",
        path=PATH + "/{report}",
        name="fetchReport",
        summary="A report, as JSON or CSV",
        tag=TAG,
        perform=fetch,
        response_schema=_REPORT_SCHEMA,
        other_media=("text/csv",),
        path_names={"report": "reportName"},
        old_query={
            "from": "First day; 90 days before `to` unless told.",
            "to": "Last day; today unless told.",
            "timeZone": "Name of a time zone, e.g. Europe/Dublin; UTC unless told.",
            "interval": "day, week, month or year.",
            "currency": "Currency of a report that needs one; EUR unless told.",
            "limit": "Most rows of a ranking.",
            "steps": "Event types of a funnel, joined by commas.",
            "format": "json or csv.",
        },
        failures=frozenset({400, 503}),
    ),
)
