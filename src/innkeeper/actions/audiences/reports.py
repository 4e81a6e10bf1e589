"""Reports, answered from the lake: `innkeeper report …` and /innkeeper/v1/reports."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from innkeeper import clock
from innkeeper.actions.audiences.event_names import list_event_types, unknown_events
from innkeeper.errors import Invalid, Problem, Unknown
from innkeeper.lake.snapshot import Lake, opened
from innkeeper.resources.base import Record
from innkeeper.resources.events import STANDARD
from innkeeper.resources.kinds import CURRENCY
from innkeeper.resources.values import ValueRefused
from innkeeper.store.work import Work

UNITS: Final = ("day", "week", "month", "year")
DAYS: Final = 90
_FEWER: Final = "choose a later from, or a longer interval (week, month, year)"
MOST: Final = 1000
MOST_PERIODS: Final = 10_000
"""Days, weeks, months or years that a report may list."""
MOST_COHORTS: Final = 260
"""Weeks whose guests are followed: each has a row for every week since."""
MOST_ROWS: Final = 20_000
STEPS: Final = ("VIEW", "ADD", "CONFIRM", "CHECKOUT")


async def run(
    work: Work, name: str, asked: Mapping[str, str], *, most_periods: int = MOST_PERIODS
) -> Record:
    """A report: its title, columns and rows; raises `Unknown`, and `Invalid` for a parameter.

    `asked`: from and to (days, both included), timeZone, interval, currency, limit, steps.
    """
    from innkeeper.lake import reports  # noqa: PLC0415 - loads SQLGlot

    found = describe(name, asked, most_periods=most_periods)
    given = _read_parameters(name, asked, most_periods)
    if name == reports.MERGES.name:
        rows = await _query_merges(work, given)
    else:
        async with opened(work) as lake:
            if name == reports.FUNNEL.name:
                rows = await _query_funnel(work, lake, given)
            else:
                tree = reports.question(reports.EVERY[name], given, most=MOST_ROWS + 1)
                rows = await lake.rows(tree)
    if len(rows) > MOST_ROWS:
        raise Invalid(Problem("from", f"would list more than {MOST_ROWS} rows: {_FEWER}"))
    return {**found, "rows": [list(row) for row in rows]}


def describe(name: str, asked: Mapping[str, str], *, most_periods: int = MOST_PERIODS) -> Record:
    """The same without its rows, which takes no look at the data."""
    from innkeeper.lake import reports  # noqa: PLC0415

    report = reports.EVERY.get(name)
    if report is None:
        raise Unknown("Report", name)
    given = _read_parameters(name, asked, most_periods)
    return {
        "report": name,
        "title": report.title,
        "time_zone": given["zone"],
        "first_day": given["first_day"],
        "last_day": given["last_day"],
        "columns": list(report.columns),
        "value": report.value,
        "rows": [],
    }


def list_reports() -> list[tuple[str, str]]:
    """(name, title) of every report."""
    from innkeeper.lake import reports  # noqa: PLC0415

    return [(report.name, report.title) for report in reports.EVERY.values()]


async def _query_funnel(work: Work, lake: Lake, given: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    from innkeeper.lake import reports  # noqa: PLC0415

    steps = await _stored_types(work, lake, given["steps"])
    rows: list[tuple[Any, ...]] = []
    for step, tree in zip(steps, reports.funnel(steps, given), strict=True):
        guests = int((await lake.rows(tree))[0][0])
        first = rows[0][1] if rows else guests
        rows.append((step, guests, round(guests / first, 4) if first else 0))
    return rows


async def _stored_types(work: Work, lake: Lake, names: Sequence[str]) -> list[str]:
    """Event types as they are stored, whatever the case; raises `Invalid` for those of no event."""
    words = [name.strip().upper() for name in names]
    if not STANDARD.issuperset(words):
        known = await list_event_types(work, lake)
        if problems := unknown_events((("steps", word) for word in words), known):
            raise Invalid(*problems)
    return words


async def _query_merges(work: Work, given: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    found = await work.all(
        "reports.merges",
        zone=given["zone"],
        unit=given["unit"],
        start=given["start"],
        until=given["until"],
    )
    return [(row["period"], row["merges"], row["undone"]) for row in found]


def _read_parameters(name: str, asked: Mapping[str, str], most_periods: int) -> dict[str, Any]:
    problems: list[Problem] = []
    zone = asked.get("timeZone") or "UTC"
    try:
        local = ZoneInfo(zone)
    except (KeyError, ValueError, OSError):
        problems.append(Problem("timeZone", "must be the name of a time zone"))
        local = ZoneInfo("UTC")
    today = clock.now().astimezone(local).date()
    last = _read_day(asked, "to", today, problems)
    first = _read_day(asked, "from", last - timedelta(days=DAYS - 1), problems)
    if first > last:
        problems.append(Problem("from", "must not be after to"))
    unit = asked.get("interval") or "day"
    if unit not in UNITS:
        problems.append(Problem("interval", f"value must be one of {','.join(UNITS)}"))
        unit = "day"
    problems += _too_long(name, first, last, unit, most_periods)
    try:
        currency = CURRENCY.read(asked.get("currency") or "EUR")
    except ValueRefused as refused:
        problems.append(Problem("currency", refused.reason))
        currency = "EUR"
    most = asked.get("limit") or "20"
    if not (most.isascii() and most.isdigit() and 0 < int(most[:9]) <= MOST):
        problems.append(Problem("limit", f"must be a whole number from 1 to {MOST}"))
        most = "20"
    steps = [word for word in (asked.get("steps") or ",".join(STEPS)).split(",") if word]
    if not 1 <= len(steps) <= 10:
        problems.append(Problem("steps", "must be 1 to 10 event types, joined by commas"))
    if problems:
        raise Invalid(*problems)
    return {
        "zone": zone,
        "unit": unit,
        "currency": currency,
        "most": int(most),
        "steps": steps,
        "first_day": first.isoformat(),
        "last_day": last.isoformat(),
        "after_day": (last + timedelta(days=1)).isoformat(),
        "start": _midnight(first, local),
        "until": _midnight(last + timedelta(days=1), local),
    }


def _too_long(name: str, first: date, last: date, unit: str, most: int) -> Iterator[Problem]:
    """The problem of a report that would list too many periods."""
    from innkeeper.lake import reports  # noqa: PLC0415

    if name == reports.COHORTS:
        unit, most, advice = "week", MOST_COHORTS, "choose a later from"
    elif name in reports.OVER_TIME:
        advice = _FEWER
    else:
        return
    found = count_periods(first, last, unit)
    if found > most:
        yield Problem("from", f"would list {found} {unit}s, at most {most} are possible: {advice}")


def count_periods(first: date, last: date, unit: str) -> int:
    """How many days, weeks, months or years there is a day of between two days, both included."""
    if unit == "year":
        return last.year - first.year + 1
    if unit == "month":
        return 12 * (last.year - first.year) + last.month - first.month + 1
    if unit == "week":
        return (last.toordinal() - 1) // 7 - (first.toordinal() - 1) // 7 + 1
    return (last - first).days + 1


def _read_day(asked: Mapping[str, str], name: str, default: date, problems: list[Problem]) -> date:
    text = asked.get(name)
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
    """The instant at which a day begins in a time zone."""
    begins = datetime(day.year, day.month, day.day, tzinfo=local)
    return begins.astimezone(UTC).isoformat()
