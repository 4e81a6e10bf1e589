"""Sequences of a segment as SQL: SQLGlot trees.

Times are microseconds since 1970. The condition "within a duration" is decided by intervals of that
length: of two times in one interval or in adjacent ones, only the first and last time of each guest
in each interval matter. So rows are grouped and joined by guest and interval, not sorted.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final
from zlib import crc32

from sqlglot import exp

from innkeeper.lake.segment_rule_sql import row_condition, rows_of, types_condition
from innkeeper.rules.segments import SequenceStep

_POSITIVE: Final = 10**17
"""Added to times, so that those of every year that can be stored are positive when divided."""


def guests_of_sequence(steps: Sequence[SequenceStep], only: exp.Expr | None = None) -> exp.Select:
    """SELECT guest_ref of guests with a row of each step in turn, each later than the one before,
    among rows that meet `only`; a guest may occur several times. Linear in the rows."""
    near = _guests_near(steps, only)
    # A name of its own: of two with one name, Spark reads one of them.
    rows_near = "" if near is None else f"rows_near_{crc32(repr((steps, only)).encode())}"
    rows = [_rows_of_step(step, only, number, rows_near) for number, step in enumerate(steps)]
    ends = rows[0]
    for step, of_step in zip(steps[1:-1], rows[1:-1], strict=True):
        ends = _after(ends, of_step, step.within)
    if len(steps) > 1:
        ends = _before(ends, rows[-1], steps[-1].within, absent=steps[-1].absent)
    select = exp.select("guest_ref").from_(ends.subquery("ends"))
    if near is None:
        return select
    of_steps = _rows_of_guests(near, steps, only)
    return select.with_(rows_near, as_=of_steps, materialized=True)


def ends_of_steps(steps: Sequence[SequenceStep], only: exp.Expr) -> list[tuple[str, exp.Select]]:
    """Return for each step a name and a SELECT (guest_ref, at) of its rows that follow those of
    the steps before it, which it reads by name; among rows that meet `only`.

    Before a step without a time limit, of each guest only the first row matters.
    """
    results: list[tuple[str, exp.Select]] = []
    for number, step in enumerate(steps):
        rows = _rows_of_step(step, only, number, "")
        if results:
            before = exp.select("guest_ref", exp.column("at")).from_(results[-1][0])
            rows = _after(before, rows, step.within)
        if number + 1 == len(steps) or steps[number + 1].within is None:
            first = exp.select("guest_ref", exp.alias_(exp.Min(this=exp.column("at")), "at"))
            rows = first.from_(rows.subquery("r")).group_by("guest_ref")
        results.append((f"ends_{number}", rows))
    return results


def _guests_near(steps: Sequence[SequenceStep], only: exp.Expr | None) -> exp.Select | None:
    """SELECT the guests with a row of the first step's types before one of the last step's; None if
    that excludes nobody, or if the steps read several tables.

    A query by guest alone is much faster than by guest and interval, since files are in the order
    of guests.
    """
    required = [step for step in steps if not step.absent]
    if len(required) < 2 or len({step.entity.name for step in steps}) > 1:
        return None
    entity = steps[0].entity
    first, last = (
        exp.case().when(types_condition(step, "t"), exp.column(entity.at, "t"))
        for step in (required[0], required[-1])
    )
    rows = _limited(rows_of(entity), only)
    rows = rows.where(exp.or_(*(types_condition(step, "t") for step in required)))
    return rows.group_by("t.guest_ref").having(
        exp.LT(this=exp.Min(this=first), expression=exp.Max(this=last))
    )


def _rows_of_guests(
    guests: exp.Select, steps: Sequence[SequenceStep], only: exp.Expr | None
) -> exp.Select:
    """SELECT the rows of some guests that meet any step, and which steps each meets."""
    entity = steps[0].entity
    meets = [row_condition(step, "t") for step in steps]
    # Rules are evaluated once, for the rows of the right types.
    few = (types_condition(step, "t") if step.types else row_condition(step, "t") for step in steps)
    rows = _limited(rows_of(entity), only).where(exp.or_(*few))
    rows = rows.where(exp.column("guest_ref", "t").isin(query=guests))
    at = exp.UnixMicros(this=exp.column(entity.at, "t"))
    step_columns = (exp.alias_(each, f"step_{number}") for number, each in enumerate(meets))
    return rows.select(exp.alias_(at, "at"), *step_columns)


def _limited(rows: exp.Select, only: exp.Expr | None) -> exp.Select:
    return rows if only is None else rows.where(only.copy())


def _rows_of_step(
    step: SequenceStep, only: exp.Expr | None, number: int, rows_near: str
) -> exp.Select:
    """SELECT (guest_ref, at) of the rows that meet a step."""
    if rows_near:
        return exp.select("guest_ref", exp.column("at")).from_(rows_near).where(f"step_{number}")
    at = exp.UnixMicros(this=exp.column(step.entity.at, "t"))
    rows = rows_of(step.entity).where(row_condition(step, "t")).select(exp.alias_(at, "at"))
    return _limited(rows, only)


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
