"""Names of events in definitions and funnels: an unknown one would hold nobody, so it is refused.

Known are the standard types and those that events of the workspace have, or had whose attributes
are still known (stream-api.md 4.2 and 4.3).
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final

from innkeeper.errors import Problem
from innkeeper.lake.snapshot import Lake, opened
from innkeeper.resources.events import RESERVED, STANDARD
from innkeeper.resources.segments import ENTITIES
from innkeeper.rules.members import LONGEST_NAME, MOST_NAMED, nearest
from innkeeper.rules.segment_reading import entity_of
from innkeeper.store.work import Work

EVENT: Final = "event"
MOST_COMPARED: Final = 1000
"""Types that an unknown one is compared with."""
MOST_SHOWN: Final = 30
"""Types that are listed where none is near."""
MOST_FORMER: Final = 10_000


async def find_unknown_events(work: Work, definition: Any, at: str = "definition") -> list[Problem]:
    """What is wrong with the types that a definition names: each unknown one, with the nearest.

    Nothing is read where all names are standard ones. Call it outside a transaction.
    """
    if not isinstance(definition, Mapping):
        return []
    custom = [one for one in _types_in_definition(definition, at) if one[1] not in STANDARD]
    if not custom:
        return []
    async with opened(work) as lake:
        known = await list_event_types(work, lake)
    return unknown_events(custom, known)


def unknown_events(named: Iterable[tuple[str, str]], known: Collection[str]) -> list[Problem]:
    """The problems of (path, type) that are not known, at most `MOST_NAMED`."""
    unknown = ((path, name) for path, name in named if name not in known)
    compared = list(islice(known, MOST_COMPARED))
    return [
        Problem(path, f"no event is called {name[:LONGEST_NAME]}{_suggestion(name, compared)}")
        for path, name in islice(unknown, MOST_NAMED)
    ]


def _suggestion(name: str, known: Sequence[str]) -> str:
    """The nearest type, or the types there are where none is near."""
    near = nearest(name, known)
    if near is not None:
        return f"; did you mean {near}?"
    more = len(known) - MOST_SHOWN
    return f"; known are {', '.join(known[:MOST_SHOWN])}" + (f" and {more} more" * (more > 0))


async def list_event_types(work: Work, lake: Lake) -> Collection[str]:
    """The standard types, those that events have, the most frequent first, and those of events that
    were removed but whose attributes keep their types."""
    from innkeeper.lake.catalogue_sql import subtypes  # noqa: PLC0415 - loads SQLGlot

    stored = [str(kind) for kind, _ in await lake.rows(subtypes(ENTITIES[EVENT]))]
    rows = await work.all("events.types_with_attributes", most=MOST_FORMER)
    # A reserved name may have attributes of an event that waits in quarantine.
    former = (row["type"] for row in rows if row["type"] not in RESERVED)
    return dict.fromkeys((*sorted(STANDARD), *stored, *former))


def _types_in_definition(definition: Mapping[str, Any], at: str) -> Iterator[tuple[str, str]]:
    """(path, type in upper case) of all that groups and steps about events name."""
    groups = definition.get("filterGroups")
    for index, group in enumerate(groups if isinstance(groups, list) else ()):
        if not isinstance(group, Mapping):
            continue
        yield from types_in_group(group, f"{at}.filterGroups[{index}]")
        steps = group.get("sequence")
        for number, step in enumerate(steps if isinstance(steps, list) else ()):
            if isinstance(step, Mapping):
                yield from types_in_group(step, f"{at}.filterGroups[{index}].sequence[{number}]")


def types_in_group(group: Mapping[str, Any], at: str) -> Iterator[tuple[str, str]]:
    """The same of one group or step."""
    entity = entity_of(group.get("entity"))
    if entity is None or entity.name != EVENT:
        return
    given = group.get("type")
    for word in [given] if isinstance(given, str) else given if isinstance(given, list) else ():
        name = word.strip().upper() if isinstance(word, str) else ""
        if name and name != "ALL":
            yield f"{at}.type", name
