"""Computed traits as SQL: SELECT guest_ref, value, with one row for each guest that has a value."""

from typing import Any

from sqlglot import exp, parse_one

from innkeeper.lake import revenue_sql
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


def spread(values: exp.Query, kind: str) -> exp.Select:
    """SELECT the number of guests with a value; of numbers also (guests, least, average,
    greatest)."""
    select = exp.select(exp.func("count", exp.column("value"))).from_(values.subquery("v"))
    if kind != NUMBER:
        return select
    average = exp.func("round", exp.Avg(this=exp.column("value")), exp.Literal.number(2))
    return select.select(
        exp.Min(this=exp.column("value")), average, exp.Max(this=exp.column("value"))
    )


def extremes(values: exp.Query, most: int) -> exp.Select:
    """SELECT (guest_ref, value) of the guests with the greatest values."""
    select = exp.select("guest_ref", "value").from_(values.subquery("v"))
    return select.where("value IS NOT NULL").order_by("value DESC", "guest_ref").limit(most)
