"""Screens of reports: charts, tables and CSV of all guests, in a time zone of choice."""

import asyncio
from datetime import timedelta
from typing import Any, Final

from starlette.responses import Response

from innkeeper import clock
from innkeeper.actions.admin import audit
from innkeeper.actions.audiences import event_names, reports, segment_runs, segments
from innkeeper.errors import BadRequest, Invalid
from innkeeper.resources.base import Record
from innkeeper.resources.events import STANDARD
from innkeeper.resources.naming import camel
from innkeeper.resources.payloads import members_of
from innkeeper.resources.segments import snake
from innkeeper.resources.values import whole_in
from innkeeper.rules import report_parameters
from innkeeper.rules.access import Right
from innkeeper.rules.masking import masked_row
from innkeeper.rules.report_parameters import ReportParameters, read_parameters
from innkeeper.rules.time_zones import suggested_time_zones
from innkeeper.web.ui.downloads import file
from innkeeper.web.ui.formatting import title_words
from innkeeper.web.ui.report_charts import chart_of
from innkeeper.web.ui.report_titles import TITLES
from innkeeper.web.ui.shell import PageRoute, Visit
from innkeeper.wire.audiences.reports import as_csv

FIRST: Final = "revenue"
PRESETS: Final = ((30, "30 days"), (90, "90 days"), (365, "12 months"), (545, "18 months"))
UNITS: Final = tuple((unit, f"By {unit}") for unit in report_parameters.UNITS)
WINDOWS: Final = (
    *(("", "Any time"), ("1", "1 day"), ("3", "3 days"), ("7", "7 days")),
    *(("14", "14 days"), ("30", "30 days"), ("90", "90 days")),
)
BREAKDOWNS: Final = (("", "All guests"), *((by, f"By {by}") for by in report_parameters.BREAKDOWNS))
MOST_BARS: Final = 1000


async def show_first(visit: Visit) -> Response:
    """Redirect to the first report."""
    return visit.go(f"/reports/{FIRST}")


async def show(visit: Visit) -> Response:
    """Show a report and its parameters; the page requests its rows afterwards."""
    name = visit.request.path_params["report"]
    parameters = _parameters(visit, name)
    fault = None
    more: dict[str, Any] = {}
    try:
        read = read_parameters(parameters)
        report = reports.describe(name, read, most_periods=MOST_BARS)
        if visit.is_part:
            rows = await reports.run(visit.work, name, read, most_periods=MOST_BARS)
            report = _veiled(visit, rows)
            chart = chart_of(name, report, parameters.get("interval") or "day")
            more = await _details(visit, name, parameters)
        else:
            chart = {"kind": "waits"}
    except Invalid as invalid:
        fault = invalid
        report, chart = reports.describe(name, read_parameters({})), {"kind": "refused"}
    return visit.show(
        "report.html",
        400 if fault else 200,
        name=name,
        titles=[(each, TITLES.get(each, title_words(each))) for each in _ordered()],
        report=report,
        fault=fault,
        parameters={**parameters, "from": report["first_day"], "to": report["last_day"]},
        spans=_spans(report),
        units=UNITS if reports.is_over_time(name) else (),
        zones=suggested_time_zones(),
        report_chart=chart,
        csv={camel(key): value for key, value in parameters.items() if value},
        may_segment=visit.may(Right.SEGMENTS),
        **more,
    )


async def _details(visit: Visit, name: str, parameters: dict[str, str]) -> dict[str, Any]:
    """Return what a loaded report shows besides its rows: totals by currency, steps to choose."""
    if name == "funnel":
        types = {*STANDARD, *await event_names.list_stored(visit.work)}
        steps = [each.strip().upper() for each in parameters["steps"].split(",") if each.strip()]
        return {
            "steps": steps or list(report_parameters.STEPS),
            "event_types": sorted(types),
            "windows": WINDOWS,
            "breakdowns": BREAKDOWNS,
            "most_steps": report_parameters.MOST_STEPS,
        }
    needs_currency = reports.takes(name, "currency")
    if not needs_currency and not reports.takes(name, "chosen"):
        return {}
    of_all = read_parameters({**parameters, "currency": ""})
    totals = await reports.run(visit.work, "totals", of_all)
    rows = [dict(zip(totals["columns"], row, strict=True)) for row in totals["rows"]]
    chosen = parameters["currency"].upper() or ("EUR" if needs_currency else "")
    return {
        "totals": [row for row in rows if not chosen or row["currency"] == chosen],
        "currencies": [row["currency"] for row in rows if row["currency"]],
        "currency": chosen,
        "needs_currency": needs_currency,
    }


async def create_segment(visit: Visit) -> Response:
    """Create the segment of the guests in a row of a report, count it, and open it."""
    name = visit.request.path_params["report"]
    report = await _run(visit, name)
    position = whole_in(visit.form_text("row"))
    if position is None or position >= len(report["segments"]):
        raise BadRequest("The report no longer has this row. Load it again.")
    row, definition = report["rows"][position], report["segments"][position]
    days = f"{report['first_day']} to {report['last_day']}"
    words = {
        "funnel": f"Funnel to {row[0]}, {days}, {clock.now():%H:%M:%S}",
        "rfm_groups": f"Buyers: {row[0]}, {clock.now():%Y-%m-%d %H:%M:%S}",
    }
    title = words.get(
        name, f"Buyers of recency {row[0]}, value {row[1]}, {clock.now():%Y-%m-%d %H:%M:%S}"
    )
    segment = await segments.create(visit.work, {"name": title, "definition": definition})
    run = await segment_runs.run(visit.work, segment["ref"])
    await audit.note(
        visit.work, "segment.run", about=audit.AuditSubject("segment", segment["friendly_id"])
    )
    guests = run["error"] or f"{run['rows']:,} guests are in it."
    note = f"{title} was created as a draft. {guests}"
    return visit.go(f"/segments/{segment['friendly_id']}", note)


async def csv(visit: Visit) -> Response:
    """Return the rows of a report as a CSV file."""
    name = visit.request.path_params["report"]
    report = _veiled(visit, await _run(visit, name))
    days = f"{report['first_day']}-{report['last_day']}"
    return file(f"{name}-{days}.csv", await asyncio.to_thread(as_csv, report), "text/csv")


def _veiled(visit: Visit, report: Record) -> Record:
    """Mask a report for visitors who may not see personal data: URLs may hold e-mail addresses."""
    rows = report["rows"] if visit.personal else [masked_row(row) for row in report["rows"]]
    return {**report, "rows": rows}


def _ordered() -> list[str]:
    names = [name for name, _ in reports.list_reports()]
    return sorted(names, key=lambda name: [*TITLES, name].index(name))


async def _run(visit: Visit, name: str) -> Record:
    return await reports.run(visit.work, name, read_parameters(_parameters(visit, name)))


def _parameters(visit: Visit, name: str) -> dict[str, str]:
    """Return the parameters in the page's address, by name, as text."""
    names = [member.wire_name for member in members_of(ReportParameters)]
    parameters = {snake(each): visit.query_text(each).strip() for each in names}
    parameters["time_zone"] = parameters["time_zone"] or visit.person.time_zone
    if steps := [each for each in visit.request.query_params.getlist("step") if each]:
        parameters["steps"] = ",".join(steps)
    if reports.is_over_time(name) and not parameters["interval"]:
        parameters["interval"] = "week"
    return parameters


def _spans(report: Record) -> list[tuple[str, dict[str, str], bool]]:
    """List preset spans that end today: (text, query, whether the report has this span)."""
    today = clock.now().date()
    current = report["first_day"], report["last_day"]
    spans = []
    for days, text in PRESETS:
        span = (today - timedelta(days=days - 1)).isoformat(), today.isoformat()
        query = {"from": span[0], "to": span[1]}
        spans.append((text, query, span == current))
    return spans


PAGES: Final = (
    PageRoute("/reports", show_first),
    PageRoute("/reports/{report}", show),
    PageRoute("/reports/{report}/csv", csv),
    PageRoute(
        "/reports/{report}/segment", post=create_segment, post_right=Right.SEGMENTS, whole=False
    ),
)
