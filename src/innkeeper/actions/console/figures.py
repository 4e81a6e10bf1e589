"""Figures of the start page: totals and time series."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from innkeeper import clock
from innkeeper.actions.console import search
from innkeeper.errors import Unavailable
from innkeeper.lake.snapshot import opened
from innkeeper.resources.base import Record
from innkeeper.rules.periods import first_day, list_periods
from innkeeper.store.work import Work

CACHE_SECONDS: Final = 30.0
"""Time for which figures are cached: they read whole files of the lake."""
PERIODS: Final = {"7": 7, "30": 30, "90": 90, "365": 365}
_cached: dict[tuple[str, str], tuple[float, "Figures"]] = {}


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of a period on the start page."""

    totals: Record
    guests: dict[str, int]
    times: list[date]
    by_time: dict[str, dict[str, list[float]]]
    """Name of a chart -> name of a series -> values by time."""
    paid: list[tuple[str, float, float]]
    """Currency, amount paid in the period, amount paid in the previous period."""
    minutes: list[int]
    """Number of events of each minute of the last hour, oldest first."""
    has_lake: bool = True
    """Whether the lake was read; otherwise the series of guests, orders and sessions are empty."""


async def read(work: Work, period: str) -> Figures:
    """Return the figures of the last `period` days, cached for `CACHE_SECONDS`.

    While the lake is busy or away they are the cached ones, or have no series of the lake.
    """
    key = (work.workspace, period)
    cached = _cached.get(key)
    if cached is not None and cached[0] > time.monotonic():
        return cached[1]
    now, days = clock.now(), PERIODS[period]
    unit = "day" if days <= 30 else "week" if days <= 90 else "month"
    since = _start(now, days, unit)
    try:
        series = await _read_lake(work, unit, since, now - timedelta(days=2 * days))
    except Unavailable:
        return cached[1] if cached else await _read(work, days, unit, now, None)
    figures = await _read(work, days, unit, now, series)
    if any(figures.guests.values()):  # the first guests are shown at once
        _cached[key] = (time.monotonic() + CACHE_SECONDS, figures)
    return figures


async def _read_lake(
    work: Work, unit: str, since: datetime, before: datetime
) -> list[list[Record]]:
    """Return rows of guests and sessions from `since`, and of orders from `before`: guests, orders,
    sessions. Raises `Unavailable`."""
    from innkeeper.lake import figures  # noqa: PLC0415 - loads SQLGlot

    starts = ((figures.GUESTS, since), (figures.ORDERS, before), (figures.SESSIONS, since))
    async with opened(work) as lake:
        return [await figures.read(lake, what, unit, start) for what, start in starts]


async def _read(
    work: Work, days: int, unit: str, now: datetime, series: list[list[Record]] | None
) -> Figures:
    """Return the figures with the series of the lake, if they were read."""
    since = _start(now, days, unit)
    guests, orders, sessions = series or ([], [], [])
    recent = [row for row in orders if row["at"] >= since.date()]
    hour = now.replace(second=0, microsecond=0) - timedelta(minutes=59)
    events = {row["at"]: row["number"] for row in await work.all("figures.events", since=hour)}
    main = max({row["what"] for row in recent}, default=None, key=lambda c: _sum(recent, c))
    times = list_periods(since.date(), now.date(), unit)
    merges = await work.all("figures.merges", unit=unit, since=since)
    return Figures(
        totals=await work.one("figures.totals", now=now) or {},
        guests=await search.counts(work),
        times=times,
        by_time={
            "guests": _series(times, guests),
            "orders": _series(times, recent),
            "revenue": _series(times, [row for row in recent if row["what"] == main], "revenue"),
            "sessions": _series(times, sessions),
            "merges": _series(times, merges),
        },
        paid=_paid(orders, (now - timedelta(days=days)).date()),
        minutes=[events.get(hour + timedelta(minutes=each), 0) for each in range(60)],
        has_lake=series is not None,
    )


def _start(now: datetime, days: int, unit: str) -> datetime:
    """Return the start of the first period of the last `days`."""
    first = first_day((now - timedelta(days=days - 1)).date(), unit)
    return datetime.combine(first, datetime.min.time(), UTC)


def _series(
    times: Sequence[date], rows: Sequence[Record], member: str = "number"
) -> dict[str, list[float]]:
    """Return series by name, greatest sum first: a value of `member` for each of `times`."""
    at = {day: index for index, day in enumerate(times)}
    series: dict[str, list[float]] = {}
    for row in rows:
        name = str(row.get("what") or "all")
        if row["at"] in at:
            values = series.setdefault(name, [0.0] * len(times))
            values[at[row["at"]]] += float(row[member] or 0)
    return dict(sorted(series.items(), key=lambda pair: -sum(pair[1])))


def _sum(rows: Sequence[Record], currency: Any) -> float:
    """Add the amounts paid in a currency."""
    return float(sum(row["revenue"] for row in rows if row["what"] == currency))


def _paid(rows: Sequence[Record], since: date) -> list[tuple[str, float, float]]:
    """Return (currency, amount paid since `since`, amount paid before), greatest amount first."""
    now = [row for row in rows if row["at"] > since]
    before = [row for row in rows if row["at"] <= since]
    currencies = {row["what"] for row in now if row["what"]}
    amounts = [(each, _sum(now, each), _sum(before, each)) for each in currencies]
    return sorted(amounts, key=lambda each: -each[1])


async def count_stored(work: Work) -> Record:
    """Count what the workspace holds: guests, orders, about how many events, valid keys."""
    return await work.row("figures.stored", workspace=work.workspace)
