"""Translate a segment definition into SQL, as a SQLGlot tree."""

from collections.abc import Mapping
from typing import Final

from sqlglot import exp

from innkeeper.lake.segment_rule_sql import (
    TraitSql,
    compared,
    negated,
    number_literal,
    row_condition,
    rows_of,
    summand,
)
from innkeeper.lake.segment_sequence_sql import guests_of_sequence
from innkeeper.resources.definitions import OR
from innkeeper.resources.segments import RETIRED
from innkeeper.rules.segments import Amount, Definition, FilterGroup

REQUESTED_GUESTS: Final = "requested_guests"
"""Name of a table of guest refs, if only these guests are examined."""


def members(definition: Definition, traits: Mapping[str, TraitSql] | None = None) -> exp.Select:
    """SELECT guest_ref of every guest that meets a definition which `resolved` made absolute."""
    conditions = [condition(group, traits or {}) for group in definition.groups]
    join = exp.or_ if definition.operator == OR else exp.and_
    select = exp.select("g.guest_ref").from_("guests AS g").where(join(*conditions))
    if not definition.retired and not any(_names_retired(group) for group in definition.groups):
        select = select.where(exp.column("type", "g").neq(RETIRED))
    return select


def limit_to_requested(select: exp.Select) -> exp.Select:
    """Do the same for the guests in the table `requested_guests` only."""
    return select.where(
        exp.column("guest_ref", "g").isin(query=exp.select("guest_ref").from_(REQUESTED_GUESTS))
    )


def condition(group: FilterGroup, traits: Mapping[str, TraitSql]) -> exp.Expr:
    """A condition: the guest `g` meets a group."""
    if group.sequence:
        meets: exp.Expr = _among(guests_of_sequence(group.sequence))
    elif group.entity.name == "guest":
        meets = row_condition(group, "g", traits)
    else:
        meets = _counted(group)
    return negated(meets) if group.exclude else meets


def _names_retired(group: FilterGroup) -> bool:
    return group.entity.name == "guest" and RETIRED in (word.upper() for word in group.types)


def _among(guests: exp.Query) -> exp.Expr:
    return exp.column("guest_ref", "g").isin(query=guests)


def _counted(group: FilterGroup) -> exp.Expr:
    """A condition on how many rows of a guest meet the rules, and on their total.

    A guest without rows has no group of rows. If such a guest meets the condition, the query is
    inverted: it excludes the guests whose rows do not meet it.
    """
    where = row_condition(group, "t")
    if group.currency is not None:
        same = exp.column("core_currency_code", "t").eq(group.currency)
        where = exp.and_(where, same)
    rows = rows_of(group.entity).where(where)
    tests: list[tuple[exp.Expr, Amount]] = []
    if group.count is not None:
        tests.append((exp.Count(this=exp.Star()), group.count))
    if group.total is not None:
        added = exp.func("coalesce", exp.Sum(this=summand("t", group.total_column)), "0")
        tests.append((exp.func("round", added, exp.Literal.number(6)), group.total))
    if not tests:
        return _among(rows)
    rows = rows.group_by("t.guest_ref")
    having = exp.and_(*(_amount(number, amount) for number, amount in tests))
    if all(amount.holds(0) for _, amount in tests):
        return exp.not_(_among(rows.having(exp.not_(having))))
    return _among(rows.having(having))


def _amount(number: exp.Expr, amount: Amount) -> exp.Expr:
    values = [number_literal(value) for value in amount.values]
    meets = compared(amount.test, number, values)
    return exp.not_(meets) if amount.negative else meets
