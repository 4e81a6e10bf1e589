"""Sequences of a segment as SQL: SQLGlot trees."""

from collections.abc import Sequence
from datetime import timedelta

from sqlglot import exp

from innkeeper.lake.segment_rule_sql import row_condition, rows_of
from innkeeper.rules.segments import SequenceStep


def guests_of_sequence(steps: Sequence[SequenceStep]) -> exp.Select:
    """SELECT guests with a row of each step in turn, each later than the one before.

    The `ends` of a step are the rows that end a chain of steps: rows whose latest end of the
    previous step is strictly earlier and within the step's time. Linear in the rows, except for the
    sort.
    """
    return exp.select("guest_ref").from_(chain_ends(steps).subquery("ends"))


def chain_ends(steps: Sequence[SequenceStep], only: exp.Expr | None = None) -> exp.Select:
    """SELECT (guest_ref, at) of the rows that end a chain of all steps, among rows that meet
    `only`."""
    ends = _step_rows(steps[0], only)
    for step in steps[1:]:
        ends = _without(ends, step, only) if step.absent else _followed(ends, step, only)
    return ends


def _step_rows(step: SequenceStep, only: exp.Expr | None, **flags: int) -> exp.Select:
    at = exp.alias_(exp.column(step.entity.at, "t"), "at")
    rows = rows_of(step.entity).where(row_condition(step, "t")).select(at)
    if only is not None:
        rows = rows.where(only.copy())
    for name, value in flags.items():
        rows = rows.select(exp.alias_(exp.Literal.number(value), name))
    return rows


def _marked(ends: exp.Select, step: SequenceStep, only: exp.Expr | None) -> exp.Subquery:
    """SELECT the ends of the previous steps (`mark` 1) together with the rows of a step (`mark`
    0)."""
    before = exp.select("guest_ref", "at", "1 AS mark").from_(ends.subquery("ends"))
    return exp.union(before, _step_rows(step, only, mark=0), distinct=False).subquery("both")


def _nearest(function: type[exp.AggFunc], mark: int, *, down: bool) -> exp.Expr:
    """The nearest time of a row with the other mark, strictly before or after each row."""
    case = exp.Case(
        ifs=[exp.If(this=exp.column("mark").eq(mark), true=exp.column("at"))],
    )
    # Of rows with one time, those that search come first, so that they do not find the others.
    order = exp.Order(
        expressions=[
            exp.Ordered(this=exp.column("at"), desc=down, nulls_first=False),
            exp.Ordered(this=exp.column("mark"), desc=bool(mark == 0), nulls_first=False),
        ]
    )
    return exp.Window(
        this=function(this=case),
        partition_by=[exp.column("guest_ref")],
        order=order,
        spec=exp.WindowSpec(
            kind="ROWS",
            start="UNBOUNDED",
            start_side="PRECEDING",
            end="CURRENT ROW",
        ),
    )


def _extreme(rows: exp.Select, function: type[exp.AggFunc]) -> exp.Subquery:
    """SELECT (guest_ref, bound): the first or last time of each guest's rows."""
    bound = exp.alias_(function(this=exp.column("at")), "bound")
    select = exp.select("guest_ref", bound).from_(rows.subquery("every"))
    return select.group_by("guest_ref").subquery("b")


def _followed(ends: exp.Select, step: SequenceStep, only: exp.Expr | None) -> exp.Select:
    """SELECT the rows of the step that follow an end within the time."""
    if step.within is None:
        # A row that follows any end follows the first: no sort is necessary.
        following = exp.select("s.guest_ref", "s.at").from_(_step_rows(step, only).subquery("s"))
        first = _extreme(ends, exp.Min)
        return following.join(first, on="b.guest_ref = s.guest_ref AND s.at > b.bound")
    near = exp.alias_(_nearest(exp.Max, 1, down=False), "near")
    rows = exp.select("guest_ref", "at", "mark", near).from_(_marked(ends, step, only))
    following = exp.select("guest_ref", "at").from_(rows.subquery("looked"))
    following = following.where(exp.column("mark").eq(0), exp.column("near").is_(exp.null()).not_())
    return following.where(_in_time("near", "at", step.within))


def _without(ends: exp.Select, step: SequenceStep, only: exp.Expr | None) -> exp.Select:
    """SELECT the ends that no row of the step follows within the time."""
    if step.within is None:
        last = _extreme(_step_rows(step, only), exp.Max)
        remaining = exp.select("e.guest_ref", "e.at").from_(ends.subquery("e"))
        remaining = remaining.join(last, on="b.guest_ref = e.guest_ref", join_type="left")
        return remaining.where("b.bound IS NULL OR b.bound <= e.at")
    near = exp.alias_(_nearest(exp.Min, 0, down=True), "near")
    rows = exp.select("guest_ref", "at", "mark", near).from_(_marked(ends, step, only))
    remaining = exp.select("guest_ref", "at").from_(rows.subquery("looked"))
    alone = exp.or_(
        exp.column("near").is_(exp.null()), exp.not_(_in_time("at", "near", step.within))
    )
    return remaining.where(exp.column("mark").eq(1), alone)


def _in_time(first: str, second: str, within: timedelta) -> exp.Expr:
    """A condition: the second time is within a duration after the first."""
    seconds = exp.Interval(
        this=exp.Literal.string(str(round(within.total_seconds()))), unit=exp.var("SECOND")
    )
    return exp.LTE(
        this=exp.column(second), expression=exp.Add(this=exp.column(first), expression=seconds)
    )
