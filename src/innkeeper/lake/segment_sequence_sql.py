"""Sequences of a segment as SQL: SQLGlot trees.

Times are microseconds since 1970. The condition "within a duration" is decided by intervals of that
length: of two times in one interval or in adjacent ones, only the first and last time of each guest
in each interval matter. So rows are joined by guest and interval, not sorted.
"""

# ruff: noqa: S608 - the texts are made of this module's own words

from collections.abc import Sequence
from datetime import timedelta
from typing import Final
from zlib import crc32

from sqlglot import exp

from innkeeper.lake.segment_rule_sql import row_condition, rows_of
from innkeeper.rules.segments import SequenceStep

_POSITIVE: Final = 10**17
"""Added to times, so that those of every year that can be stored are positive when divided."""
_STEPS: Final = "(SELECT 0 AS step UNION ALL SELECT 1) AS steps"
"""From an interval to itself and to the adjacent one."""


def guests_of_sequence(steps: Sequence[SequenceStep]) -> exp.Select:
    """SELECT guest_ref of guests with a row of each step in turn, each later than the one before; a
    guest may occur several times. Linear in the rows."""
    ends, *rows = map(_rows_of_step, steps)
    for step, of_step in zip(steps[1:-1], rows[:-1], strict=True):
        ends = _after(ends, of_step, step.within)
    if rows:
        ends = _before(ends, rows[-1], steps[-1].within, absent=steps[-1].absent)
    return exp.select("guest_ref").from_(ends.subquery("ends"))


def ends_of_steps(steps: Sequence[SequenceStep], only: exp.Expr) -> list[tuple[str, exp.Select]]:
    """Return for each step a name and a SELECT (guest_ref, at) of its rows that follow those of
    the steps before it, which it reads by name; among rows that meet `only`.

    Before a step without a time limit, of each guest only the first row matters.
    """
    results: list[tuple[str, exp.Select]] = []
    for number, step in enumerate(steps):
        rows = _rows_of_step(step).where(only.copy())
        if results:
            before = _pairs(results[-1][0])
            rows = _after(before, rows, step.within)
        if number + 1 == len(steps) or steps[number + 1].within is None:
            first = exp.select("guest_ref", exp.alias_(exp.Min(this=exp.column("at")), "at"))
            rows = first.from_(rows.subquery("r")).group_by("guest_ref")
        results.append((f"ends_{number}", rows))
    return results


def _rows_of_step(step: SequenceStep) -> exp.Select:
    """SELECT (guest_ref, at) of the rows `t` that meet a step."""
    at = exp.UnixMicros(this=exp.column(step.entity.at, "t"))
    return rows_of(step.entity).where(row_condition(step, "t")).select(exp.alias_(at, "at"))


def _after(ends: exp.Select, rows: exp.Select, within: timedelta | None) -> exp.Select:
    """SELECT the rows of a step that follow an end of the steps before it."""
    if within is None:
        # Whatever follows any end follows the first.
        return _joined(rows, _bounds(ends, "min"), "b.guest_ref = e.guest_ref AND b.bound < e.at")
    return _near(rows, ends, _microseconds(within), later=False)


def _before(
    ends: exp.Select, rows: exp.Select, within: timedelta | None, *, absent: bool
) -> exp.Select:
    """SELECT the ends that a row of the last step follows; with `absent`, those that none does."""
    if within is None:
        bounds, on = _bounds(rows, "max"), "b.guest_ref = e.guest_ref AND b.bound > e.at"
    elif absent:
        length = _microseconds(within)
        bounds, on = _bounds_of_intervals(rows, length, later=True), _is_near(length, later=True)
    else:
        return _near(ends, rows, _microseconds(within), later=True)
    if absent:
        return _joined(ends, bounds, on, "left").where("b.bound IS NULL")
    return _joined(ends, bounds, on)


def _near(rows: exp.Select, others: exp.Select, length: int, *, later: bool) -> exp.Select:
    """SELECT the rows with one of the others later (or earlier) within a time.

    Most rows have no other in their interval or the adjacent one, which is fast to find, and the
    others of the remaining guests are few.
    """
    # Names of their own: of two with one name, Spark reads one of them.
    number = crc32(f"{rows.sql()} {others.sql()} {length} {later}".encode())
    near, them = f"near_{number}", f"others_{number}"
    keys = (
        f"SELECT guest_ref, {_interval('r', length)} {'-' if later else '+'} step FROM {them} AS r"
    )
    key_is_near = f"(e.guest_ref, {_interval('e', length)}) IN ({keys} CROSS JOIN {_STEPS})"
    few = exp.select("e.guest_ref", "e.at").from_(rows.subquery("e"))
    few = few.where(key_is_near, dialect="duckdb")
    of_few = _pairs(them).where(f"guest_ref IN (SELECT guest_ref FROM {near})")
    bounds = _bounds_of_intervals(of_few, length, later=later)
    select = _joined(_pairs(near), bounds, _is_near(length, later=later))
    return select.with_(them, as_=others, materialized=True).with_(near, as_=few, materialized=True)


def _joined(rows: exp.Select, bounds: exp.Select, on: str, how: str = "") -> exp.Select:
    """SELECT rows `e` by a join with at most one row `b` of bounds each."""
    select = exp.select("e.guest_ref", "e.at").from_(rows.subquery("e"))
    return select.join(bounds.subquery("b"), on=on, join_type=how, dialect="duckdb")


def _bounds(rows: exp.Select, function: str) -> exp.Select:
    """SELECT the first or last time of each guest's rows."""
    bound = f"{function}(at) AS bound"
    return exp.select("guest_ref", bound).from_(rows.subquery("r")).group_by("guest_ref")


def _bounds_of_intervals(rows: exp.Select, length: int, *, later: bool) -> exp.Select:
    """SELECT for each guest and interval `number` the bounds to compare its rows with: that of the
    rows in the same interval, and the nearest in the adjacent, later (or earlier) one."""
    same, adjacent = ("latest", "earliest") if later else ("earliest", "latest")
    intervals = exp.select(
        "guest_ref",
        f"{_interval('r', length)} AS number",
        "min(r.at) AS earliest",
        "max(r.at) AS latest",
        dialect="duckdb",
    )
    intervals = intervals.from_(rows.subquery("r")).group_by("1", "2")
    select = exp.select(
        "guest_ref",
        f"number {'-' if later else '+'} step AS number",
        f"CASE step WHEN 0 THEN {same} ELSE {adjacent} END AS bound",
    )
    return select.from_(intervals.subquery("i")).join(_STEPS, join_type="cross", dialect="duckdb")


def _pairs(name: str) -> exp.Select:
    return exp.select("guest_ref", exp.column("at")).from_(name)


def _is_near(length: int, *, later: bool) -> str:
    """Whether `b` is a bound of the interval of row `e`, and later (or earlier) within the time."""
    limits = (
        f"b.bound > e.at AND b.bound <= e.at + {length}"
        if later
        else f"b.bound < e.at AND b.bound >= e.at - {length}"
    )
    return f"b.guest_ref = e.guest_ref AND b.number = {_interval('e', length)} AND {limits}"


def _interval(table: str, length: int) -> str:
    """The number of the interval that a time is in."""
    return f"(({table}.at + {_POSITIVE}) // {max(length, 1)})"


def _microseconds(duration: timedelta) -> int:
    return duration // timedelta(microseconds=1)
