"""What the builder of segments offers: from the declarations, and from the data as it is now."""

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from innkeeper.actions.audiences import segments, traits
from innkeeper.errors import Invalid, Problem
from innkeeper.lake import engines
from innkeeper.lake.snapshot import Lake, opened
from innkeeper.resources.segments import (
    BOOLEAN,
    COMPARATORS,
    CORE,
    ENTITIES,
    NUMBER,
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
MOST_VALUES: Final = 50
MOST_TYPED: Final = 200
"""Free members of events whose types are looked at."""


async def list_members(
    work: Work, segment: UUID | str, limit: int, offset: int = 0
) -> tuple[int, list[str]]:
    """How many guests are in a segment now, and the refs of some of them, in order."""
    from innkeeper.lake.segment_members import Question, count_members  # noqa: PLC0415

    row = await segments.fetch(work, segment)
    question = Question.of(row["definition"], await traits.list_current(work))
    async with opened(work, engines.answering(work.settings, row["definition"])) as lake:
        return await count_members(lake, question, limit, offset)


async def list_declared_fields(work: Work) -> dict[str, Any]:
    """What can be said without a look at the data: as `fields`, without counts and free fields."""
    return _build_catalogue(await traits.list_current(work), [({}, []) for _ in ENTITIES])


async def list_fields(work: Work, of: Collection[str] | None = None) -> dict[str, Any]:
    """Entities with their subtypes and how many rows each has, their fields, the comparators.

    `of`: the entities of which fields that only the data tells are wanted; all where it is None.
    """
    from innkeeper.lake import catalogue_sql  # noqa: PLC0415 - loads SQLGlot

    known = await traits.list_current(work)
    found = []
    async with opened(work) as lake:
        for entity in ENTITIES.values():
            kinds = dict(await lake.rows(catalogue_sql.subtypes(entity)))
            wanted = of is None or entity.name in of
            free = await lake.rows(catalogue_sql.free_fields(entity)) if wanted else []
            if entity.custom and wanted:
                free = await _with_types(lake, free)
            found.append((kinds, free))
        asks = of is None or GUEST in of
        codes = [code for (code,) in await lake.rows(catalogue_sql.currencies())] if asks else []
    return _build_catalogue(known, found, codes)


def _build_catalogue(
    known: Traits,
    held: Sequence[tuple[dict[Any, int], list[tuple[Any, ...]]]],
    currencies: Sequence[str] = (),
) -> dict[str, Any]:
    found = [
        _describe_entity(each, *rows) for each, rows in zip(ENTITIES.values(), held, strict=True)
    ]
    names = [*known, *(f"{name}.{code}" for name in IN_CURRENCY for code in currencies)]
    found[0]["fields"] += [
        {"location": TRAIT, "field": name, "type": known[name], "doc": known.trait(name).doc}
        for name in names
        if name in known
    ]
    return {
        "entities": found,
        "comparators": [
            {"name": each.name, "types": list(each.types), "values": [each.least, each.most]}
            for each in COMPARATORS.values()
        ],
    }


async def _with_types(lake: Lake, members: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Free members of events, each of the type that most of a sample have."""
    from innkeeper.lake import catalogue_sql  # noqa: PLC0415 - loads SQLGlot

    asked = [(place, name) for place, name, _, _ in members[:MOST_TYPED] if plain(name)]
    if not asked:
        return members
    (counts,) = await lake.rows(catalogue_sql.member_kinds(asked))
    kinds = dict(zip(asked, zip(counts[::2], counts[1::2], strict=True), strict=True))

    def kind(place: str, name: str, rows: int) -> str:
        numbers, truths = kinds.get((place, name), (0, 0))
        return NUMBER if numbers * 2 > rows else BOOLEAN if truths * 2 > rows else STRING

    return [(place, name, kind(place, name, rows), rows) for place, name, _, rows in members]


async def list_values(
    work: Work, entity: str, subtype: str | None, location: str, field: str, part: str = ""
) -> dict[str, Any]:
    """The most frequent values of a field, each with its rows and share of all; of money in each
    currency.

    Only those that hold `part`, where it is given; the shares stay those of all rows. Raises
    `Invalid` for what is no field.
    """
    from innkeeper.lake import catalogue_sql  # noqa: PLC0415 - loads SQLGlot

    known = ENTITIES.get(snake(entity))
    if known is None:
        raise Invalid(Problem("entity", f"value must be one of {','.join(ENTITIES)}"))
    if location == TRAIT and known.name == "guest":
        rows = _trait_texts(await traits.list_current(work), field)
    else:
        rows = catalogue_sql.values(known, subtype, location, snake(field), field)
    if rows is None:
        raise Invalid(Problem("field", f"{known.name} has no field {field}"))
    ranking = catalogue_sql.ranked(rows, part, MOST_VALUES)
    money = known.fields.get(snake(field)) if location == CORE and snake(field) in MONEY else None
    if money is not None:
        ranking = catalogue_sql.ranked_by_currency(known, money, subtype, part, MOST_VALUES)
    async with opened(work) as lake:
        found = await lake.rows(ranking)
        total = (await lake.rows(catalogue_sql.count(known, subtype)))[0][0]
    return {
        "total": total,
        "values": [
            {"value": value, "count": count, "share": round(count / total, 6) if total else 0}
            | ({"currency": currency[0]} if currency and currency[0] else {})
            for value, count, *currency in found
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
    declared = [
        {"location": "core", "field": name, "type": known.type, "doc": known.doc}
        for name, known in entity.fields.items()
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
        "fields": declared
        + [
            {"location": place, "field": field, "type": kind, "count": count}
            for place, field, kind, count in free
        ],
    }
