"""Figures of the start page: how much there is, and how it came over time."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from innkeeper import clock
from innkeeper.actions.console import search
from innkeeper.resources.base import Record
from innkeeper.rules.revenue import NOT_BOUGHT, REFUNDED, UNPAID
from innkeeper.store.work import Work

CACHE_SECONDS: Final = 30.0
"""Time for which figures are shown again: they read whole tables."""
PERIODS: Final = {"7": 7, "30": 30, "90": 90, "365": 365}
_cached: dict[tuple[str, str], tuple[float, "Figures"]] = {}


@dataclass(frozen=True, slots=True)
class Figures:
    """What the start page shows of a period."""

    totals: Record
    guests: dict[str, int]
    times: list[datetime]
    by_time: dict[str, dict[str, list[float]]]
    """Name of a chart -> name of a series -> values by time."""
    paid: list[tuple[str, Decimal, Decimal]]
    """Currency, paid in the period, paid in the one before."""
    minutes: list[int]
    """Events of each minute of the last hour."""


async def read(work: Work, period: str) -> Figures:
    """The figures of the last `period` days, at most half a minute old."""
    key = (work.workspace, period)
    known = _cached.get(key)
    if known is not None and known[0] > time.monotonic():
        return known[1]
    found = await _read(work, PERIODS[period])
    _cached[key] = (time.monotonic() + CACHE_SECONDS, found)
    return found


async def _read(work: Work, days: int) -> Figures:
    now = clock.now()
    unit = "day" if days <= 30 else "week" if days <= 90 else "month"
    since = _start(now - timedelta(days=days - 1), unit)
    asked: dict[str, Any] = {"unit": unit, "since": since}
    times = _times(since, now, unit)
    orders = await work.all(
        "figures.orders",
        **asked | {"since": now - timedelta(days=2 * days)},
        unpaid=list(UNPAID),
        not_bought=list(NOT_BOUGHT),
        refunded=REFUNDED,
    )
    recent = [row for row in orders if row["at"] >= since]
    hour = now.replace(second=0, microsecond=0) - timedelta(minutes=59)
    events = {row["at"]: row["number"] for row in await work.all("figures.events", since=hour)}
    main = max({row["what"] for row in recent}, default=None, key=lambda c: _sum(recent, c))
    return Figures(
        totals=await work.one("figures.totals", now=now) or {},
        guests=await search.counts(work),
        times=times,
        by_time={
            "guests": _series(times, await work.all("figures.guests", **asked)),
            "orders": _series(times, recent),
            "revenue": _series(times, [row for row in recent if row["what"] == main], "paid"),
            "sessions": _series(times, await work.all("figures.sessions", **asked)),
            "merges": _series(times, await work.all("figures.merges", **asked)),
        },
        paid=_paid(orders, now - timedelta(days=days)),
        minutes=[events.get(hour + timedelta(minutes=each), 0) for each in range(60)],
    )


def _start(at: datetime, unit: str) -> datetime:
    day = at.replace(hour=0, minute=0, second=0, microsecond=0)
    if unit == "week":
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if unit == "month" else day


def _times(since: datetime, until: datetime, unit: str) -> list[datetime]:
    found = [since]
    while True:
        step = {"day": 1, "week": 7, "month": 32}[unit]
        following = _start(found[-1] + timedelta(days=step), unit)
        if following > until:
            return found
        found.append(following)


def _series(
    times: Sequence[datetime], rows: Sequence[Record], member: str = "number"
) -> dict[str, list[float]]:
    at = {moment: index for index, moment in enumerate(times)}
    found: dict[str, list[float]] = {}
    for row in rows:
        name = str(row.get("what") or "all")
        if row["at"] in at:
            values = found.setdefault(name, [0.0] * len(times))
            values[at[row["at"]]] += float(row[member] or 0)
    return dict(sorted(found.items(), key=lambda pair: -sum(pair[1])))


def _sum(rows: Sequence[Record], currency: Any) -> Decimal:
    return sum((row["paid"] or Decimal() for row in rows if row["what"] == currency), Decimal())


def _paid(rows: Sequence[Record], since: datetime) -> list[tuple[str, Decimal, Decimal]]:
    now = [row for row in rows if row["at"] >= since]
    before = [row for row in rows if row["at"] < since]
    currencies = {row["what"] for row in now if row["what"]}
    found = [(each, _sum(now, each), _sum(before, each)) for each in currencies]
    return sorted(found, key=lambda each: -each[1])
