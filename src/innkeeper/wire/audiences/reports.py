"""Reports over HTTP: JSON, or CSV with `format=csv`."""

import asyncio
import csv
import io
from datetime import date
from typing import Annotated, Any, Final

import msgspec

from innkeeper.actions.audiences import reports
from innkeeper.resources.base import Record
from innkeeper.resources.definitions import SegmentDefinition
from innkeeper.resources.kinds import ListOf
from innkeeper.resources.payload_kinds import Described, MapOf, one_of
from innkeeper.resources.payloads import JsonOf, Payload
from innkeeper.rules.masking import masked_row
from innkeeper.rules.report_parameters import ReportParameters
from innkeeper.rules.spreadsheets import guarded
from innkeeper.store.work import Work
from innkeeper.wire.endpoint import EndpointFamily, EndpointRequest, EndpointResponse
from innkeeper.wire.payloads import Href, Items

PATH: Final = "/innkeeper/v1/reports"
REPORTS: Final = EndpointFamily("Reports", PATH)


class _ReportTitle(Payload):
    name: str
    title: str
    href: Annotated[str, Href(PATH + "/{name}")]


@REPORTS.endpoint("GET", "", "List reports", response=Items[_ReportTitle])
async def list_reports(_: Work, __: EndpointRequest) -> Record:
    """Return every report."""
    return {"items": [{"name": name, "title": title} for name, title in reports.list_reports()]}


class FetchReportParameters(ReportParameters, kw_only=True):
    """The period and options of a report."""

    format: Annotated[str, one_of("json", "csv"), "json or csv."] = "json"


_CELL: Final = Described({"type": ["string", "number", "null"]})


class ReportResponse(Payload):
    """The rows of a report."""

    schema_name = "Report"

    report: str
    title: str
    time_zone: str
    columns: list[str]
    rows: Annotated[
        list[Record], ListOf(MapOf(_CELL)), "One array per row, with a value for each of `columns`."
    ]
    segments: Annotated[
        list[Record],
        ListOf(JsonOf(SegmentDefinition)),
        "For each row about certain guests (funnel, rfm_groups) the definition of their segment.",
    ]
    first_day: date = msgspec.field(name="from")
    last_day: date = msgspec.field(name="to")


@REPORTS.endpoint(
    "GET",
    "/{report}",
    "Run a report, as JSON or CSV",
    parameters=FetchReportParameters,
    response=ReportResponse,
    other_media=("text/csv",),
    is_large=True,
)
async def fetch_report(work: Work, request: EndpointRequest) -> Record | EndpointResponse:
    """Run a report and return its rows."""
    report = await reports.run(work, request.path["report"], request.parameters)
    if not request.personal:
        report["rows"] = [masked_row(row) for row in report["rows"]]
    if request.parameters.format == "csv":
        content = await asyncio.to_thread(as_csv, report)
        return EndpointResponse(content=content, content_type="text/csv; charset=utf-8")
    rows = [
        {column: plain(value) for column, value in zip(report["columns"], row, strict=True)}
        for row in report["rows"]
    ]
    return {**report, "rows": rows}


def as_csv(report: dict[str, Any], *, has_header: bool = True) -> bytes:
    """Write the rows as CSV, below a header; texts that a spreadsheet would run as formulas are
    marked."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    if has_header:
        writer.writerow(report["columns"])
    for row in report["rows"]:
        writer.writerow([guarded(plain(value)) for value in row])
    return text.getvalue().encode()


def plain(value: Any) -> Any:
    """Convert days to text."""
    return value.isoformat() if hasattr(value, "isoformat") else value
