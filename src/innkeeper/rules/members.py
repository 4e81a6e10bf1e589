"""Members that a definition does not have: named with their place, and with the nearest known name.

A misspelt member that is ignored changes what a definition means: a segment with `rule` in place
of `rules` holds everybody.
"""

from collections.abc import Collection, Iterator, Mapping
from difflib import get_close_matches
from itertools import islice
from typing import Any, Final

from innkeeper.errors import Problem
from innkeeper.resources.kinds import Schema

MOST_NAMED: Final = 20
"""Unknown members that are named of one definition."""
LONGEST_NAME: Final = 100
"""Characters of a name that are compared and shown."""
MOST_LISTED: Final = 12
"""Known names that are listed where none is near."""


def nearest(name: str, known: Collection[str]) -> str | None:
    """The known name that a misspelt one is nearest to, whatever its case; None if none is near."""
    spelt = {each.lower(): each for each in known}
    found = get_close_matches(name[:LONGEST_NAME].lower(), spelt, n=1, cutoff=0.6)
    return spelt[found[0]] if found else None


def suggestion(name: str, known: Collection[str]) -> str:
    """`did you mean …?`, or the known names where none is near; empty where there are too many."""
    near = nearest(name, known)
    if near is not None:
        return f"; did you mean {near}?"
    return f"; known are {', '.join(known)}" if 0 < len(known) <= MOST_LISTED else ""


def unknown_members(value: Any, schema: Schema, at: str = "") -> list[Problem]:
    """What is wrong with the names of a definition's members, at every level."""
    found = islice(_unknown(value, schema, at), MOST_NAMED)
    return [
        Problem(path, f"is not a known member{suggestion(name, known)}")
        for path, name, known in found
    ]


def unknown_paths(value: Any, schema: Schema) -> Iterator[str]:
    """The paths of members that a schema does not list."""
    return (path for path, _, _ in _unknown(value, schema, ""))


def _unknown(value: Any, schema: Schema, at: str) -> Iterator[tuple[str, str, Collection[str]]]:
    """(path, name, known names) of each member that is not listed where members are."""
    if isinstance(value, list):
        items = schema.get("items")
        for branch in _branches(schema) if items is None else ():
            items = items or branch.get("items")
        if items is not None:
            for index, each in enumerate(value):
                yield from _unknown(each, items, f"{at}[{index}]")
        return
    if not isinstance(value, dict):
        return
    for branch in (schema, *_branches(schema)):
        properties = branch.get("properties")
        if properties is None:
            continue
        yield from _unknown_of(value, branch, properties, f"{at}." if at else "")
        return


def _unknown_of(
    value: Mapping[str, Any], schema: Schema, properties: Mapping[str, Schema], before: str
) -> Iterator[tuple[str, str, Collection[str]]]:
    is_open = bool(schema.get("additionalProperties"))
    for name, each in value.items():
        if name in properties:
            yield from _unknown(each, properties[name], f"{before}{name}")
        elif not is_open:
            shown = name[:LONGEST_NAME]
            yield f"{before}{shown}", shown, properties.keys()


def _branches(schema: Schema) -> list[Schema]:
    found: list[Schema] = schema.get("anyOf", [])
    return found
