"""Days, weeks (from Monday), months and years, by their first days."""

from datetime import date, timedelta
from typing import Final

_LONGEST: Final = {
    "day": timedelta(days=1),
    "week": timedelta(days=7),
    "month": timedelta(days=31),
    "year": timedelta(days=366),
}


def first_day(day: date, unit: str) -> date:
    """Return the first day of the period that contains a day, as `date_trunc` does."""
    if unit == "week":
        return day - timedelta(days=day.weekday())
    if unit == "month":
        return day.replace(day=1)
    return day.replace(month=1, day=1) if unit == "year" else day


def list_periods(first: date, last: date, unit: str) -> list[date]:
    """List the first days of all periods that contain any day from `first` to `last`."""
    periods = [first_day(first, unit)]
    while (following := first_day(periods[-1] + _LONGEST[unit], unit)) <= last:
        periods.append(following)
    return periods


def count_periods(first: date, last: date, unit: str) -> int:
    """Count the periods that contain any day from `first` to `last`, without listing them."""
    if unit == "year":
        return last.year - first.year + 1
    if unit == "month":
        return 12 * (last.year - first.year) + last.month - first.month + 1
    return (first_day(last, unit) - first_day(first, unit)) // _LONGEST[unit] + 1
