"""Sequences of a segment as SQL: SQLGlot trees.

Times are microseconds since 1970. The condition "within a duration" is decided by intervals of that
length: of two times in one interval or in adjacent ones, only the first and last time of each guest
in each interval matter. So rows are grouped and joined by guest and interval, not sorted.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from sqlglot import exp

from innkeeper.lake.segment_rule_sql import row_condition, rows_of
from innkeeper.rules.segments import SequenceStep

_POSITIVE: Final = 10**17
"""Added to times, so that those of every year that can be stored are positive when divided."""


def guests_of_sequence(steps: Sequence[SequenceStep], only: exp.Expr | None = None) -> exp.Select:
    """SELECT guest_ref of guests with a row of each step in turn, each later than the one before,
    among rows that meet `only`; a guest may occur several times. Linear in the rows."""
    rows = [_rows_of_step(step, only) for step in steps]
    ends = rows[0]
    for step, of_step in zip(steps[1:-1], rows[1:-1], strict=True):
        ends = _after(ends, of_step, step.within)
    if len(steps) > 1:
        ends = _before(ends, rows[-1], steps[-1].within, absent=steps[-1].absent)
    return exp.select("guest_ref").from_(ends.subquery("ends"))


def _rows_of_step(step: SequenceStep, only: exp.Expr | None) -> exp.Select:
    """SELECT (guest_ref, at) of the rows that meet a step."""
    at = exp.UnixMicros(this=exp.column(step.entity.at, "t"))
    rows = rows_of(step.entity).where(row_condition(step, "t")).select(exp.alias_(at, "at"))
    return rows if only is None else rows.where(only.copy())


def _after(ends: exp.Select, rows: exp.Select, within: timedelta | None) -> exp.Select:
    """SELECT the rows of a step that follow an end of the steps before it."""
    if within is None:
        # Whatever follows any end follows the first.
        return _joined(rows, _bounds(ends, "min"), "b.guest_ref = e.guest_ref AND e.at > b.bound")
    length = _microseconds(within)
    bounds = _bounds_of_intervals(ends, length, "min", "max", adjacent=1)
    near = f"(b.same < e.at OR b.adjacent >= e.at - {length})"
    return _joined(rows, bounds, f"{_same_interval(length)} AND {near}")


def _before(
    ends: exp.Select, rows: exp.Select, within: timedelta | None, *, absent: bool
) -> exp.Select:
    """SELECT the ends that a row of the last step follows; with `absent`, those that none does."""
    if within is None:
        bounds = _bounds(rows, "max")
        on, near = "b.guest_ref = e.guest_ref", "b.bound > e.at"
    else:
        length = _microseconds(within)
        bounds = _bounds_of_intervals(rows, length, "max", "min", adjacent=-1)
        on, near = _same_interval(length), f"(b.same > e.at OR b.adjacent <= e.at + {length})"
    if absent:
        return _joined(ends, bounds, on, "left").where(f"NOT coalesce({near}, false)")
    return _joined(ends, bounds, f"{on} AND {near}")


def _joined(rows: exp.Select, bounds: exp.Select, on: str, how: str = "") -> exp.Select:
    """SELECT rows `e` by a join with at most one row `b` of bounds each."""
    select = exp.select("e.guest_ref", "e.at").from_(rows.subquery("e"))
    return select.join(bounds.subquery("b"), on=on, join_type=how, dialect="duckdb")


def _bounds(rows: exp.Select, function: str) -> exp.Select:
    """SELECT the first or last time of each guest's rows."""
    bound = f"{function}(at) AS bound"
    return exp.select("guest_ref", bound).from_(rows.subquery("r")).group_by("guest_ref")


def _bounds_of_intervals(
    rows: exp.Select, length: int, same: str, nearest: str, *, adjacent: int
) -> exp.Select:
    """SELECT for each guest and interval a time of the rows in that interval, and one of the rows
    in an adjacent interval, from which `adjacent` leads to it."""
    steps = exp.union("SELECT 0 AS step", "SELECT 1 AS step", distinct=False).subquery("steps")
    select = exp.select(
        "guest_ref",
        f"{_interval('r', length)} + {adjacent} * step AS number",
        f"{same}(CASE WHEN step = 0 THEN at END) AS same",
        f"{nearest}(CASE WHEN step = 1 THEN at END) AS adjacent",
        dialect="duckdb",
    ).from_(rows.subquery("r"))
    return select.join(steps, join_type="cross").group_by("1", "2")


def _same_interval(length: int) -> str:
    return f"b.guest_ref = e.guest_ref AND b.number = {_interval('e', length)}"


def _interval(table: str, length: int) -> str:
    """The number of the interval that a time is in."""
    return f"(({table}.at + {_POSITIVE}) // {max(length, 1)})"


def _microseconds(duration: timedelta) -> int:
    return duration // timedelta(microseconds=1)
