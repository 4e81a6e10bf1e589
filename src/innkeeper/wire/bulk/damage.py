"""Refuse phone numbers and ids that a spreadsheet shortened, because it took them for amounts."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from innkeeper.errors import Invalid
from innkeeper.rules import batch as rules
from innkeeper.rules.batch import Operation
from innkeeper.rules.normalize import is_damaged, is_damaged_phone

DAMAGED: Final = (
    "is a value that a spreadsheet damaged: make the column text there, and export it again"
)
_PHONES: Final = ("phone", "mobile", "phoneNumbers")
_PEOPLE: Final = ("contact", "contacts", "consumer", "consumers")
_PLACES: Final = (*_PHONES, "identifiers", *_PEOPLE)
"""Members that contain such numbers, or people with such members."""

Read = Callable[[dict[str, Any]], Operation]


def refuse_damaged(read: Read) -> Read:
    """Return the reader of a record, which refuses one with a phone number or an id that a
    spreadsheet damaged: it identifies nobody, and the lost digits are in the file's source."""

    def checked(value: dict[str, Any]) -> Operation:
        if not any(map(value.__contains__, _PLACES)):
            return read(value)
        damaged = tuple(f"{at}: {DAMAGED}" for at in _find_damaged(value))
        if not damaged:
            return read(value)
        others: Sequence[str] = ()
        try:
            read(value)
        except rules.RecordRejected as refused:
            others = refused.fault.errors
        except Invalid as refused:
            others = refused.errors
        raise rules.RecordRejected(rules.invalid(*others, *damaged))

    return checked


def _find_damaged(value: Mapping[str, Any]) -> list[str]:
    """Return the path of each damaged number of a record and of the people in it."""
    damaged = _find_in_person(value)
    for name in _PEOPLE:
        if name in value:
            for at, person in _each(name, value[name]):
                if isinstance(person, dict):
                    damaged += (f"{at}.{inner}" for inner in _find_in_person(person))
    return damaged


def _find_in_person(value: Mapping[str, Any]) -> list[str]:
    damaged = []
    for name in _PHONES:
        if name in value:
            for at, number in _each(name, value[name]):
                if isinstance(number, str) and is_damaged_phone(number):
                    damaged.append(at)
    if "identifiers" in value:
        for at, one in _each("identifiers", value["identifiers"]):
            own = one.get("id") if isinstance(one, dict) else None
            if isinstance(own, str) and is_damaged(own.strip()):
                damaged.append(f"{at}.id")
    return damaged


def _each(name: str, value: Any) -> Iterable[tuple[str, Any]]:
    """Return (path, value) of a member, or of each element if it is an array."""
    if isinstance(value, list):
        return [(f"{name}[{index}]", one) for index, one in enumerate(value)]
    return [] if value is None else [(name, value)]
