"""Computed traits as SQL: SELECT guest_ref, value, with one row for each guest that has a value."""

from typing import Any

from sqlglot import exp, parse_one

from innkeeper.lake import revenue_sql
from innkeeper.lake.catalogue_sql import ranked
from innkeeper.lake.rfm_sql import scored
from innkeeper.lake.segment_rule_sql import counted_value, row_condition, summand
from innkeeper.resources.segments import NUMBER
from innkeeper.rules.traits import Trait


def trait_values(trait: Trait, *, every: bool = True, among: str = "") -> exp.Select:
    """SELECT a trait of guests. With `every`, counts and sums are 0 for guests without rows.

    `among`: a table of the few guests whose values are needed; a score needs all of them.
    """
    value = "value"
    if trait.relative:
        return _scored(trait)
    if trait.function in ("latest", "most_common"):
        return _picked(trait, among)
    column: exp.Expr = counted_value("t", trait.column) if trait.column else exp.Star()
    function: dict[str, Any] = {
        "count": exp.Count,
        "sum": exp.Sum,
        "average": exp.Avg,
        "least": exp.Min,
        "greatest": exp.Max,
    }
    if trait.function == "sum":
        column = summand("t", trait.column)
    aggregate: exp.Expr = function[trait.function](this=column)
    if trait.function in ("sum", "average"):
        aggregate = exp.func("round", aggregate, exp.Literal.number(6))
    rows = _rows(trait, among).select(exp.alias_(aggregate, value)).group_by("t.guest_ref")
    if trait.function not in ("count", "sum") or not every:
        return rows
    number = exp.func("coalesce", exp.column(value, "v"), exp.Literal.number(0))
    guests = exp.select("h.guest_ref", exp.alias_(number, value)).from_("guests AS h")
    guests = _limited(guests, "h", among)
    return guests.join(rows.subquery("v"), on="v.guest_ref = h.guest_ref", join_type="left")


def _scored(trait: Trait) -> exp.Select:
    """SELECT a score among all buyers, in the trait's currency if it has one."""
    where = "core_currency_code = :currency" if trait.currency else "true"
    scores: Any = parse_one(scored(where, trait.column), dialect="duckdb")
    if trait.currency:
        scores = exp.replace_placeholders(scores, currency=trait.currency)
    score = exp.alias_(exp.column(trait.column), "value")
    return exp.select("guest_ref", score).from_(scores.subquery("scored"))


def _limited(rows: exp.Select, table: str, among: str) -> exp.Select:
    """Limit rows to those of the guests in the table `among`, if it is named."""
    if not among:
        return rows
    few = exp.select("guest_ref").from_(among)
    return rows.where(exp.column("guest_ref", table).isin(query=few))


def _rows(trait: Trait, among: str) -> exp.Select:
    """SELECT the rows that count, by guest."""
    entity = trait.entity
    rows = exp.select("t.guest_ref").from_(f"{entity.table} AS t")
    rows = rows.where(exp.column("guest_ref", "t").is_(exp.null()).not_())
    rows = _limited(rows, "t", among).where(row_condition(trait.group, "t"))
    if trait.currency is not None:
        rows = rows.where(exp.column("core_currency_code", "t").eq(trait.currency))
    if trait.sales:
        counts = revenue_sql.paid if trait.function == "sum" else revenue_sql.bought
        rows = rows.where(counts("t"))
    return rows


def _picked(trait: Trait, among: str) -> exp.Select:
    """Choose one of several values: that of the latest row, or the most frequent one."""
    rows = _rows(trait, among).where(exp.column(trait.column, "t").is_(exp.null()).not_())
    value = counted_value("t", trait.column)
    rows = rows.select(exp.alias_(value, "value"))
    if trait.function == "most_common":
        rows = rows.select(exp.alias_(exp.Count(this=exp.Star()), "often"))
        rows = rows.group_by("t.guest_ref", value.copy())
        order = ["often DESC", "value"]
    else:
        rows = rows.select(f"t.{trait.entity.at} AS at", "t.meta_ref AS row_ref")
        order = ["at DESC", "row_ref DESC"]
    rank = exp.Window(
        this=exp.RowNumber(),
        partition_by=[exp.column("guest_ref")],
        order=exp.Order(expressions=[exp.maybe_parse(each, into=exp.Ordered) for each in order]),
    )
    ranked = exp.select("guest_ref", "value", exp.alias_(rank, "place")).from_(rows.subquery("r"))
    return exp.select("guest_ref", "value").from_(ranked.subquery("s")).where("place = 1")


def summary(values: exp.Query, kind: str, most_values: int, most_guests: int) -> exp.Query:
    """SELECT (part, value, number, average, guest_ref) of a trait, computed once.

    Parts: `all`, with the number of guests with a value, and of numbers the least and the average;
    `greatest`, of numbers; `value`, the most frequent values; `guest`, those with the greatest.
    """
    value, is_number = exp.column("value"), kind == NUMBER
    of_all: list[exp.Expr] = [exp.null(), exp.func("count", value), exp.null()]
    if is_number:
        average = exp.func("round", exp.Avg(this=value.copy()), exp.Literal.number(2))
        of_all = [exp.Min(this=value.copy()), of_all[1], average]
    parts = [_part("all", *of_all, exp.null()).from_("v")]
    if is_number:
        greatest = exp.Max(this=value.copy())
        parts.append(_part("greatest", greatest, *[exp.null()] * 3).from_("v"))
    frequent = ranked(exp.select("value").from_("v"), "", most_values)
    parts.append(
        _part("value", value, exp.column("row_count"), exp.null(), exp.null()).from_(
            frequent.subquery("r")
        )
    )
    guests = exp.select("guest_ref", "value").from_("v").where("value IS NOT NULL")
    guests = guests.order_by("value DESC", "guest_ref").limit(most_guests)
    parts.append(
        _part("guest", value, exp.null(), exp.null(), exp.column("guest_ref")).from_(
            guests.subquery("g")
        )
    )
    query: exp.Query = exp.union(*parts, distinct=False)
    return query.with_("v", as_=values, materialized=True)


def _part(name: str, *values: exp.Expr) -> exp.Select:
    names = ("value", "number", "average", "guest_ref")
    columns = (exp.alias_(each.copy(), alias) for each, alias in zip(values, names, strict=True))
    return exp.select(exp.alias_(exp.Literal.string(name), "part"), *columns)
