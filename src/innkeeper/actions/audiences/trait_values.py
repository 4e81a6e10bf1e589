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
    from innkeeper.lake import catalogue_sql, trait_sql  # noqa: PLC0415 - loads SQLGlot

    values = trait_sql.trait_values(trait, every=False)
    async with opened(work) as lake:
        guests, *spread = (await lake.rows(trait_sql.spread(values, trait.type)))[0]
        ranked = await lake.rows(catalogue_sql.ranked(values, "", MOST_VALUES))
        sample = await lake.rows(trait_sql.extremes(values, SAMPLE))
    result: Record = {
        "type": trait.type,
        "currency": trait.currency,
        "guests": guests,
        "total": await segment_questions.count_guests(work),
        "at": clock.now(),
        "values": ranked,
        "sample": [(str(ref), value) for ref, value in sample],
    }
    if trait.type == NUMBER:
        result |= dict(zip(("least", "average", "greatest"), spread, strict=True))
    return result
