"""Requests about static lists and about actions on many guests."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final
from uuid import UUID

from innkeeper.errors import Problem
from innkeeper.resources.base import Record
from innkeeper.resources.definitions import FriendlyId, Name, SegmentDefinition
from innkeeper.resources.kinds import ListOf, Text
from innkeeper.resources.naming import camel
from innkeeper.resources.payload_kinds import NotBlank, Ref
from innkeeper.resources.payloads import ABSENT, Absent, JsonOf, Payload
from innkeeper.resources.segments import STATIC_LIST

MOST_NAMED: Final = 10_000
"""Most guests or identifiers that one request names."""
MOST_ERASED: Final = 10_000
"""Most guests that one action erases."""
LONGEST_DESCRIPTION: Final = 1000

ADD: Final = "ADD_TO_LIST"
REMOVE: Final = "REMOVE_FROM_LIST"
ERASE: Final = "ERASE"

SUCCESS: Final = "SUCCESS"
FAILED: Final = "FAILED"
FINISHED: Final = frozenset({SUCCESS, FAILED})

_SOURCES: Final = ("guests", "identifiers", "segment", "static_list", "definition")


class ChangeStaticListRequest(Payload):
    """The members of a static list that a caller may change."""

    name: Name | Absent
    description: Annotated[str | Absent | None, Text(LONGEST_DESCRIPTION)]


class CreateStaticListRequest(ChangeStaticListRequest):
    """A static list, without guests yet."""

    name: Name
    friendly_id: FriendlyId | Absent | None


class GuestSelection(Payload):
    """Guests, selected in one of five ways."""

    guests: Annotated[list[UUID] | Absent, ListOf(Ref(), MOST_NAMED), "Refs of guests."] = ABSENT
    identifiers: Annotated[
        list[str] | Absent,
        ListOf(NotBlank(1000), MOST_NAMED),
        "Refs, e-mail addresses, `provider:id`, or ids of any provider.",
    ] = ABSENT
    segment: Annotated[str | Absent, "Guests in this segment now: its ref or friendly id."] = ABSENT
    static_list: Annotated[str | Absent, "Guests on this list: its ref or friendly id."] = ABSENT
    definition: Annotated[Record | Absent, JsonOf(SegmentDefinition)] = ABSENT

    @classmethod
    def check(cls, values: Mapping[str, Any]) -> Iterator[Problem]:
        # A refused one is not in `values`, and its problem is already added.
        named = [name for name in _SOURCES if values.get(name) is not ABSENT]
        if len(named) != 1:
            names = ", ".join(camel(name) for name in _SOURCES)
            yield Problem("selection", f"must have exactly one of {names}")


class SelectGuestsRequest(Payload):
    """The guests of an action."""

    selection: GuestSelection


class ChangeMembersRequest(SelectGuestsRequest):
    """The guests to add to a list, or to remove from it."""

    expected: Annotated[int | Absent, "Refused with 409 if the number of guests is another."]


def definition_of_list(friendly_id: str) -> dict[str, Any]:
    """Return the definition of a segment: the guests on a list."""
    rule = {
        "location": STATIC_LIST,
        "field": friendly_id,
        "comparator": "is true",
        "comparatorDataType": "boolean",
        "values": [],
    }
    return {"filterGroups": [{"entity": "guest", "ruleOperator": "AND", "rules": [rule]}]}
