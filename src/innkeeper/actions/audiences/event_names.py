"""Names of events in definitions: a misspelt one would hold nobody, so it is refused."""

from collections.abc import Iterator, Mapping
from typing import Any

from innkeeper.errors import Invalid, Problem
from innkeeper.lake.snapshot import Lake, opened
from innkeeper.resources.events import STANDARD
from innkeeper.resources.segments import ENTITIES
from innkeeper.rules.members import LONGEST_NAME, nearest
from innkeeper.rules.segment_reading import entity_of
from innkeeper.store.work import Work

EVENT = "event"


async def check_event_names(work: Work, definition: Any, at: str = "definition") -> None:
    """Raise `Invalid` for a type that no event has and that is near one that events have.

    Any other name is taken: its first event may be yet to come. Nothing is read where all names
    are standard ones. Call it outside a transaction.
    """
    if not isinstance(definition, Mapping):
        return
    custom = [one for one in _named(definition, at) if one[1] not in STANDARD]
    if not custom:
        return
    async with opened(work) as lake:
        known = await known_event_types(lake)
    problems = []
    for path, name in custom:
        near = None if name in known else nearest(name, known)
        if near is not None:
            reason = f"no event is called {name[:LONGEST_NAME]}; did you mean {near}?"
            problems.append(Problem(path, reason))
    if problems:
        raise Invalid(*problems)


async def known_event_types(lake: Lake) -> frozenset[str]:
    """The standard types, and those that events have."""
    from innkeeper.lake.catalogue_sql import subtypes  # noqa: PLC0415 - loads SQLGlot

    stored = await lake.rows(subtypes(ENTITIES[EVENT]))
    return STANDARD | {str(kind) for kind, _ in stored}


def _named(definition: Mapping[str, Any], at: str) -> Iterator[tuple[str, str]]:
    """(path, type in upper case) of all that groups and steps about events name."""
    groups = definition.get("filterGroups")
    for index, group in enumerate(groups if isinstance(groups, list) else ()):
        if not isinstance(group, Mapping):
            continue
        yield from types_named(group, f"{at}.filterGroups[{index}]")
        steps = group.get("sequence")
        for number, step in enumerate(steps if isinstance(steps, list) else ()):
            if isinstance(step, Mapping):
                yield from types_named(step, f"{at}.filterGroups[{index}].sequence[{number}]")


def types_named(group: Mapping[str, Any], at: str) -> Iterator[tuple[str, str]]:
    """The same of one group or step."""
    entity = entity_of(group.get("entity"))
    if entity is None or entity.name != EVENT:
        return
    given = group.get("type")
    for word in [given] if isinstance(given, str) else given if isinstance(given, list) else ():
        name = word.strip().upper() if isinstance(word, str) else ""
        if name and name != "ALL":
            yield f"{at}.type", name
