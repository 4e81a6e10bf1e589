"""Reports: questions about all guests, as charts, tables and CSV, in the reader's time zone."""

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
from innkeeper.rules.masking import masked_row
from innkeeper.web.ui.formatting import worded
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
"""Report -> the column that makes a series of its own."""
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
_PARAMETERS: Final = ("from", "to", "timeZone", "interval", "currency", "limit", "steps")


async def first(visit: Visit) -> Response:
    """The first one."""
    return visit.go(f"/reports/{FIRST}")


async def show(visit: Visit) -> Response:
    """A report, with what may be chosen; the page asks for its rows once it is there."""
    name = visit.request.path_params["report"]
    asked = _parameters(visit, name)
    fault = None
    try:
        found = reports.describe(name, asked, most_periods=MOST_BARS)
        if visit.is_part:
            rows = await reports.run(visit.work, name, asked, most_periods=MOST_BARS)
            found = _veiled(visit, rows)
            drawn = _drawn(name, found, asked.get("interval") or "day")
        else:
            drawn = {"kind": "waits"}
    except Invalid as invalid:
        fault = invalid
        found, drawn = reports.describe(name, {}), {"kind": "refused"}
    return visit.show(
        "report.html",
        400 if fault else 200,
        name=name,
        titles=[(each, TITLES.get(each, worded(each))) for each in _ordered()],
        found=found,
        fault=fault,
        asked={**asked, "from": found["first_day"], "to": found["last_day"]},
        spans=_spans(found),
        units=UNITS if name in OVER_TIME else (),
        zones=_zones(),
        drawn=drawn,
        csv={key: value for key, value in asked.items() if value},
    )


async def csv(visit: Visit) -> Response:
    """The rows as a file."""
    name = visit.request.path_params["report"]
    found = _veiled(visit, await reports.run(visit.work, name, _parameters(visit, name)))
    days = f"{found['first_day']}-{found['last_day']}"
    headers = {
        "content-disposition": f'attachment; filename="{name}-{days}.csv"',
        "cache-control": "no-store",
    }
    return Response(as_csv(found), headers=headers, media_type="text/csv; charset=utf-8")


def _veiled(visit: Visit, found: Record) -> Record:
    """Addresses of pages may hold somebody's e-mail address."""
    rows = found["rows"] if visit.personal else [masked_row(row) for row in found["rows"]]
    return {**found, "rows": rows}


def _ordered() -> list[str]:
    every = [name for name, _ in reports.list_reports()]
    return sorted(every, key=lambda name: [*TITLES, name].index(name))


def _parameters(visit: Visit, name: str) -> dict[str, str]:
    asked = {key: visit.query_text(key).strip() for key in _PARAMETERS}
    if name in OVER_TIME and not asked["interval"]:
        asked["interval"] = "week"
    return asked


def _spans(found: Record) -> list[tuple[str, dict[str, str], bool]]:
    """(text, query, whether it is the one shown) of usual spans that end today."""
    today = clock.now().date()
    shown = found["first_day"], found["last_day"]
    spans = []
    for days, text in PRESETS:
        span = (today - timedelta(days=days - 1)).isoformat(), today.isoformat()
        query = {"from": span[0], "to": span[1]}
        spans.append((text, query, span == shown))
    return spans


@cache
def _zones() -> list[str]:
    """Names of time zones that people live in."""
    old = ("Etc/", "SystemV/", "US/", "Brazil/", "Canada/", "Chile/", "Mexico/")
    known = (zone for zone in available_timezones() if "/" in zone and not zone.startswith(old))
    return ["UTC", *sorted(known)]


def _drawn(name: str, found: Record, unit: str) -> dict[str, Any]:
    """What the page draws: kind, and what that kind of picture needs."""
    if not found["rows"]:
        return {"kind": "nothing"}
    if name in OVER_TIME:
        return _over_time(found, OVER_TIME[name], unit)
    if name in RANKINGS:
        return _ranking(found, RANKINGS[name])
    return {"retention": _retention, "rfm": _rfm}[name](found)


def _over_time(found: Record, by: str, unit: str) -> dict[str, Any]:
    """Bars over time: a chart a currency, since currencies are never added; else one."""
    columns = found["columns"]
    periods = _periods(found, unit)
    labels = [f"{at:%b %Y}" if unit in ("month", "year") else f"{at.day} {at:%b}" for at in periods]
    if not by:
        series = [(worded(each), _along(found, periods, each)) for each in columns[1:]]
        return {"kind": "time", "labels": labels, "charts": [(worded(found["value"]), series)]}
    sums = _series(found, columns.index(by))
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
            (f"{worded(found['value'])}, {each}", [(each, values)]) for each, values in series
        ]
    else:
        charts = [(worded(found["value"]), series)]
    return {"kind": "time", "labels": labels, "charts": charts}


def _series(found: Record, place: int) -> dict[str, dict[date, float]]:
    """The values of each name in a column, by period."""
    value = found["columns"].index(found["value"])
    sums: dict[str, dict[date, float]] = {}
    for row in found["rows"]:
        sums.setdefault(str(row[place] or "none"), {})[row[0]] = float(row[value] or 0)
    return sums


def _along(found: Record, periods: Sequence[date], column: str) -> list[float]:
    """A column's values, a number a period; 0 where there was nothing."""
    place = found["columns"].index(column)
    values = {row[0]: float(row[place] or 0) for row in found["rows"]}
    return [values.get(at, 0.0) for at in periods]


def _periods(found: Record, unit: str) -> list[date]:
    """The first days of all periods between the days asked for."""
    day, last = date.fromisoformat(found["first_day"]), date.fromisoformat(found["last_day"])
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


def _ranking(found: Record, by: str) -> dict[str, Any]:
    """(heading, [(what, value, per cent of the largest, the row by column)]) of each group."""
    columns = found["columns"]
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for row in found["rows"]:
        named = dict(zip(columns, row, strict=True))
        groups.setdefault(str(named[by] or "") if by else "", []).append(named)
    drawn = []
    for group, rows in groups.items():
        top = max((float(row[found["value"]] or 0) for row in rows), default=0) or 1
        bars = [
            (row[columns[0]], row[found["value"]], 100 * float(row[found["value"]] or 0) / top, row)
            for row in rows
        ]
        drawn.append((group, bars))
    return {"kind": "ranking", "groups": drawn, "first": columns[0]}


def _retention(found: Record) -> dict[str, Any]:
    """Rows of cohorts: (first day, guests, [share of each week, None where it is to come])."""
    cohorts: dict[date, dict[int, tuple[int, float]]] = {}
    for cohort, week, guests, share in found["rows"]:
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


def _rfm(found: Record) -> dict[str, Any]:
    """Guests by recency (rows) and frequency (columns), with what they brought."""
    cells: dict[tuple[int, int], list[float]] = {}
    for recency, frequency, _, guests, revenue in found["rows"]:
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
    PageRoute("/reports", first),
    PageRoute("/reports/{report}", show),
    PageRoute("/reports/{report}/csv", csv),
)
