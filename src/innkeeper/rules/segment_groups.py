"""Walk the JSON of segments and traits: groups, and the steps of their sequences."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

_GROUPS: Final = "filterGroups"
FIRST_GROUP: Final = f"definition.{_GROUPS}[0]."
"""The path of the members of the only group of a definition."""


def definition_of(group: Mapping[str, Any]) -> dict[str, Any]:
    """Return the definition of a segment with one group."""
    return {_GROUPS: [group]}


def groups_in(
    definition: Mapping[str, Any], at: str = ""
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield (path, JSON) of each group and of each step of its sequence; skip other values."""
    for path, group in _objects(definition.get(_GROUPS), f"{at}.{_GROUPS}"):
        yield path, group
        yield from _objects(group.get("sequence"), f"{path}.sequence")


def _objects(value: Any, at: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for index, one in enumerate(value if isinstance(value, list) else ()):
        if isinstance(one, Mapping):
            yield f"{at}[{index}]", one
