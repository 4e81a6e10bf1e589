"""Periods of reports and of the start page, by hand."""

from datetime import date

import pytest

from innkeeper.rules.periods import count_periods, list_periods


@pytest.mark.parametrize(
    ("first", "last", "unit", "periods"),
    [
        ("2024-02-28", "2024-03-01", "day", ["2024-02-28", "2024-02-29", "2024-03-01"]),
        ("2024-02-29", "2024-02-29", "day", ["2024-02-29"]),
        ("2024-12-29", "2024-12-30", "week", ["2024-12-23", "2024-12-30"]),
        ("2024-01-31", "2024-03-01", "month", ["2024-01-01", "2024-02-01", "2024-03-01"]),
        ("2023-12-31", "2025-01-01", "year", ["2023-01-01", "2024-01-01", "2025-01-01"]),
    ],
)
def test_periods_from_a_day_to_a_day(first: str, last: str, unit: str, periods: list[str]) -> None:
    days = date.fromisoformat(first), date.fromisoformat(last)
    assert [str(day) for day in list_periods(*days, unit)] == periods
    assert count_periods(*days, unit) == len(periods)
