"""What the members of event messages are read by, whatever the type of event."""

from collections.abc import Iterable, Mapping
from typing import Any

from innkeeper.resources.kinds import Kind
from innkeeper.resources.values import ValueRefused
from innkeeper.rules.stream import BAD_ATTRIBUTES, InvalidEvent, InvalidPart

Message = Mapping[str, Any]
Meaning = tuple[dict[str, Any], list[InvalidPart]]
"""What an event means, as rules and actions take it, and the members that break a rule."""


def refuse(problems: Iterable[str]) -> None:
    """Raise `Misused` that names the members, if there are any."""
    named = ", ".join(problems)
    if named:
        raise InvalidEvent(BAD_ATTRIBUTES, named)


def id_of(value: Any) -> str | None:
    """A reference of the caller's, as text; None where there is none."""
    if isinstance(value, bool):
        return None
    return str(value).strip() or None if isinstance(value, str | int) else None


def reason_against(kind: Kind, value: Any) -> str | None:
    """Why a kind does not take a value; None if it does."""
    try:
        kind.read(value)
    except ValueRefused as refused:
        return refused.reason
    return None
