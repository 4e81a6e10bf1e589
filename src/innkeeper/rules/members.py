"""Find unknown members of a definition, with their paths and the nearest allowed names.

Ignoring a misspelt member would change the definition: a segment with `rule` instead of `rules`
contains all guests.
"""

from collections.abc import Collection, Iterator, Mapping
from difflib import get_close_matches
from itertools import islice
from typing import Any, Final

from innkeeper.errors import Problem
from innkeeper.resources.kinds import Schema

MOST_NAMED: Final = 20
"""Most unknown members that are reported of one definition."""
LONGEST_NAME: Final = 100
"""Most characters of a name that are compared and reported."""
MOST_LISTED: Final = 12
"""Most allowed names that are listed if none is similar."""


def nearest(name: str, allowed: Collection[str]) -> str | None:
    """Return the allowed name that is most similar to `name`, ignoring case; None if none is."""
    by_lower = {each.lower(): each for each in allowed}
    similar = get_close_matches(name[:LONGEST_NAME].lower(), by_lower, n=1, cutoff=0.6)
    return by_lower[similar[0]] if similar else None


def suggestion(name: str, allowed: Collection[str]) -> str:
    """Return `did you mean …?`, or the allowed names if none is similar; empty if too many."""
    near = nearest(name, allowed)
    if near is not None:
        return f"; did you mean {near}?"
    return f"; known are {', '.join(allowed)}" if 0 < len(allowed) <= MOST_LISTED else ""


def unknown_members(value: Any, schema: Schema, at: str = "") -> list[Problem]:
    """Return a problem for each member that a schema does not list, at every level."""
    unknown = islice(_unknown(value, schema, at), MOST_NAMED)
    return [
        Problem(path, f"is not a known member{suggestion(name, allowed)}")
        for path, name, allowed in unknown
    ]


def unknown_paths(value: Any, schema: Schema) -> Iterator[str]:
    """Return the paths of the members that a schema does not list."""
    return (path for path, _, _ in _unknown(value, schema, ""))


def _unknown(value: Any, schema: Schema, at: str) -> Iterator[tuple[str, str, Collection[str]]]:
    """Yield (path, name, allowed names) of each unlisted member of an object with listed ones."""
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
            short = name[:LONGEST_NAME]
            yield f"{before}{short}", short, properties.keys()


def _branches(schema: Schema) -> list[Schema]:
    branches: list[Schema] = schema.get("anyOf", [])
    return branches
