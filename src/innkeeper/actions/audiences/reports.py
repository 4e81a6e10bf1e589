"""Reports computed from the lake, for `innkeeper report …` and /innkeeper/v1/reports."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

from innkeeper import clock
from innkeeper.actions.audiences import report_rows
from innkeeper.actions.audiences.event_names import list_event_types, unknown_events
from innkeeper.errors import Invalid, Problem, existing
from innkeeper.lake.snapshot import Lake, opened
from innkeeper.resources.base import Record
from innkeeper.resources.events import STANDARD
from innkeeper.rules import report_segments
from innkeeper.rules.periods import count_periods
from innkeeper.rules.report_parameters import ReportParameters, placeholders
from innkeeper.store.work import Work

_FEWER: Final = "choose a later from, or a longer interval (week, month, year)"
MOST_PERIODS: Final = 10_000
"""Maximum number of days, weeks, months or years of a report."""
MOST_COHORTS: Final = 260
"""Maximum number of weekly cohorts: each has a row for every week since."""
MOST_ROWS: Final = 20_000


async def run(
    work: Work, name: str, parameters: ReportParameters, *, most_periods: int = MOST_PERIODS
) -> Record:
    """Compute a report: its title, columns and rows.

    Raises `Unknown` for the name, and `Invalid` for a period that is too long and for unknown
    steps. `segments` has the definition of a segment for each row that is about certain guests.
    """
    from innkeeper.lake import reports  # noqa: PLC0415 - loads SQLGlot

    report = describe(name, parameters, most_periods=most_periods)
    parsed = _parse(name, parameters, most_periods)
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


def describe(
    name: str, parameters: ReportParameters, *, most_periods: int = MOST_PERIODS
) -> Record:
    """Return a report without its rows, which reads no data; raises `Unknown`, `Invalid`."""
    from innkeeper.lake import reports  # noqa: PLC0415

    report = existing(reports.EVERY.get(name), "Report", name)
    parsed = _parse(name, parameters, most_periods)
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


def takes(name: str, placeholder: str) -> bool:
    """Whether the SQL of a report has a placeholder, such as `chosen`."""
    from innkeeper.lake import reports  # noqa: PLC0415

    return reports.EVERY[name].takes(placeholder)


def is_over_time(name: str) -> bool:
    """Whether a report has a row for each day, week, month or year."""
    from innkeeper.lake import reports  # noqa: PLC0415

    return name in reports.EVERY and reports.EVERY[name].is_over_time


def list_reports() -> list[tuple[str, str]]:
    """List (name, title) of every report."""
    from innkeeper.lake import reports  # noqa: PLC0415

    return [(report.name, report.title) for report in reports.EVERY.values()]


async def _query_funnel(work: Work, lake: Lake, params: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    from innkeeper.lake import reports  # noqa: PLC0415

    steps = await _stored_types(work, lake, params["steps"])
    within = timedelta(days=params["window"]) if params["window"] else None
    column = reports.BREAKDOWNS[params["by"]] if params["by"] else None
    counts: list[dict[Any, int]] = [{} for _ in steps]
    for number, guests, *group in await lake.rows(reports.funnel(steps, params, within, column)):
        counts[number][group[0] if group else None] = int(guests)
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
    period = {name: params[name] for name in ("zone", "unit", "start", "until")}
    rows = await work.all("reports.merges", **period)
    return [(row["period"], row["merges"], row["undone"]) for row in rows]


def _parse(name: str, parameters: ReportParameters, most: int) -> dict[str, Any]:
    """Return the placeholders of a report; raises `Invalid` if it would list too many periods."""
    from innkeeper.lake import reports  # noqa: PLC0415

    parsed = placeholders(parameters, clock.now())
    unit, advice = parsed["unit"], _FEWER
    if name == reports.COHORTS:
        unit, most, advice = "week", MOST_COHORTS, "choose a later from"
    elif not reports.EVERY[name].is_over_time:
        return parsed
    count = count_periods(parsed["first"], parsed["last"], unit)
    if count > most:
        reason = f"would list {count} {unit}s, at most {most} are possible: {advice}"
        raise Invalid(Problem("from", reason))
    return parsed
