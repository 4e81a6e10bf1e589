"""Which lines of an order message are items that are stored already, the same by every way in.

A message is an order with its lines: an ORDER_CHECKOUT or CHECKOUT event, a record of a batch or
import, the rows of a table that tell of one order. A line matches an item that was stored before
the message, by referenceId, and without one by all its members; each item is matched once. So two
equal lines are two items, and a message that is sent again changes nothing. A line without a match
is new, and items that no line matches stay.
"""

from collections import defaultdict, deque
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from innkeeper.resources.base import Changes
from innkeeper.resources.values import instant


@dataclass(frozen=True, slots=True)
class Line:
    """A line that is sent, or an item that is stored, as far as it is compared."""

    members: Mapping[str, Any]
    """Its fields with values, `ordered_at` among them as an instant."""
    extensions: Mapping[Any, Mapping[str, Any]] = field(default_factory=dict)
    """Its pairs, by what names the extension."""


def line_of(
    changes: Changes, ordered_at: datetime, extensions: Mapping[Any, Mapping[str, Any]]
) -> Line:
    """A line of changes to an item; `ordered_at` is when the order was, for one that has none."""
    members = {name: value for name, value in changes.items() if value is not None}
    moment = members.get("ordered_at", ordered_at)
    members["ordered_at"] = instant(moment) if isinstance(moment, str) else moment
    return Line(members, {name: pairs for name, pairs in extensions.items() if pairs})


def match_lines(stored: Sequence[Line], sent: Sequence[Line]) -> list[int | None]:
    """For each line sent, the position of the stored item that it is; None for a new one.

    Of several items that a line could be, it is one that equals it in everything, so that lines
    of one referenceId keep their items whatever their order. Linear in the number of lines.
    """
    found: list[int | None] = [None] * len(sent)
    taken: set[int] = set()
    for key in (_whole, _reference, _members):
        free = _positions(stored, taken, key)
        for index, line in enumerate(sent):
            queue = free.get(key(line)) if found[index] is None else None
            if queue:
                position = queue.popleft()
                found[index] = position
                taken.add(position)
    return found


def _positions(
    stored: Sequence[Line], taken: set[int], key: Callable[[Line], Hashable]
) -> dict[Hashable, deque[int]]:
    """The items that no line has taken, by their key, in order; those without a key left out."""
    free: dict[Hashable, deque[int]] = defaultdict(deque)
    for position, line in enumerate(stored):
        one = key(line) if position not in taken else None
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
    """A value that is equal, and hashes, as the value does; true is not 1."""
    if isinstance(value, Mapping):
        return frozenset((name, _frozen(member)) for name, member in value.items())
    if isinstance(value, list | tuple):
        return tuple(map(_frozen, value))
    return (bool, value) if isinstance(value, bool) else value
