"""Queries about the stored data for the segment builder: subtypes, free fields, values and
shares."""

from collections.abc import Sequence
from typing import Final

from sqlglot import exp, parse_one

from innkeeper.resources.segments import CORE, CUSTOM, EXT, IDENTIFIER, Entity, SegmentField

SAMPLE: Final = 20_000
"""Number of events whose free members are read."""
NUMBERS: Final = ("BIGINT", "UBIGINT", "HUGEINT", "DOUBLE")
_COUNT: Final = exp.Count(this=exp.Star())


def subtypes(entity: Entity) -> exp.Select:
    """SELECT (subtype, rows) of an entity."""
    if not entity.has_types:
        return exp.select(exp.null(), _COUNT).from_("orders")
    return exp.select("type", _COUNT).from_(entity.table).group_by("type").order_by("2 DESC, 1")


def count(entity: Entity, subtype: str | None) -> exp.Select:
    """SELECT the number of rows of an entity."""
    return _of(entity, exp.select(_COUNT), subtype)


def currencies() -> exp.Select:
    """SELECT the distinct currency codes of orders."""
    code = exp.column("core_currency_code")
    codes = exp.select(code).distinct().from_("orders")
    return codes.where(code.copy().is_(exp.null()).not_()).order_by("1")


def free_fields(entity: Entity) -> exp.Query:
    """SELECT (location, field, type, rows) of the pairs of data extensions and of free members."""
    if entity.name == "guest":
        rows = exp.select("name", "key", "value_type", _COUNT).from_("extensions")
        rows = rows.group_by("name", "key", "value_type")
        identifiers = exp.select(
            "'identifier' AS name", "provider", "'string' AS kind", _COUNT.copy()
        )
        identifiers = identifiers.from_("identifiers").group_by("provider")
        return exp.union(rows, identifiers, distinct=False)
    if entity.name in ("order", "order_item"):
        rows = exp.select("name", "key", "value_type", _COUNT).from_("order_extensions")
        is_order = exp.column("order_item_ref").is_(exp.null())
        rows = rows.where(is_order if entity.name == "order" else is_order.not_())
        return rows.group_by("name", "key", "value_type")
    if entity.custom:
        # The names come from a sample: attributes keep the type that they had first.
        return parse_one(_FREE_MEMBERS, dialect="duckdb")  # type: ignore[return-value]
    return exp.select("'' AS name", "'' AS key", "'' AS kind", "0").where(exp.false())


_FREE_MEMBERS = f"""
SELECT place, key, lower(any_value(kind)), count(*) FROM (
    SELECT 'custom' AS place, unnest(json_keys(custom)) AS key, 'string' AS kind
    FROM (SELECT custom FROM events WHERE custom IS NOT NULL LIMIT {SAMPLE}) AS some
    UNION ALL
    SELECT 'ext', unnest(json_keys(custom, '$.ext')), 'string'
    FROM (SELECT custom FROM events WHERE custom IS NOT NULL LIMIT {SAMPLE}) AS some
) AS named WHERE key <> 'ext' GROUP BY place, key ORDER BY 1, 2
"""  # noqa: S608 - this module's own words


def member_kinds(members: Sequence[tuple[str, str]]) -> exp.Select:
    """SELECT one row: for each free member of events, how many values are numbers and how many
    booleans."""
    counts = []
    for location, name in members:
        kind = exp.Anonymous(
            this="json_type",
            expressions=[exp.column("custom"), exp.Literal.string(_path(location, name))],
        )
        for words in (NUMBERS, ("BOOLEAN",)):
            one = exp.If(this=kind.copy().isin(*words), true=exp.Literal.number(1))
            counts.append(exp.Count(this=exp.Case(ifs=[one])))
    sample = exp.select("custom").from_("events").where("NOT custom IS NULL").limit(SAMPLE)
    return exp.select(*counts).from_(sample.subquery("some"))


def _path(location: str, name: str) -> str:
    return f'$."{name}"' if location == CUSTOM else f'$."{EXT}"."{name}"'


def values(
    entity: Entity, subtype: str | None, location: str, name: str, spelt: str
) -> exp.Query | None:
    """SELECT (value as text) of each row that has a field; None if there is no such field."""
    if location == CORE:
        declared = entity.fields.get(name)
        if declared is None:
            return None
        column: exp.Expr = exp.column(declared.column, "t")
        if declared.many:
            return _of(entity, exp.select(exp.alias_(exp.Explode(this=column), "value")), subtype)
    elif location == IDENTIFIER and entity.name == "guest":
        identifiers = exp.select("id AS value").from_("identifiers")
        return identifiers.where(exp.column("provider").eq(spelt))
    elif entity.custom and location in (CUSTOM, EXT):
        path = _path(location, spelt)
        column = exp.Anonymous(
            this="json_extract_string",
            expressions=[exp.column("custom", "t"), exp.Literal.string(path)],
        )
    elif entity.name == "session":
        return None
    else:
        return _pairs(entity, location, spelt)
    text = exp.cast(column, "VARCHAR")
    return _of(entity, exp.select(exp.alias_(text, "value")), subtype)


def trait_texts(values: exp.Query) -> exp.Select:
    """SELECT (value as text) of a computed trait, from its (guest_ref, value)."""
    text = exp.alias_(exp.cast(exp.column("value"), "VARCHAR"), "value")
    return exp.select(text).from_(values.subquery("c"))


def ranked(rows: exp.Query, part: str, most: int) -> exp.Select:
    """SELECT (value, rows), most frequent first; only values that contain `part`, in any case."""
    count = exp.alias_(_COUNT.copy(), "row_count")
    select = exp.select("value", count).from_(rows.subquery("v"))
    select = select.where(exp.column("value").is_(exp.null()).not_())
    if part:
        text = exp.Lower(this=exp.column("value"))
        position = exp.StrPosition(this=text, substr=exp.Literal.string(part.lower()))
        select = select.where(exp.GT(this=position, expression=exp.Literal.number(0)))
    return select.group_by("value").order_by("2 DESC, 1").limit(most)


def ranked_by_currency(
    entity: Entity, field: SegmentField, subtype: str | None, part: str, most: int
) -> exp.Select:
    """SELECT (value, rows, currency) of a money field: the most frequent values of each currency,
    since equal numbers in two currencies are different amounts."""
    amount = exp.cast(exp.column(field.column, "t"), "VARCHAR")
    currency = exp.column("core_currency_code", "t")
    rows = _of(
        entity, exp.select(exp.alias_(amount, "value"), exp.alias_(currency, "currency")), subtype
    )
    counted = exp.select("value", "currency", exp.alias_(_COUNT.copy(), "found"))
    counted = counted.from_(rows.subquery("v")).where(exp.column("value").is_(exp.null()).not_())
    if part:
        position = exp.StrPosition(this=exp.column("value"), substr=exp.Literal.string(part))
        counted = counted.where(exp.GT(this=position, expression=exp.Literal.number(0)))
    counted = counted.group_by("value", "currency")
    rank = exp.Window(
        this=exp.RowNumber(),
        partition_by=[exp.column("currency")],
        order=exp.Order(
            expressions=[
                exp.Ordered(this=exp.column("found"), desc=True),
                exp.Ordered(this=exp.column("value")),
            ]
        ),
    )
    placed = exp.select("value", "found", "currency", exp.alias_(rank, "place"))
    placed = placed.from_(counted.subquery("counted"))
    first = exp.select("value", "found", "currency").from_(placed.subquery("placed"))
    in_rank = exp.LTE(this=exp.column("place"), expression=exp.Literal.number(most))
    return first.where(in_rank).order_by("currency", "found DESC", "value")


def _pairs(entity: Entity, location: str, key: str) -> exp.Select:
    """SELECT the values of a pair of data extensions; those of an order without those of its
    items."""
    of_guests = entity.name == "guest"
    select = exp.select("value").from_("extensions" if of_guests else "order_extensions")
    select = select.where(exp.column("name").eq(location), exp.column("key").eq(key))
    if of_guests:
        return select
    is_order = exp.column("order_item_ref").is_(exp.null())
    return select.where(is_order if entity.name == "order" else is_order.not_())


def _of(entity: Entity, rows: exp.Select, subtype: str | None) -> exp.Select:
    if subtype and entity.name == "event":
        subtype = subtype.upper()
    rows = rows.from_(f"{entity.table} AS t")
    return rows.where(exp.column("type", "t").eq(subtype)) if subtype else rows
