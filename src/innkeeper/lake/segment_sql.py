"""A definition of a segment as SQL: a SQLGlot tree."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

from sqlglot import exp

from innkeeper.lake import revenue_sql
from innkeeper.resources.definitions import OR
from innkeeper.resources.segments import (
    BOOLEAN,
    CORE,
    CUSTOM,
    EXT,
    IDENTIFIER,
    NUMBER,
    RETIRED,
    STRING,
    TIMESTAMP,
    TRAIT,
    Entity,
)
from innkeeper.rules.revenue import PRICES
from innkeeper.rules.segment_matching import number_meets
from innkeeper.rules.segments import Amount, Definition, FilterGroup, FilterRule, SequenceStep

REQUESTED_GUESTS: Final = "asked_guests"
"""A table of guest refs, where only those are asked about."""


class TraitSql(Protocol):
    """A computed trait, as SQL."""

    def __call__(self, *, every: bool) -> exp.Query:
        """SELECT guest_ref, value; `every`: also guests whose count or sum is of no row, so 0."""


def members(definition: Definition, traits: Mapping[str, TraitSql] | None = None) -> exp.Select:
    """SELECT guest_ref of every guest in a definition that `resolved` made absolute."""
    conditions = [condition(group, traits or {}) for group in definition.groups]
    join = exp.or_ if definition.operator == OR else exp.and_
    select = exp.select("g.guest_ref").from_("guests AS g").where(join(*conditions))
    if not definition.retired and not any(_names_retired(group) for group in definition.groups):
        select = select.where(exp.column("type", "g").neq(RETIRED))
    return select


def limit_to_requested(select: exp.Select) -> exp.Select:
    """The same of those guests only that the table `asked_guests` lists."""
    return select.where(
        exp.column("guest_ref", "g").isin(query=exp.select("guest_ref").from_(REQUESTED_GUESTS))
    )


def condition(group: FilterGroup, traits: Mapping[str, TraitSql]) -> exp.Expr:
    """Whether the guest `g` meets a group."""
    if group.sequence:
        meets: exp.Expr = _among(_sequence(group.sequence))
    elif group.entity.name == "guest":
        meets = row_condition(group, "g", traits)
    else:
        meets = _counted(group)
    return _negated(meets) if group.exclude else meets


def row_condition(
    rows: FilterGroup | SequenceStep, table: str, traits: Mapping[str, TraitSql] | None = None
) -> exp.Expr:
    """Whether a row of the entity is of the right subtype and meets the rules."""
    conditions: list[exp.Expr] = []
    if rows.types:
        kind: exp.Expr = exp.column("type", table)
        words = list(rows.types)
        if rows.entity.name == "guest":
            words = [word.upper() for word in words]
        conditions.append(kind.isin(*words))
    if rows.rules:
        tests = [_rule(rule, rows.entity, table, traits or {}) for rule in rows.rules]
        conditions.append(exp.or_(*tests) if rows.operator == OR else exp.and_(*tests))
    return exp.and_(*conditions) if conditions else exp.true()


def _names_retired(group: FilterGroup) -> bool:
    return group.entity.name == "guest" and RETIRED in (word.upper() for word in group.types)


def _among(guests: exp.Query) -> exp.Expr:
    return exp.column("guest_ref", "g").isin(query=guests)


def _counted(group: FilterGroup) -> exp.Expr:
    """Guests by how many rows meet the rules, and what those add up to.

    A guest without any row is in no group of rows: where none would do, the question is turned
    around, and those are left out whose rows do not.
    """
    where = row_condition(group, "t")
    if group.currency is not None:
        same = exp.column("core_currency_code", "t").eq(group.currency)
        where = exp.and_(where, same)
    rows = _rows_of(group.entity).where(where)
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


def summand(table: str, column: str) -> exp.Expr:
    """A column as sums add it."""
    return exp.func("coalesce", counted_value(table, column), exp.Literal.number(0))


def counted_value(table: str, column: str) -> exp.Expr:
    """A column as it is computed with: of a refunded order or item the price is 0."""
    if column in PRICES:
        return revenue_sql.counted(table, column)
    return exp.column(column, table)


def _rows_of(entity: Entity) -> exp.Select:
    rows = exp.select("t.guest_ref").from_(f"{entity.table} AS t")
    return rows.where(exp.column("guest_ref", "t").is_(exp.null()).not_())


def _amount(number: exp.Expr, amount: Amount) -> exp.Expr:
    values = [_number(value) for value in amount.values]
    meets = _compared(amount.test, number, values)
    return exp.not_(meets) if amount.negative else meets


def _compared(test: str, this: exp.Expr, values: Sequence[exp.Expr]) -> exp.Expr:
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


def _rule(rule: FilterRule, entity: Entity, table: str, traits: Mapping[str, TraitSql]) -> exp.Expr:
    """One comparison; its complement where it is negative, true also where nothing is."""
    meets = _positive(rule, entity, table, traits)
    return _negated(meets) if rule.comparator.negative else meets


def _positive(
    rule: FilterRule, entity: Entity, table: str, traits: Mapping[str, TraitSql]
) -> exp.Expr:
    if rule.location == CORE:
        column = exp.column(rule.column, table)
        return _in_list(rule, column) if rule.many else test_of(rule, column)
    if entity.custom:
        return _custom(rule, exp.column("custom", table))
    if rule.location == TRAIT:
        return _related(rule, _trait(rule, traits[rule.field]), table, "value")
    if rule.location == IDENTIFIER:
        identifiers = exp.select("guest_ref").from_("identifiers")
        identifiers = identifiers.where(exp.column("provider").eq(rule.field))
        return _related(rule, identifiers, table, "id")
    return _extension(rule, entity, table)


def _trait(rule: FilterRule, trait: TraitSql) -> exp.Select:
    """A trait of those guests that the rule could find: few have a row, and most rules ask for
    more than the 0 of all others."""
    test = rule.comparator.test
    zero = test == "null" or (rule.type == NUMBER and number_meets(test, 0, rule.values))
    return exp.select("guest_ref").from_(trait(every=zero).subquery("r"))


def _related(rule: FilterRule, rows: exp.Select, table: str, value: str) -> exp.Expr:
    """Whether any related row of the guest has a value that meets the rule."""
    column, own = exp.column(value), exp.column("guest_ref", table)
    if rule.comparator.test == "null":
        return exp.not_(own.isin(query=rows.where(column.is_(exp.null()).not_())))
    return own.isin(query=rows.where(test_of(rule, column)))


def _extension(rule: FilterRule, entity: Entity, table: str) -> exp.Expr:
    """A pair of a data extension: of its own type alone, so 5 is not "5"."""
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
    """A free member of an event, or of its `ext`; of its own type alone."""
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
    """Whether any element meets the rule; null where there is no element."""
    if rule.comparator.test == "null":
        size = exp.func("coalesce", exp.ArraySize(this=column), exp.Literal.number(0))
        return exp.EQ(this=size, expression=exp.Literal.number(0))
    each = exp.Lambda(this=test_of(rule, exp.column("x")), expressions=[exp.to_identifier("x")])
    count = exp.ArraySize(this=exp.ArrayFilter(this=column, expression=each))
    return exp.GT(this=count, expression=exp.Literal.number(0))


def test_of(rule: FilterRule, value: exp.Expr) -> exp.Expr:
    """The rule's test of one value; null where that is null."""
    test = rule.comparator.test
    if test == "null":
        return value.is_(exp.null())
    if test in ("true", "false"):
        return value if test == "true" else exp.not_(value)
    if rule.type == TIMESTAMP:
        return _between(value, rule.start, rule.end)
    values = [
        _number(each) if rule.type == NUMBER else exp.Literal.string(each) for each in rule.values
    ]
    if test == "any":
        return value.isin(*values)
    return _of_text(test, value, values[0]) or _compared(test, value, values)


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


def _number(value: Any) -> exp.Expr:
    literal = exp.Literal.number(repr(abs(float(value))))
    return exp.cast(exp.Neg(this=literal) if value < 0 else literal, "DOUBLE")


def _negated(meets: exp.Expr) -> exp.Expr:
    """The complement, true where nothing is known.

    Nulls are made false here alone: a filter reads faster when nothing stands around a column.
    """
    if isinstance(meets, exp.In) and meets.args.get("query"):
        # Neither the ref nor any that the query finds is null.
        return exp.not_(meets)
    return exp.not_(exp.func("coalesce", meets, exp.false()))


def _sequence(steps: Sequence[SequenceStep]) -> exp.Select:
    """Guests with a row of each step in turn, each later than the one before.

    `ends` of a step are its rows that end a chain: those whose latest end of the step before lies
    strictly before them, within the step's time. Linear in the rows but for the sort.
    """
    return exp.select("guest_ref").from_(chain_ends(steps).subquery("ends"))


def chain_ends(steps: Sequence[SequenceStep], only: exp.Expr | None = None) -> exp.Select:
    """(guest_ref, at) of the rows that end a chain of all steps; of rows that meet `only`."""
    ends = _step_rows(steps[0], only)
    for step in steps[1:]:
        ends = _without(ends, step, only) if step.absent else _followed(ends, step, only)
    return ends


def _step_rows(step: SequenceStep, only: exp.Expr | None, **flags: int) -> exp.Select:
    at = exp.alias_(exp.column(step.entity.at, "t"), "at")
    rows = _rows_of(step.entity).where(row_condition(step, "t")).select(at)
    if only is not None:
        rows = rows.where(only.copy())
    for name, value in flags.items():
        rows = rows.select(exp.alias_(exp.Literal.number(value), name))
    return rows


def _marked(ends: exp.Select, step: SequenceStep, only: exp.Expr | None) -> exp.Subquery:
    """Ends of the steps before (`mark` 1) among the rows of a step (`mark` 0)."""
    before = exp.select("guest_ref", "at", "1 AS mark").from_(ends.subquery("ends"))
    return exp.union(before, _step_rows(step, only, mark=0), distinct=False).subquery("both")


def _nearest(function: type[exp.AggFunc], mark: int, *, down: bool) -> exp.Expr:
    """The nearest time of the other sort of row strictly before, or after, each row."""
    case = exp.Case(
        ifs=[exp.If(this=exp.column("mark").eq(mark), true=exp.column("at"))],
    )
    # At one time the rows that look come first, so that they do not see those of that time.
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
    """(guest_ref, bound): the first, or the last, of each guest's rows."""
    bound = exp.alias_(function(this=exp.column("at")), "bound")
    select = exp.select("guest_ref", bound).from_(rows.subquery("every"))
    return select.group_by("guest_ref").subquery("b")


def _followed(ends: exp.Select, step: SequenceStep, only: exp.Expr | None) -> exp.Select:
    """Rows of the step that come after an end, in time."""
    if step.within is None:
        # Whatever follows any end follows the first: no need to sort.
        following = exp.select("s.guest_ref", "s.at").from_(_step_rows(step, only).subquery("s"))
        first = _extreme(ends, exp.Min)
        return following.join(first, on="b.guest_ref = s.guest_ref AND s.at > b.bound")
    near = exp.alias_(_nearest(exp.Max, 1, down=False), "near")
    rows = exp.select("guest_ref", "at", "mark", near).from_(_marked(ends, step, only))
    following = exp.select("guest_ref", "at").from_(rows.subquery("looked"))
    following = following.where(exp.column("mark").eq(0), exp.column("near").is_(exp.null()).not_())
    return following.where(_in_time("near", "at", step.within))


def _without(ends: exp.Select, step: SequenceStep, only: exp.Expr | None) -> exp.Select:
    """Ends that no row of the step follows in time."""
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
    """Whether the second is at most so long after the first."""
    seconds = exp.Interval(
        this=exp.Literal.string(str(round(within.total_seconds()))), unit=exp.var("SECOND")
    )
    return exp.LTE(
        this=exp.column(second), expression=exp.Add(this=exp.column(first), expression=seconds)
    )
