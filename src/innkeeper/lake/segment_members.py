"""Find the members of a segment, whose definition is basic or SQL."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Final

from sqlglot import exp

from innkeeper.lake.segment_sql import REQUESTED_GUESTS, limit_to_requested, members
from innkeeper.lake.snapshot import Lake
from innkeeper.lake.sql_process import find_sql_members
from innkeeper.lake.tables import TEXT
from innkeeper.lake.trait_sql import trait_values
from innkeeper.resources.segments import RETIRED
from innkeeper.rules import segment_reading, segments
from innkeeper.rules.segments import Definition, traits_in
from innkeeper.rules.traits import Traits
from innkeeper.store.temp_files import temporary

SQL_RESULT: Final = "found"
"""The table of the guests that a segment in SQL found."""


@dataclass(frozen=True)
class Question:
    """A definition in the form that the lake evaluates."""

    definition: Definition
    traits: Traits

    @classmethod
    def of(cls, body: Mapping[str, Any], traits: Traits) -> "Question":
        """Read a definition's JSON; raises `Invalid`. SQL is not parsed before it runs."""
        definition = segment_reading.read(body, traits)
        return cls(definition, traits)

    @property
    def relative(self) -> bool:
        """Whether a change of one guest can change the membership of another."""
        return any(self.traits.trait(name).relative for name in traits_in(self.definition))

    def tree(self, now: datetime, table: str = SQL_RESULT) -> exp.Select:
        """SELECT guest_ref of every member, as of `now`; `table`: the result of its SQL."""
        definition = segments.resolved(self.definition, now)
        if definition.sql is not None:
            select = exp.select("g.guest_ref").from_("guests AS g")
            select = select.where(
                exp.column("guest_ref", "g").isin(query=exp.select("guest_ref").from_(table))
            )
            return (
                select if definition.retired else select.where(exp.column("type", "g").neq(RETIRED))
            )
        values = {
            name: partial(trait_values, self.traits.trait(name)) for name in traits_in(definition)
        }
        return members(definition, values)


async def find_members(
    lake: Lake, question: Question, only: Collection[str] | None = None
) -> list[str]:
    """Return the refs of a segment's members, or of those in `only`, in order."""
    tree = await prepare_members(lake, question)
    if only is not None:
        tree = limit_to_requested(tree)
        await lake.run(lambda session: session.table(REQUESTED_GUESTS, "guest_ref", only))
    # A UUID takes longer to make than a text.
    refs = exp.select(exp.cast(exp.column("guest_ref", "m"), TEXT)).from_(tree.subquery("m"))
    rows = await lake.rows(refs.order_by("m.guest_ref"))
    return [ref for (ref,) in rows]


async def count_members(
    lake: Lake, question: Question, limit: int, offset: int = 0
) -> tuple[int, list[str]]:
    """Return the number of members and the refs of some of them, in order. The engine counts, and
    returns no more refs than these."""
    return await count_page(lake, await prepare_members(lake, question), limit, offset)


async def count_page(
    lake: Lake,
    tree: exp.Select,
    limit: int,
    offset: int,
    keyed: exp.Select | None = None,
    keys: Sequence[exp.Expr] = (),
) -> tuple[int, list[str]]:
    """Return the number of rows of a query of guests, and the refs of one page of them, in order.

    `keyed`: the same query with columns that `keys` sort the table `m` by, before the refs.
    """
    rows = (keyed or tree).copy()
    members = exp.to_table("m")
    is_quick = {table.name for table in tree.find_all(exp.Table)} == {"guests"}
    # What takes long to find is found once, for both the number and the page.
    counted = tree.subquery("m") if is_quick else members
    size = exp.select(exp.Count(this=exp.Star())).from_(counted)
    listed = exp.select("m.guest_ref").from_(rows.subquery("m") if is_quick else members)
    # Nulls last, which there are none of: DuckDB skips what cannot be on the page.
    by_ref = exp.Ordered(this=exp.column("guest_ref", "m"), desc=False, nulls_first=False)
    listed = listed.order_by(*keys, by_ref).limit(limit).offset(offset)
    if not is_quick:
        both = listed.select(exp.alias_(size.subquery(), "size"))
        page = await lake.rows(both.with_("m", as_=rows, materialized=True))
        if page or not (offset or not limit):
            return (int(page[0][1]) if page else 0), [str(ref) for ref, _ in page]
        size = size.with_("m", as_=tree)
    ((total,),) = await lake.rows(size)
    if not is_quick or not total or not limit:
        return int(total), []
    return int(total), [str(ref) for (ref,) in await lake.rows(listed)]


async def count_overlap(lake: Lake, one: Question, other: Question) -> tuple[int, int, int]:
    """Count the members of two definitions, and the guests that are in both."""
    trees = [
        await prepare_members(lake, question, f"{SQL_RESULT}_{name}")
        for name, question in (("one", one), ("other", other))
    ]
    both = exp.select("guest_ref").from_("a").intersect(exp.select("guest_ref").from_("b"))
    counts = [
        exp.select(exp.Count(this=exp.Star())).from_(table).subquery()
        for table in ("a", "b", both.subquery("c"))
    ]
    query = exp.select(*counts)
    for name, tree in zip("ab", trees, strict=True):
        query = query.with_(name, as_=tree, materialized=True)
    ((first, second, shared),) = await lake.rows(query)
    return int(first), int(second), int(shared)


async def prepare_members(lake: Lake, question: Question, table: str = SQL_RESULT) -> exp.Select:
    """SELECT guest_ref of the members; the result of a segment in SQL is a table first."""
    if question.definition.sql is not None:
        text = question.definition.sql
        seconds = lake.snapshot.settings.sql_segment_seconds
        with temporary(lake.snapshot.settings, "sql") as folder:
            path, _ = await find_sql_members(lake.snapshot, text, folder, seconds)
            await lake.run(lambda session: session.load(table, "guest_ref", path))
    return question.tree(lake.snapshot.taken_at, table)
