"""The charts of reports: what `templates/report_charts.html` draws for the rows of each."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any, Final

from innkeeper import clock
from innkeeper.resources.base import Record
from innkeeper.rules.periods import first_day, list_periods
from innkeeper.web.ui.formatting import title_words, type_words

SERIES: Final = ("currency", "type")
"""Second columns of reports over time whose values name a series; else each column is one."""
FIFTHS: Final = (5, 4, 3, 2, 1)
MOST_SERIES: Final = 5
MOST_WEEKS: Final = 13

_LABELS: Final = {"year": 4, "month": 7}
"""Unit of time -> the characters of its first day that name it, unless they are all."""


def chart_of(name: str, report: Record, unit: str) -> dict[str, Any]:
    """Return the chart of a report: its `kind`, and the members that this kind needs."""
    rows = report["rows"]
    if not rows or (name == "funnel" and not any(row[1] for row in rows)):
        return {"kind": "nothing"}
    columns = report["columns"]
    if columns[:1] == ["period"]:
        last = date.fromisoformat(report["last_day"])
        is_open = first_day(clock.now().date(), unit) <= first_day(last, unit)
        chart = _over_time(report, columns[1] if columns[1] in SERIES else "", unit)
        return {**chart, "open_unit": unit if is_open else ""}
    charts = {"retention": _retention, "rfm": _rfm, "rfm_groups": _groups, "funnel": _funnel}
    if name in charts:
        return charts[name](report)
    return _ranking(report, "currency" if "currency" in columns[1:] else "")


def _over_time(report: Record, by: str, unit: str) -> dict[str, Any]:
    """Return bars over time: a chart for each currency, since currencies are never added, else
    one chart."""
    columns = report["columns"]
    first, last = date.fromisoformat(report["first_day"]), date.fromisoformat(report["last_day"])
    periods = list_periods(first, last, unit)
    labels = [at.isoformat()[: _LABELS.get(unit)] for at in periods]
    if not by:
        series = [
            (title_words(each), _column_values(report, periods, each)) for each in columns[1:]
        ]
        return {
            "kind": "time",
            "labels": labels,
            "charts": [(title_words(report["value"]), series)],
        }
    sums = _series(report, columns.index(by))
    names = sorted(sums, key=lambda name: -sum(sums[name].values()))
    if by != "currency" and len(names) > MOST_SERIES:
        other: dict[date, float] = defaultdict(float)
        for name in names[MOST_SERIES - 1 :]:
            for at, value in sums.pop(name).items():
                other[at] += value
        names = [*names[: MOST_SERIES - 1], "other"]
        sums["other"] = other
    series = [
        (type_words(name) if by == "type" else name, [sums[name].get(at, 0.0) for at in periods])
        for name in names
    ]
    if by == "currency":
        charts = [
            (f"{title_words(report['value'])}, {each}", [(each, values)]) for each, values in series
        ]
    else:
        charts = [(title_words(report["value"]), series)]
    return {"kind": "time", "labels": labels, "charts": charts}


def _series(report: Record, position: int) -> dict[str, dict[date, float]]:
    """Return the values of each name in the column at `position`, by period."""
    value = report["columns"].index(report["value"])
    sums: dict[str, dict[date, float]] = {}
    for row in report["rows"]:
        sums.setdefault(str(row[position] or "none"), {})[row[0]] = float(row[value] or 0)
    return sums


def _column_values(report: Record, periods: Sequence[date], column: str) -> list[float]:
    """Return a column's values, one for each period; 0 for a period without a row."""
    position = report["columns"].index(column)
    values = {row[0]: float(row[position] or 0) for row in report["rows"]}
    return [values.get(at, 0.0) for at in periods]


def _ranking(report: Record, by: str) -> dict[str, Any]:
    """Return the bars of each group: (heading, [(name, value, per cent of the largest, the row by
    column)])."""
    columns = report["columns"]
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for row in report["rows"]:
        by_column = dict(zip(columns, row, strict=True))
        groups.setdefault(str(by_column[by] or "") if by else "", []).append(by_column)
    ranked = []
    for group, rows in groups.items():
        top = max((float(row[report["value"]] or 0) for row in rows), default=0) or 1
        bars = [
            (
                type_words(row["type"]) if columns[0] == "type" else row[columns[0]],
                row[report["value"]],
                100 * float(row[report["value"]] or 0) / top,
                row,
            )
            for row in rows
        ]
        ranked.append((group, bars))
    return {"kind": "ranking", "groups": ranked, "first": columns[0]}


def _retention(report: Record) -> dict[str, Any]:
    """Return rows of cohorts, (first day, guests, [share of each week, None for future weeks]), and
    the same of all cohorts together."""
    cohorts: dict[date, dict[int, tuple[int, float]]] = {}
    for cohort, week, guests, share in report["rows"]:
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
    weekly = [[(many, of[week]) for _, many, of in rows] for week in range(MOST_WEEKS)]
    return {
        "kind": "retention",
        "rows": rows,
        "all": (sum(many for _, many, _ in rows), [_mean(pairs) for pairs in weekly]),
        "weeks": range(MOST_WEEKS),
        "top": max(later, default=1),
    }


def _mean(pairs: Iterable[tuple[int, float | None]]) -> float | None:
    """Return the mean of shares, weighted by guests, of those that have a share."""
    present = [(guests, share) for guests, share in pairs if share is not None]
    total = sum(guests for guests, _ in present)
    return sum(guests * share for guests, share in present) / total if total else None


def _rfm(report: Record) -> dict[str, Any]:
    """Return the cells of each recency (rows) by value (columns): a row of the report by column,
    with its position and its share of the largest cell; None for an empty cell."""
    cells = {}
    top = max(row[2] for row in report["rows"])
    for position, row in enumerate(report["rows"]):
        by_column = dict(zip(report["columns"], row, strict=True))
        more = {"position": position, "of_top": by_column["guests"] / top}
        cells[row[0], row[1]] = by_column | more
    grid = [
        (recency, [(value, cells.get((recency, value))) for value in reversed(FIFTHS)])
        for recency in FIFTHS
    ]
    return {"kind": "rfm", "grid": grid, "columns": sorted(FIFTHS)}


def _groups(report: Record) -> dict[str, Any]:
    """Return the named groups of buyers, each by column."""
    groups = [dict(zip(report["columns"], row, strict=True)) for row in report["rows"]]
    return {"kind": "groups", "groups": groups}


def _funnel(report: Record) -> dict[str, Any]:
    """Return the steps of each group of guests, each by column, with its position."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for position, row in enumerate(report["rows"]):
        by_column = {**dict(zip(report["columns"], row, strict=True)), "position": position}
        groups.setdefault(str(by_column.get("group") or "Unknown"), []).append(by_column)
    is_split = "group" in report["columns"]
    return {"kind": "funnel", "groups": list(groups.items()), "is_split": is_split}
