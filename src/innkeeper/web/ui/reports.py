"""Screens of reports: charts, tables and CSV of all guests, in a time zone of choice."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from functools import cache
from typing import Any, Final
from zoneinfo import available_timezones

from starlette.responses import Response

from innkeeper import clock
from innkeeper.actions.audiences import reports
from innkeeper.errors import Invalid
from innkeeper.resources.base import Record
from innkeeper.resources.naming import camel
from innkeeper.rules.masking import masked_row
from innkeeper.web.ui.formatting import title_words
from innkeeper.web.ui.shell import PageRoute, Visit
from innkeeper.wire.audiences.reports import as_csv

FIRST: Final = "revenue"
TITLES: Final = {
    "revenue": "Revenue",
    "abandoned": "Abandoned carts",
    "products": "Products",
    "pages": "Pages",
    "events": "Events",
    "funnel": "Funnel",
    "retention": "Retention",
    "rfm": "RFM",
    "guests": "Guests",
    "merges": "Identity",
}
OVER_TIME: Final = {"revenue": "currency", "abandoned": "currency", "events": "type", "merges": ""}
"""Report over time -> the column whose values are its series; empty for one series a column."""
RANKINGS: Final = {"products": "currency", "pages": "", "guests": "", "funnel": ""}
PRESETS: Final = ((30, "30 days"), (90, "90 days"), (365, "12 months"), (545, "18 months"))
UNITS: Final = tuple((unit, f"By {unit}") for unit in reports.UNITS)
QUINTILES: Final = (5, 4, 3, 2, 1)
MOST_SERIES: Final = 5
MOST_BARS: Final = 1000
MOST_WEEKS: Final = 13
_LONGEST: Final = {
    "day": timedelta(days=1),
    "week": timedelta(days=7),
    "month": timedelta(days=31),
    "year": timedelta(days=366),
}
_PARAMETERS: Final = ("from", "to", "time_zone", "interval", "currency", "limit", "steps")


async def show_first(visit: Visit) -> Response:
    """Redirect to the first report."""
    return visit.go(f"/reports/{FIRST}")


async def show(visit: Visit) -> Response:
    """Show a report and its parameters; the page requests its rows afterwards."""
    name = visit.request.path_params["report"]
    parameters = _parameters(visit, name)
    fault = None
    try:
        report = reports.describe(name, parameters, most_periods=MOST_BARS)
        if visit.is_part:
            rows = await reports.run(visit.work, name, parameters, most_periods=MOST_BARS)
            report = _veiled(visit, rows)
            chart = _chart(name, report, parameters.get("interval") or "day")
        else:
            chart = {"kind": "waits"}
    except Invalid as invalid:
        fault = invalid
        report, chart = reports.describe(name, {}), {"kind": "refused"}
    return visit.show(
        "report.html",
        400 if fault else 200,
        name=name,
        titles=[(each, TITLES.get(each, title_words(each))) for each in _ordered()],
        report=report,
        fault=fault,
        parameters={**parameters, "from": report["first_day"], "to": report["last_day"]},
        spans=_spans(report),
        units=UNITS if name in OVER_TIME else (),
        zones=time_zones(),
        report_chart=chart,
        csv={camel(key): value for key, value in parameters.items() if value},
    )


async def csv(visit: Visit) -> Response:
    """Return the rows of a report as a CSV file."""
    name = visit.request.path_params["report"]
    report = _veiled(visit, await reports.run(visit.work, name, _parameters(visit, name)))
    days = f"{report['first_day']}-{report['last_day']}"
    headers = {
        "content-disposition": f'attachment; filename="{name}-{days}.csv"',
        "cache-control": "no-store",
    }
    return Response(as_csv(report), headers=headers, media_type="text/csv; charset=utf-8")


def _veiled(visit: Visit, report: Record) -> Record:
    """Mask a report for visitors who may not see personal data: URLs may hold e-mail addresses."""
    rows = report["rows"] if visit.personal else [masked_row(row) for row in report["rows"]]
    return {**report, "rows": rows}


def _ordered() -> list[str]:
    names = [name for name, _ in reports.list_reports()]
    return sorted(names, key=lambda name: [*TITLES, name].index(name))


def _parameters(visit: Visit, name: str) -> dict[str, str]:
    parameters = {key: visit.query_text(camel(key)).strip() for key in _PARAMETERS}
    if name in OVER_TIME and not parameters["interval"]:
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


@cache
def time_zones() -> list[str]:
    """List the names of time zones, without those that tzdata keeps for compatibility."""
    old = ("Etc/", "SystemV/", "US/", "Brazil/", "Canada/", "Chile/", "Mexico/")
    names = (zone for zone in available_timezones() if "/" in zone and not zone.startswith(old))
    return ["UTC", *sorted(names)]


def _chart(name: str, report: Record, unit: str) -> dict[str, Any]:
    """Return the chart of a report: its `kind`, and the members that this kind needs."""
    if not report["rows"]:
        return {"kind": "nothing"}
    if name in OVER_TIME:
        return _over_time(report, OVER_TIME[name], unit)
    if name in RANKINGS:
        return _ranking(report, RANKINGS[name])
    return {"retention": _retention, "rfm": _rfm}[name](report)


def _over_time(report: Record, by: str, unit: str) -> dict[str, Any]:
    """Return bars over time: a chart for each currency, since currencies are never added, else
    one chart."""
    columns = report["columns"]
    periods = _periods(report, unit)
    labels = [f"{at:%b %Y}" if unit in ("month", "year") else f"{at.day} {at:%b}" for at in periods]
    if not by:
        series = [
            (title_words(each), _column_values(report, periods, each)) for each in columns[1:]
        ]
        return {
            "kind": "time",
            "labels": labels,
            "charts": [(title_words(report["value"]), series)],
        }
    sums = _series(report, columns.index(by))
    names = sorted(sums, key=lambda name: -sum(sums[name].values()))
    if by != "currency" and len(names) > MOST_SERIES:
        other: dict[date, float] = defaultdict(float)
        for name in names[MOST_SERIES - 1 :]:
            for at, value in sums.pop(name).items():
                other[at] += value
        names = [*names[: MOST_SERIES - 1], "other"]
        sums["other"] = other
    series = [(name, [sums[name].get(at, 0.0) for at in periods]) for name in names]
    if by == "currency":
        charts = [
            (f"{title_words(report['value'])}, {each}", [(each, values)]) for each, values in series
        ]
    else:
        charts = [(title_words(report["value"]), series)]
    return {"kind": "time", "labels": labels, "charts": charts}


def _series(report: Record, position: int) -> dict[str, dict[date, float]]:
    """Return the values of each name in the column at `position`, by period."""
    value = report["columns"].index(report["value"])
    sums: dict[str, dict[date, float]] = {}
    for row in report["rows"]:
        sums.setdefault(str(row[position] or "none"), {})[row[0]] = float(row[value] or 0)
    return sums


def _column_values(report: Record, periods: Sequence[date], column: str) -> list[float]:
    """Return a column's values, one for each period; 0 for a period without a row."""
    position = report["columns"].index(column)
    values = {row[0]: float(row[position] or 0) for row in report["rows"]}
    return [values.get(at, 0.0) for at in periods]


def _periods(report: Record, unit: str) -> list[date]:
    """List the first days of all periods from the report's first to its last day."""
    day, last = date.fromisoformat(report["first_day"]), date.fromisoformat(report["last_day"])
    starts = [_start(day, unit)]
    while (following := _start(starts[-1] + _LONGEST[unit], unit)) <= last:
        starts.append(following)
    return starts


def _start(day: date, unit: str) -> date:
    if unit == "week":
        return day - timedelta(days=day.weekday())
    if unit == "month":
        return day.replace(day=1)
    return day.replace(month=1, day=1) if unit == "year" else day


def _ranking(report: Record, by: str) -> dict[str, Any]:
    """Return the bars of each group: (heading, [(name, value, per cent of the largest, the row by
    column)])."""
    columns = report["columns"]
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for row in report["rows"]:
        by_column = dict(zip(columns, row, strict=True))
        groups.setdefault(str(by_column[by] or "") if by else "", []).append(by_column)
    ranked = []
    for group, rows in groups.items():
        top = max((float(row[report["value"]] or 0) for row in rows), default=0) or 1
        bars = [
            (
                row[columns[0]],
                row[report["value"]],
                100 * float(row[report["value"]] or 0) / top,
                row,
            )
            for row in rows
        ]
        ranked.append((group, bars))
    return {"kind": "ranking", "groups": ranked, "first": columns[0]}


def _retention(report: Record) -> dict[str, Any]:
    """Return rows of cohorts: (first day, guests, [share of each week, None for future weeks])."""
    cohorts: dict[date, dict[int, tuple[int, float]]] = {}
    for cohort, week, guests, share in report["rows"]:
        cohorts.setdefault(cohort, {})[int(week)] = (int(guests), float(share))
    today = clock.now().date()
    later = (share for weeks in cohorts.values() for week, (_, share) in weeks.items() if week)
    rows = []
    for cohort, weeks in cohorts.items():
        past = (today - cohort).days // 7
        shares = [
            weeks.get(week, (0, 0.0))[1] if week <= past else None for week in range(MOST_WEEKS)
        ]
        rows.append((cohort, weeks.get(0, (0, 0.0))[0], shares))
    return {
        "kind": "retention",
        "rows": rows,
        "weeks": range(MOST_WEEKS),
        "top": max(later, default=1),
    }


def _rfm(report: Record) -> dict[str, Any]:
    """Return guests and revenue by recency (rows) and frequency (columns)."""
    cells: dict[tuple[int, int], list[float]] = {}
    for recency, frequency, _, guests, revenue in report["rows"]:
        cell = cells.setdefault((int(recency), int(frequency)), [0, 0.0])
        cell[0] += guests
        cell[1] += float(revenue or 0)
    top = max((cell[0] for cell in cells.values()), default=1) or 1
    grid = [
        (
            recency,
            [
                (*cells.get((recency, f), (0, 0.0)), cells.get((recency, f), (0,))[0] / top)
                for f in reversed(QUINTILES)
            ],
        )
        for recency in QUINTILES
    ]
    return {"kind": "rfm", "grid": grid, "columns": tuple(reversed(QUINTILES))}


PAGES: Final = (
    PageRoute("/reports", show_first),
    PageRoute("/reports/{report}", show),
    PageRoute("/reports/{report}/csv", csv),
)
