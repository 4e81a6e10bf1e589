"""The time zones of reports and pages, by name."""

from functools import cache
from typing import Final
from zoneinfo import ZoneInfo, available_timezones

from innkeeper.resources.values import ValueRefused

_OLD: Final = ("Etc/", "SystemV/", "US/", "Brazil/", "Canada/", "Chile/", "Mexico/")
"""Beginnings of names that tzdata keeps for compatibility."""


def read_time_zone(name: str) -> ZoneInfo:
    """Return the time zone of a name; raises `ValueRefused`."""
    if name not in _names():
        raise ValueRefused("must be the name of a time zone")
    return ZoneInfo(name)


@cache
def suggested_time_zones() -> list[str]:
    """List the names to choose from: UTC, then a region and a city each."""
    return ["UTC", *sorted(name for name in _names() if "/" in name and not name.startswith(_OLD))]


@cache
def _names() -> frozenset[str]:
    """Return the names that Python, PostgreSQL and DuckDB all accept: not `right/UTC` or the
    machine's own."""
    return frozenset(available_timezones()) - {"localtime"}
