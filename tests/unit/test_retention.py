"""The table of retention: cohorts, weeks that are over, and all cohorts together."""

from datetime import UTC, datetime

import pytest

from innkeeper.web.ui import report_charts


def test_all_cohorts_are_weighted_by_their_guests(monkeypatch: pytest.MonkeyPatch) -> None:
    """By hand: of 10 and 30 guests 5 and 3 came back after a week, 8 of 40; a second week has
    only the older cohort."""
    monkeypatch.setattr("innkeeper.clock.now", lambda: datetime(2026, 11, 20, tzinfo=UTC))
    old, new = (datetime(2026, 11, day, tzinfo=UTC).date() for day in (2, 9))
    rows = [(old, 0, 10, 1.0), (old, 1, 5, 0.5), (old, 2, 2, 0.2), (new, 0, 30, 1.0)]
    rows.append((new, 1, 3, 0.1))
    chart = report_charts.chart_of("retention", {"rows": rows, "columns": []}, "")
    guests, shares = chart["all"]
    assert guests == 40
    assert shares[:4] == [1.0, pytest.approx(0.2), 0.2, None]
