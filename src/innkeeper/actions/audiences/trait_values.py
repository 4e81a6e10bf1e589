"""Values of computed traits: how many guests have which value, for the screens and previews."""

from collections.abc import Mapping
from typing import Any, Final

from innkeeper import clock
from innkeeper.actions.audiences import segment_questions, traits
from innkeeper.errors import Unknown
from innkeeper.lake.snapshot import opened
from innkeeper.resources.base import Record
from innkeeper.resources.segments import NUMBER
from innkeeper.rules import traits as rules
from innkeeper.rules.traits import Trait
from innkeeper.store.work import Work

SAMPLE: Final = 6
MOST_VALUES: Final = 8


async def preview(work: Work, body: Mapping[str, Any]) -> Record:
    """Describe the values of a trait that need not be stored, as `describe`; raises `Invalid`."""
    return await _describe(work, rules.as_of(rules.read("preview", body), clock.now()))


async def describe(work: Work, name: str) -> Record:
    """Describe the current values of a trait: {type, currency, guests, total, at, values, sample}.

    `guests` of `total` have a value; of a count or a sum, one that is not zero. `values` are the
    most frequent values with their number of guests. `sample` has the greatest values (of a text:
    any) with the refs of their guests. Numbers also have `least`, `average` and `greatest`. Raises
    `Unknown`.
    """
    every = await traits.list_current(work)
    if name not in every:
        raise Unknown("Trait", name)
    return await _describe(work, every.trait(name))


async def _describe(work: Work, trait: Trait) -> Record:
    from innkeeper.lake import trait_sql  # noqa: PLC0415 - loads SQLGlot

    values = trait_sql.trait_values(trait, every=False)
    async with opened(work) as lake:
        rows = await lake.rows(trait_sql.summary(values, trait.type, MOST_VALUES, SAMPLE))
    parts: dict[str, list[tuple[Any, ...]]] = {}
    for part, *columns in rows:
        parts.setdefault(part, []).append(tuple(columns))
    ((least, guests, average, _),) = parts["all"]
    ranked = sorted((row[:2] for row in parts.get("value", ())), key=lambda row: (-row[1], row[0]))
    sample = sorted((str(ref), value) for value, _, _, ref in parts.get("guest", ()))
    result: Record = {
        "type": trait.type,
        "currency": trait.currency,
        "guests": guests,
        "total": await segment_questions.count_guests(work),
        "at": clock.now(),
        "values": ranked,
        # A stable sort: guests with equal values remain in the order of their refs.
        "sample": sorted(sample, key=lambda row: row[1], reverse=True),
    }
    if trait.type == NUMBER:
        ((greatest, *_),) = parts["greatest"]
        result |= {"least": least, "average": average, "greatest": greatest}
    return result
