"""Match the lines of an order with stored items; all sources of orders use the same rules.

The lines come from an ORDER_CHECKOUT or CHECKOUT event, a record of a batch or import, or the rows
of a table that belong to one order. A line matches an item that was stored earlier, by
referenceId, or without one by all its fields. Each item is matched once, so two equal lines are two
items, and a repeated message changes nothing. A line without a match is new; items without a
matching line stay.
"""

from collections import defaultdict, deque
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from innkeeper.resources.base import Changes, without_nulls
from innkeeper.resources.values import instant


@dataclass(frozen=True, slots=True)
class Line:
    """The compared values of a line or of a stored item."""

    members: Mapping[str, Any]
    """The fields with a value; `ordered_at` is an instant."""
    extensions: Mapping[Any, Mapping[str, Any]] = field(default_factory=dict)
    """Extension -> its pairs."""


def line_of(
    changes: Changes, ordered_at: datetime, extensions: Mapping[Any, Mapping[str, Any]]
) -> Line:
    """Build a line from changes to an item; `ordered_at` of the order is the default."""
    members = without_nulls(changes)
    moment = members.get("ordered_at", ordered_at)
    members["ordered_at"] = instant(moment) if isinstance(moment, str) else moment
    return Line(members, {name: pairs for name, pairs in extensions.items() if pairs})


def match_lines(stored: Sequence[Line], lines: Sequence[Line]) -> list[int | None]:
    """Return, for each line in `lines`, the position of its stored item, or None for a new one.

    Completely equal items are matched first, so that lines of one referenceId keep their items in
    any order. Takes linear time.
    """
    matches: list[int | None] = [None] * len(lines)
    matched: set[int] = set()
    for key in (_whole, _reference, _members):
        free = _positions(stored, matched, key)
        for index, line in enumerate(lines):
            queue = free.get(key(line)) if matches[index] is None else None
            if queue:
                position = queue.popleft()
                matches[index] = position
                matched.add(position)
    return matches


def _positions(
    stored: Sequence[Line], matched: set[int], key: Callable[[Line], Hashable]
) -> dict[Hashable, deque[int]]:
    """Return key -> positions of unmatched items, in order; items without a key are left out."""
    free: dict[Hashable, deque[int]] = defaultdict(deque)
    for position, line in enumerate(stored):
        one = key(line) if position not in matched else None
        if one is not None:
            free[one].append(position)
    return free


def _whole(line: Line) -> Hashable:
    return _frozen(line.members), _frozen(line.extensions)


def _reference(line: Line) -> Hashable:
    return line.members.get("reference_id") or None


def _members(line: Line) -> Hashable:
    return None if _reference(line) else _frozen(line.members)


def _frozen(value: Any) -> Hashable:
    """Return a hashable value that is equal exactly if the values are; true is not 1."""
    if isinstance(value, Mapping):
        return frozenset((name, _frozen(member)) for name, member in value.items())
    if isinstance(value, list | tuple):
        return tuple(map(_frozen, value))
    return (bool, value) if isinstance(value, bool) else value
