"""The rules of a segment, and the rows that meet them, as SQL: SQLGlot trees."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from sqlglot import exp

from innkeeper.lake import revenue_sql
from innkeeper.lake.tables import REF, REFS, TEXT
from innkeeper.resources.definitions import OR
from innkeeper.resources.segments import (
    BOOLEAN,
    CORE,
    CUSTOM,
    EXT,
    IDENTIFIER,
    NUMBER,
    STATIC_LIST,
    STRING,
    TIMESTAMP,
    TRAIT,
    Entity,
)
from innkeeper.rules.revenue import PRICES
from innkeeper.rules.segment_matching import number_meets
from innkeeper.rules.segments import FilterGroup, FilterRule, SequenceStep


class TraitSql(Protocol):
    """A computed trait, as SQL."""

    def __call__(self, *, every: bool) -> exp.Query:
        """SELECT guest_ref, value. With `every`, guests whose count or sum has no row get 0."""


def row_condition(
    rows: FilterGroup | SequenceStep, table: str, traits: Mapping[str, TraitSql] | None = None
) -> exp.Expr:
    """A condition: a row of the entity has the right subtype and meets the rules."""
    conditions = [types_condition(rows, table)] if rows.types else []
    if rows.rules:
        tests = [_rule(rule, rows.entity, table, traits or {}) for rule in rows.rules]
        conditions.append(exp.or_(*tests) if rows.operator == OR else exp.and_(*tests))
    return exp.and_(*conditions) if conditions else exp.true()


def types_condition(rows: FilterGroup | SequenceStep, table: str) -> exp.Expr:
    """A condition: a row of the entity has the right subtype."""
    if not rows.types:
        return exp.true()
    is_guest = rows.entity.name == "guest"
    words = [word.upper() if is_guest else word for word in rows.types]
    return exp.column("type", table).isin(*words)


def rows_of(entity: Entity) -> exp.Select:
    rows = exp.select("t.guest_ref").from_(f"{entity.table} AS t")
    return rows.where(exp.column("guest_ref", "t").is_(exp.null()).not_())


def summand(table: str, column: str) -> exp.Expr:
    """A column as sums add it."""
    return exp.func("coalesce", counted_value(table, column), exp.Literal.number(0))


def counted_value(table: str, column: str) -> exp.Expr:
    """A column as calculations use it: the price of a refunded order or item is 0."""
    if column in PRICES:
        return revenue_sql.counted(table, column)
    value = exp.column(column, table)
    return exp.cast(value, TEXT) if column in REFS else value


def _rule(rule: FilterRule, entity: Entity, table: str, traits: Mapping[str, TraitSql]) -> exp.Expr:
    """One comparison. A negative one is the complement, which is true for missing values too."""
    meets = _positive(rule, entity, table, traits)
    return negated(meets) if rule.comparator.negative else meets


def _positive(
    rule: FilterRule, entity: Entity, table: str, traits: Mapping[str, TraitSql]
) -> exp.Expr:
    if rule.location == CORE:
        return _declared(rule, exp.column(rule.column, table))
    if entity.custom:
        return _custom(rule, exp.column("custom", table))
    if rule.location == TRAIT:
        return _related(rule, _trait(rule, traits[rule.field]), table, "value")
    if rule.location == IDENTIFIER:
        identifiers = exp.select("guest_ref").from_("identifiers")
        identifiers = identifiers.where(exp.column("provider").eq(rule.field))
        return _related(rule, identifiers, table, "id")
    if rule.location == STATIC_LIST:
        members = exp.select("guest_ref").from_("static_list_members")
        members = members.where(exp.column("list_id").eq(rule.field))
        is_on = exp.column("guest_ref", table).isin(query=members)
        return is_on if rule.comparator.test == "true" else exp.not_(is_on)
    return _extension(rule, entity, table)


def _declared(rule: FilterRule, column: exp.Expr) -> exp.Expr:
    """The rule's test of a declared field. A ref is compared with refs as it is stored, otherwise
    as text."""
    if rule.column not in REFS:
        return _in_list(rule, column) if rule.many else test_of(rule, column)
    if rule.comparator.test in ("equal", "any") and all(map(_is_ref, rule.values)):
        return column.isin(*(exp.cast(exp.Literal.string(each), REF) for each in rule.values))
    return test_of(rule, column if rule.comparator.test == "null" else exp.cast(column, TEXT))


def _is_ref(text: str) -> bool:
    """Whether a text is a ref in the form that the API writes."""
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False


def _trait(rule: FilterRule, trait: TraitSql) -> exp.Select:
    """A comparison of a trait. Guests without rows are included only if 0 meets the rule, since few
    guests have rows and most rules exclude 0."""
    test = rule.comparator.test
    zero = test == "null" or (rule.type == NUMBER and number_meets(test, 0, rule.values))
    return exp.select("guest_ref").from_(trait(every=zero).subquery("r"))


def _related(rule: FilterRule, rows: exp.Select, table: str, value: str) -> exp.Expr:
    """A condition: any related row of the guest has a value that meets the rule."""
    column, own = exp.column(value), exp.column("guest_ref", table)
    if rule.comparator.test == "null":
        return exp.not_(own.isin(query=rows.where(column.is_(exp.null()).not_())))
    return own.isin(query=rows.where(test_of(rule, column)))


def _extension(rule: FilterRule, entity: Entity, table: str) -> exp.Expr:
    """A pair of a data extension, compared by its own type only: 5 is not "5"."""
    guests = entity.name == "guest"
    items = entity.name == "order_item"
    owner = "guest_ref" if guests else "order_item_ref" if items else "order_ref"
    rows = exp.select(owner).from_("extensions" if guests else "order_extensions")
    rows = rows.where(exp.column("name").eq(rule.location), exp.column("key").eq(rule.field))
    if not guests:
        is_order = exp.column("order_item_ref").is_(exp.null())
        rows = rows.where(is_order.not_() if items else is_order)
    value: exp.Expr = exp.column("value")
    if rule.comparator.test == "null":
        rows = rows.where(exp.column("value_type").neq("null"))
    elif rule.type == NUMBER:
        value = exp.column("number")
    elif rule.type == BOOLEAN:
        value = exp.column("truth")
    else:
        rows = rows.where(exp.column("value_type").eq("string"))
    if rule.type == TIMESTAMP and rule.comparator.test != "null":
        value = exp.TryCast(this=value, to=exp.DataType.build("TIMESTAMPTZ", dialect="duckdb"))
    own = exp.column(entity.owner, table)
    if rule.comparator.test == "null":
        return exp.not_(own.isin(query=rows))
    return own.isin(query=rows.where(test_of(rule, value)))


def _custom(rule: FilterRule, column: exp.Expr) -> exp.Expr:
    """A free member of an event or of its `ext`, compared by its own type only."""
    path = f'$."{rule.field}"' if rule.location == CUSTOM else f'$."{EXT}"."{rule.field}"'
    kind = exp.Anonymous(this="json_type", expressions=[column, exp.Literal.string(path)])
    text = exp.Anonymous(
        this="json_extract_string", expressions=[column.copy(), exp.Literal.string(path)]
    )
    if rule.comparator.test == "null":
        return exp.or_(kind.is_(exp.null()), kind.copy().eq("NULL"))
    kinds = {STRING: ["VARCHAR"], TIMESTAMP: ["VARCHAR"], BOOLEAN: ["BOOLEAN"]}.get(
        rule.type, ["BIGINT", "UBIGINT", "HUGEINT", "DOUBLE"]
    )
    typed = {NUMBER: "DOUBLE", BOOLEAN: "BOOLEAN", TIMESTAMP: "TIMESTAMPTZ"}.get(rule.type)
    value: exp.Expr = text
    if typed:
        value = exp.TryCast(this=text, to=exp.DataType.build(typed, dialect="duckdb"))
    return exp.and_(kind.isin(*kinds), test_of(rule, value))


def _in_list(rule: FilterRule, column: exp.Expr) -> exp.Expr:
    """A condition: any element of a list meets the rule; null without elements."""
    if rule.comparator.test == "null":
        size = exp.func("coalesce", exp.ArraySize(this=column), exp.Literal.number(0))
        return exp.EQ(this=size, expression=exp.Literal.number(0))
    each = exp.Lambda(this=test_of(rule, exp.column("x")), expressions=[exp.to_identifier("x")])
    count = exp.ArraySize(this=exp.ArrayFilter(this=column, expression=each))
    return exp.GT(this=count, expression=exp.Literal.number(0))


def test_of(rule: FilterRule, value: exp.Expr) -> exp.Expr:
    """The rule's test of one value; null for null."""
    test = rule.comparator.test
    if test == "null":
        return value.is_(exp.null())
    if test in ("true", "false"):
        return value if test == "true" else exp.not_(value)
    if rule.type == TIMESTAMP:
        return _between(value, rule.start, rule.end)
    values = [
        number_literal(each) if rule.type == NUMBER else exp.Literal.string(each)
        for each in rule.values
    ]
    if test == "any":
        return value.isin(*values)
    return _of_text(test, value, values[0]) or compared(test, value, values)


def _of_text(test: str, value: exp.Expr, part: exp.Expr) -> exp.Expr | None:
    if test == "contains":
        position = exp.StrPosition(this=value, substr=part)
        return exp.GT(this=position, expression=exp.Literal.number(0))
    kind = {"starts": exp.StartsWith, "ends": exp.EndsWith}.get(test)
    return None if kind is None else kind(this=value, expression=part)


def _between(value: exp.Expr, start: datetime | None, end: datetime | None) -> exp.Expr:
    return exp.and_(
        exp.GTE(this=value, expression=_instant(start)),
        exp.LT(this=value.copy(), expression=_instant(end)),
    )


def _instant(moment: datetime | None) -> exp.Expr:
    if moment is None:
        raise ValueError("a comparison of days has not been resolved")
    return exp.cast(exp.Literal.string(moment.isoformat()), "TIMESTAMPTZ", dialect="duckdb")


def number_literal(value: Any) -> exp.Expr:
    literal = exp.Literal.number(repr(abs(float(value))))
    return exp.cast(exp.Neg(this=literal) if value < 0 else literal, "DOUBLE")


def negated(meets: exp.Expr) -> exp.Expr:
    """The complement of a condition, true where the condition is null.

    Nulls become false only here: a filter is faster without functions around its columns.
    """
    if isinstance(meets, exp.In) and meets.args.get("query"):
        # Neither the ref nor any that the query finds is null.
        return exp.not_(meets)
    return exp.not_(exp.func("coalesce", meets, exp.false()))


def compared(test: str, this: exp.Expr, values: Sequence[exp.Expr]) -> exp.Expr:
    kinds: dict[str, type[exp.Binary]] = {
        "equal": exp.EQ,
        "less": exp.LT,
        "at_most": exp.LTE,
        "greater": exp.GT,
        "at_least": exp.GTE,
    }
    if test == "between":
        low, high = values
        return exp.and_(exp.GTE(this=this, expression=low), exp.LTE(this=this, expression=high))
    return kinds[test](this=this, expression=values[0])
