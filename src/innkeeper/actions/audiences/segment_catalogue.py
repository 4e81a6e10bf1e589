"""Fields, values and comparators for the segment builder: as declared, and from current data."""

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from innkeeper.actions.audiences import segments, static_lists, traits
from innkeeper.actions.paging import PageRequest
from innkeeper.errors import Invalid, Problem
from innkeeper.lake import engines
from innkeeper.lake.snapshot import Lake, opened
from innkeeper.resources.base import Record
from innkeeper.resources.segments import (
    BOOLEAN,
    COMPARATORS,
    CORE,
    ENTITIES,
    NUMBER,
    STATIC_LIST,
    STRING,
    TRAIT,
    Entity,
    snake,
)
from innkeeper.rules.segment_reading import plain
from innkeeper.rules.segments import MONEY
from innkeeper.rules.traits import IN_CURRENCY, Traits
from innkeeper.store.work import Work

if TYPE_CHECKING:
    from sqlglot import exp

GUEST: Final = "guest"
_Rows = tuple[dict[Any, int], list[tuple[Any, ...]]]
"""Subtype -> rows of an entity, and its free fields."""
MOST_VALUES: Final = 50
MOST_TYPED: Final = 200
"""Maximum number of free event attributes whose types are inferred from a sample."""


async def list_members(
    work: Work, segment: UUID | str, page_request: PageRequest
) -> tuple[int, list[str]]:
    """Count the guests in a segment now, and list the refs of one page of them, in order."""
    row = await segments.fetch(work, segment)
    return await list_guests(work, row["definition"], page_request)


async def list_guests(
    work: Work, definition: Mapping[str, Any], page_request: PageRequest
) -> tuple[int, list[str]]:
    """Count the guests of a stored definition, and list the refs of one page of them, in order."""
    from innkeeper.lake.segment_members import Question, count_members  # noqa: PLC0415

    question = Question.of(definition, await traits.list_current(work))
    async with opened(work, engines.answering(work.settings, definition)) as lake:
        return await count_members(lake, question, page_request.limit, page_request.offset)


async def compare(work: Work, segment: UUID | str, other: UUID | str) -> dict[str, int]:
    """Count the guests of two segments now, and those in both: {size, other_size, both}."""
    from innkeeper.lake.segment_members import Question, count_overlap  # noqa: PLC0415

    rows = [await segments.fetch(work, name) for name in (segment, other)]
    every = await traits.list_current(work)
    questions = [Question.of(row["definition"], every) for row in rows]
    async with opened(work) as lake:
        size, other_size, both = await count_overlap(lake, *questions)
    return {"size": size, "other_size": other_size, "both": both}


async def list_declared_fields(work: Work) -> dict[str, Any]:
    """Return the result of `list_fields` without counts and free fields; reads no guest data."""
    empty: list[_Rows] = [({}, []) for _ in ENTITIES]
    lists = await static_lists.list_names(work)
    return _build_catalogue(await traits.list_current(work), empty, lists)


async def list_fields(
    work: Work, of: Collection[str] | None = None, *, is_counted: bool = True
) -> dict[str, Any]:
    """List entities with their subtypes and row counts, their fields, and the comparators.

    `of`: the entities whose free fields are read from the data; every entity if None.
    `is_counted`: whether rows are counted by subtype, which reads every event.
    """
    from innkeeper.lake import catalogue_sql  # noqa: PLC0415 - loads SQLGlot

    every = await traits.list_current(work)
    lists = await static_lists.list_names(work)
    rows_by_entity: list[_Rows] = []
    async with opened(work) as lake:
        for entity in ENTITIES.values():
            kinds = dict(await lake.rows(catalogue_sql.subtypes(entity))) if is_counted else {}
            is_requested = of is None or entity.name in of
            free = await lake.rows(catalogue_sql.free_fields(entity)) if is_requested else []
            if entity.custom and is_requested:
                free = await _with_types(lake, free)
            rows_by_entity.append((kinds, free))
        codes: list[str] = []
        if of is None or GUEST in of:
            codes = [code for (code,) in await lake.rows(catalogue_sql.currencies())]
    return _build_catalogue(every, rows_by_entity, lists, codes)


async def list_guest_fields(work: Work) -> list[dict[str, Any]]:
    """List the fields, data extensions, traits and static lists of guests, without counts."""
    catalogue = await list_fields(work, {GUEST}, is_counted=False)
    fields: list[dict[str, Any]] = catalogue["entities"][0]["fields"]
    return fields


def _build_catalogue(
    every: Traits,
    rows_by_entity: Sequence[_Rows],
    lists: Sequence[Record],
    currencies: Sequence[str] = (),
) -> dict[str, Any]:
    """Build the catalogue: for each entity its subtype counts and free fields, all traits and
    static lists."""
    entities = [
        _describe_entity(entity, *rows)
        for entity, rows in zip(ENTITIES.values(), rows_by_entity, strict=True)
    ]
    names = [*every, *(f"{name}.{code}" for name in IN_CURRENCY for code in currencies)]
    entities[0]["fields"] += [
        {"location": TRAIT, "field": name, "type": every[name], "doc": every.trait(name).doc}
        for name in names
        if name in every
    ]
    entities[0]["fields"] += [
        {
            "location": STATIC_LIST,
            "field": each["friendly_id"],
            "type": BOOLEAN,
            "doc": each["name"],
        }
        for each in lists
    ]
    return {
        "entities": entities,
        "comparators": [
            {"name": each.name, "types": list(each.types), "values": [each.least, each.most]}
            for each in COMPARATORS.values()
        ],
    }


async def _with_types(lake: Lake, members: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Give each free attribute of events the type of most of its values in a sample."""
    from innkeeper.lake import catalogue_sql  # noqa: PLC0415 - loads SQLGlot

    sampled = [(location, name) for location, name, _, _ in members[:MOST_TYPED] if plain(name)]
    if not sampled:
        return members
    (counts,) = await lake.rows(catalogue_sql.member_kinds(sampled))
    kinds = dict(zip(sampled, zip(counts[::2], counts[1::2], strict=True), strict=True))

    def kind(location: str, name: str, rows: int) -> str:
        numbers, truths = kinds.get((location, name), (0, 0))
        return NUMBER if numbers * 2 > rows else BOOLEAN if truths * 2 > rows else STRING

    return [
        (location, name, kind(location, name, rows), rows) for location, name, _, rows in members
    ]


async def list_values(
    work: Work, entity: str, subtype: str | None, location: str, field: str, part: str = ""
) -> dict[str, Any]:
    """List the most frequent values of a field, each with its rows and its share of all rows.

    Amounts of money are ranked by currency. With `part`, only values that contain it; shares still
    refer to all rows. Raises `Invalid` for an unknown entity or field.
    """
    from innkeeper.lake import catalogue_sql  # noqa: PLC0415 - loads SQLGlot

    declared = ENTITIES.get(snake(entity))
    if declared is None:
        raise Invalid(Problem("entity", f"value must be one of {','.join(ENTITIES)}"))
    if location == TRAIT and declared.name == "guest":
        rows = _trait_texts(await traits.list_current(work), field)
    else:
        rows = catalogue_sql.values(declared, subtype, location, snake(field), field)
    if rows is None:
        raise Invalid(Problem("field", f"{declared.name} has no field {field}"))
    ranking = catalogue_sql.ranked(rows, part, MOST_VALUES)
    money = (
        declared.fields.get(snake(field)) if location == CORE and snake(field) in MONEY else None
    )
    if money is not None:
        ranking = catalogue_sql.ranked_by_currency(declared, money, subtype, part, MOST_VALUES)
    async with opened(work) as lake:
        ranked = await lake.rows(ranking)
        total = (await lake.rows(catalogue_sql.count(declared, subtype)))[0][0]
    return {
        "total": total,
        "values": [
            {"value": value, "count": count, "share": round(count / total, 6) if total else 0}
            | ({"currency": currency[0]} if currency and currency[0] else {})
            for value, count, *currency in ranked
        ],
    }


def _trait_texts(every: Traits, name: str) -> "exp.Query | None":
    from innkeeper.lake.catalogue_sql import trait_texts  # noqa: PLC0415 - loads SQLGlot
    from innkeeper.lake.trait_sql import trait_values  # noqa: PLC0415

    return trait_texts(trait_values(every.trait(name))) if name in every else None


def _describe_entity(
    entity: Entity, kinds: dict[Any, int], free: list[tuple[Any, ...]]
) -> dict[str, Any]:
    total = sum(kinds.values())
    names = dict.fromkeys([*entity.subtypes, *(kind for kind in kinds if kind is not None)])
    fields = [
        {"location": "core", "field": name, "type": spec.type, "doc": spec.doc}
        for name, spec in entity.fields.items()
    ]
    return {
        "name": entity.name,
        "total": total,
        "types": [
            {
                "name": name,
                "count": kinds.get(name, 0),
                "share": round(kinds.get(name, 0) / total, 6) if total else 0,
            }
            for name in names
        ],
        "fields": fields
        + [
            {"location": location, "field": field, "type": kind, "count": count}
            for location, field, kind, count in free
        ],
    }
