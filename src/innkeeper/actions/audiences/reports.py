"""Reports computed from the lake, for `innkeeper report …` and /innkeeper/v1/reports."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from innkeeper import clock
from innkeeper.actions.audiences import report_rows
from innkeeper.actions.audiences.event_names import list_event_types, unknown_events
from innkeeper.errors import Invalid, Problem, Unknown
from innkeeper.lake.snapshot import Lake, opened
from innkeeper.resources.base import Record
from innkeeper.resources.events import STANDARD
from innkeeper.resources.kinds import CURRENCY
from innkeeper.resources.naming import field_problem
from innkeeper.resources.values import ValueRefused, whole_in
from innkeeper.rules import report_segments
from innkeeper.rules.time_zones import read_time_zone
from innkeeper.store.work import Work

UNITS: Final = ("day", "week", "month", "year")
DAYS: Final = 90
_FEWER: Final = "choose a later from, or a longer interval (week, month, year)"
MOST: Final = 1000
MOST_PERIODS: Final = 10_000
"""Maximum number of days, weeks, months or years of a report."""
MOST_COHORTS: Final = 260
"""Maximum number of weekly cohorts: each has a row for every week since."""
MOST_ROWS: Final = 20_000
BREAKDOWNS: Final = ("country", "city", "language", "gender", "type")
STEPS: Final = ("VIEW", "ADD", "CONFIRM", "CHECKOUT")


async def run(
    work: Work, name: str, params: Mapping[str, str], *, most_periods: int = MOST_PERIODS
) -> Record:
    """Compute a report: its title, columns and rows.

    `params`: from and to (days, both included), time_zone, interval, currency, limit, steps,
    window, by. Raises `Unknown` for the name and `Invalid` for parameters. `segments` has the
    definition of a segment for each row that is about certain guests.
    """
    from innkeeper.lake import reports  # noqa: PLC0415 - loads SQLGlot

    report = describe(name, params, most_periods=most_periods)
    parsed = _read_parameters(name, params, most_periods)
    if name == reports.MERGES.name:
        rows = await _query_merges(work, parsed)
    else:
        async with opened(work) as lake:
            if name == reports.FUNNEL.name:
                rows = await _query_funnel(work, lake, parsed)
                report["columns"] += ["group"] if parsed["by"] else []
            else:
                tree = reports.question(reports.EVERY[name], parsed, most=MOST_ROWS + 1)
                rows = await lake.rows(tree)
    if len(rows) > MOST_ROWS:
        raise Invalid(Problem("from", f"would list more than {MOST_ROWS} rows: {_FEWER}"))
    rows = report_rows.finish(name, rows)
    segments = report_segments.definitions(name, parsed, rows)
    return {**report, "rows": [list(row) for row in rows], "segments": segments}


def describe(name: str, params: Mapping[str, str], *, most_periods: int = MOST_PERIODS) -> Record:
    """Return a report without its rows, which reads no data; raises `Unknown`, `Invalid`."""
    from innkeeper.lake import reports  # noqa: PLC0415

    report = reports.EVERY.get(name)
    if report is None:
        raise Unknown("Report", name)
    parsed = _read_parameters(name, params, most_periods)
    return {
        "report": name,
        "title": report.title,
        "time_zone": parsed["zone"],
        "first_day": parsed["first_day"],
        "last_day": parsed["last_day"],
        "columns": list(report.columns),
        "value": report.value,
        "rows": [],
        "segments": [],
    }


def list_reports() -> list[tuple[str, str]]:
    """List (name, title) of every report."""
    from innkeeper.lake import reports  # noqa: PLC0415

    return [(report.name, report.title) for report in reports.EVERY.values()]


async def _query_funnel(work: Work, lake: Lake, params: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    from innkeeper.lake import reports  # noqa: PLC0415

    steps = await _stored_types(work, lake, params["steps"])
    within = timedelta(days=params["window"]) if params["window"] else None
    column = reports.BREAKDOWNS[params["by"]] if params["by"] else None
    counts = []
    for tree in reports.funnel(steps, params, within, column):
        rows = await lake.rows(tree)
        counts.append({(row[1] if column else None): int(row[0]) for row in rows})
    return report_rows.funnel(steps, counts, is_split=column is not None)


async def _stored_types(work: Work, lake: Lake, names: Sequence[str]) -> list[str]:
    """Return event types in upper case, as stored; raises `Invalid` for unknown ones."""
    words = [name.strip().upper() for name in names]
    if not STANDARD.issuperset(words):
        event_types = await list_event_types(work, lake)
        if problems := unknown_events((("steps", word) for word in words), event_types):
            raise Invalid(*problems)
    return words


async def _query_merges(work: Work, params: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    rows = await work.all(
        "reports.merges",
        zone=params["zone"],
        unit=params["unit"],
        start=params["start"],
        until=params["until"],
    )
    return [(row["period"], row["merges"], row["undone"]) for row in rows]


def _read_parameters(name: str, params: Mapping[str, str], most_periods: int) -> dict[str, Any]:
    problems: list[Problem] = []
    zone = params.get("time_zone") or "UTC"
    try:
        local = read_time_zone(zone)
    except ValueRefused as refused:
        problems.append(field_problem("time_zone", refused.reason))
        local = ZoneInfo("UTC")
    today = clock.now().astimezone(local).date()
    last = _read_day(params, "to", today, problems)
    first = _read_day(params, "from", last - timedelta(days=DAYS - 1), problems)
    if first > last:
        problems.append(Problem("from", "must not be after to"))
    unit = params.get("interval") or "day"
    if unit not in UNITS:
        problems.append(Problem("interval", f"value must be one of {','.join(UNITS)}"))
        unit = "day"
    problems += _too_long(name, first, last, unit, most_periods)
    window = _read_whole(params, "window", 0, range(367), problems)
    by = params.get("by") or ""
    if by and by not in BREAKDOWNS:
        problems.append(Problem("by", f"value must be one of {','.join(BREAKDOWNS)}"))
    try:
        currency = CURRENCY.read(params.get("currency") or "EUR")
    except ValueRefused as refused:
        problems.append(Problem("currency", refused.reason))
        currency = "EUR"
    most = _read_whole(params, "limit", 20, range(1, MOST + 1), problems)
    steps = [word for word in (params.get("steps") or ",".join(STEPS)).split(",") if word]
    if not 1 <= len(steps) <= 10:
        problems.append(Problem("steps", "must be 1 to 10 event types, joined by commas"))
    if problems:
        raise Invalid(*problems)
    return {
        "zone": zone,
        "unit": unit,
        "currency": currency,
        "chosen": currency if params.get("currency") else "",
        "window": window,
        "by": by,
        "most": most,
        "steps": steps,
        "first_day": first.isoformat(),
        "last_day": last.isoformat(),
        "after_day": (last + timedelta(days=1)).isoformat(),
        "before": _midnight(first - ((last - first) + timedelta(days=1)), local),
        "start": _midnight(first, local),
        "until": _midnight(last + timedelta(days=1), local),
    }


def _read_whole(
    params: Mapping[str, str], name: str, default: int, accepted: range, problems: list[Problem]
) -> int:
    """Read a whole number; adds a problem and returns the default if it is not accepted."""
    text = params.get(name) or str(default)
    value = whole_in(text)
    if value is not None and value in accepted:
        return value
    kind = "whole number of days" if name == "window" else "whole number"
    problems.append(Problem(name, f"must be a {kind} from {accepted[0]} to {accepted[-1]}"))
    return default


def _too_long(name: str, first: date, last: date, unit: str, most: int) -> Iterator[Problem]:
    """Yield the problem of a report that would list too many periods."""
    from innkeeper.lake import reports  # noqa: PLC0415

    if name == reports.COHORTS:
        unit, most, advice = "week", MOST_COHORTS, "choose a later from"
    elif name in reports.OVER_TIME:
        advice = _FEWER
    else:
        return
    count = count_periods(first, last, unit)
    if count > most:
        yield Problem("from", f"would list {count} {unit}s, at most {most} are possible: {advice}")


def count_periods(first: date, last: date, unit: str) -> int:
    """Count the days, weeks, months or years that contain any day from `first` to `last`."""
    if unit == "year":
        return last.year - first.year + 1
    if unit == "month":
        return 12 * (last.year - first.year) + last.month - first.month + 1
    if unit == "week":
        return (last.toordinal() - 1) // 7 - (first.toordinal() - 1) // 7 + 1
    return (last - first).days + 1


def _read_day(params: Mapping[str, str], name: str, default: date, problems: list[Problem]) -> date:
    text = params.get(name)
    if not text:
        return default
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = date.min
    if not 1900 <= day.year <= 9000:
        problems.append(Problem(name, "must be a day, YYYY-MM-DD"))
        return default
    return day


def _midnight(day: date, local: ZoneInfo) -> str:
    """Return the instant at which a day starts in a time zone."""
    start = datetime(day.year, day.month, day.day, tzinfo=local)
    return start.astimezone(UTC).isoformat()
