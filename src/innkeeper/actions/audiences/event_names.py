"""Reject unknown event types in definitions and funnels: they would match no guest.

Accepted are the standard types, the types of stored events, and the types of deleted events whose
attributes are still stored (stream-api.md 4.2 and 4.3).
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final

from innkeeper.errors import Problem
from innkeeper.lake.snapshot import Lake, opened
from innkeeper.resources.events import RESERVED, STANDARD
from innkeeper.resources.segments import ENTITIES, entity_of
from innkeeper.rules.members import LONGEST_NAME, MOST_NAMED, nearest
from innkeeper.rules.segment_groups import groups_in
from innkeeper.store.work import Work

EVENT: Final = "event"
MOST_COMPARED: Final = 1000
"""Types that an unknown type is compared with for a suggestion."""
MOST_SHOWN: Final = 30
"""Types that a message lists if none is similar."""
MOST_FORMER: Final = 10_000


async def find_unknown_events(work: Work, definition: Any, at: str = "definition") -> list[Problem]:
    """Return a problem for each unknown event type in a definition, with the nearest type.

    Reads nothing if all types are standard. Call it outside a transaction.
    """
    if not isinstance(definition, Mapping):
        return []
    custom = [pair for pair in _types_in_definition(definition, at) if pair[1] not in STANDARD]
    if not custom:
        return []
    async with opened(work) as lake:
        event_types = await list_event_types(work, lake)
    return unknown_events(custom, event_types)


async def list_stored(work: Work) -> Sequence[str]:
    """Return the accepted event types, by a query of the lake."""
    async with opened(work) as lake:
        return [*await list_event_types(work, lake)]


def unknown_events(types: Iterable[tuple[str, str]], event_types: Collection[str]) -> list[Problem]:
    """Return a problem for each (path, type) that is not in `event_types`, at most `MOST_NAMED`."""
    unknown = ((path, name) for path, name in types if name not in event_types)
    compared = list(islice(event_types, MOST_COMPARED))
    return [
        Problem(path, f"no event is called {name[:LONGEST_NAME]}{_suggestion(name, compared)}")
        for path, name in islice(unknown, MOST_NAMED)
    ]


def _suggestion(name: str, event_types: Sequence[str]) -> str:
    """Return the end of a message: the nearest type, or a list of types if none is near."""
    near = nearest(name, event_types)
    if near is not None:
        return f"; did you mean {near}?"
    more = len(event_types) - MOST_SHOWN
    listed = ", ".join(event_types[:MOST_SHOWN])
    return f"; known are {listed}" + (f" and {more} more" * (more > 0))


async def list_event_types(work: Work, lake: Lake) -> Collection[str]:
    """List the standard types, the types of stored events (most frequent first), and the types of
    deleted events whose attributes are still stored."""
    from innkeeper.lake.catalogue_sql import subtypes  # noqa: PLC0415 - loads SQLGlot

    stored = [str(kind) for kind, _ in await lake.rows(subtypes(ENTITIES[EVENT]))]
    rows = await work.all("events.types_with_attributes", most=MOST_FORMER)
    # A reserved name may have attributes of an event that is in quarantine.
    former = (row["type"] for row in rows if row["type"] not in RESERVED)
    return dict.fromkeys((*sorted(STANDARD), *stored, *former))


def _types_in_definition(definition: Mapping[str, Any], at: str) -> Iterator[tuple[str, str]]:
    """Yield (path, type in upper case) for each event type in groups and sequence steps."""
    for path, group in groups_in(definition, at):
        yield from types_in_group(group, path)


def types_in_group(group: Mapping[str, Any], at: str) -> Iterator[tuple[str, str]]:
    """Yield (path, type in upper case) for each event type of one group or step."""
    entity = entity_of(group.get("entity"))
    if entity is None or entity.name != EVENT:
        return
    value = group.get("type")
    for word in [value] if isinstance(value, str) else value if isinstance(value, list) else ():
        name = word.strip().upper() if isinstance(word, str) else ""
        if name and name != "ALL":
            yield f"{at}.type", name
