"""Helpers that read members of event messages of any type."""

from collections.abc import Iterable, Mapping
from typing import Any

from innkeeper.resources.kinds import Kind
from innkeeper.resources.values import ValueRefused
from innkeeper.rules.stream import BAD_ATTRIBUTES, InvalidEvent, InvalidPart

Message = Mapping[str, Any]
Meaning = tuple[dict[str, Any], list[InvalidPart]]
"""Members of an event as rules and actions use them, and the members that are invalid."""


def refuse(problems: Iterable[str]) -> None:
    """Raise `InvalidEvent` that names the missing or invalid members, if there are any."""
    members = ", ".join(problems)
    if members:
        raise InvalidEvent(BAD_ATTRIBUTES, members)


def id_of(value: Any) -> str | None:
    """Return a caller's reference as text; None if it is missing or of another type."""
    if isinstance(value, bool):
        return None
    return str(value).strip() or None if isinstance(value, str | int) else None


def reason_against(kind: Kind, value: Any) -> str | None:
    """Return the reason why a kind rejects a value; None if it accepts it."""
    try:
        kind.read(value)
    except ValueRefused as refused:
        return refused.reason
    return None
