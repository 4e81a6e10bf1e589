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
            for index, person in _each(value[name]):
                if isinstance(person, dict):
                    inner = _find_in_person(person)
                    damaged += (f"{_path(name, index)}.{at}" for at in inner)
    return damaged


def _find_in_person(value: Mapping[str, Any]) -> list[str]:
    damaged = []
    for name in _PHONES:
        if name in value:
            for index, number in _each(value[name]):
                if isinstance(number, str) and is_damaged_phone(number):
                    damaged.append(_path(name, index))
    if "identifiers" in value:
        for index, one in _each(value["identifiers"]):
            own = one.get("id") if isinstance(one, dict) else None
            if isinstance(own, str) and is_damaged(own.strip()):
                damaged.append(f"{_path('identifiers', index)}.id")
    return damaged


def _each(value: Any) -> Iterable[tuple[int | None, Any]]:
    """Return a member without an index, or each element with its own if it is an array."""
    if isinstance(value, list):
        return enumerate(value)
    return () if value is None else ((None, value),)


def _path(name: str, index: int | None) -> str:
    return name if index is None else f"{name}[{index}]"
