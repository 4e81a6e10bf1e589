"""Detect phone numbers and ids that a spreadsheet has damaged by treating them as numbers."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from innkeeper.errors import Invalid
from innkeeper.rules import batch as rules
from innkeeper.rules.batch import Operation
from innkeeper.rules.normalize import is_damaged, is_damaged_phone

DAMAGED: Final = (
    "is a value that a spreadsheet damaged: make the column text there, and export it again"
)
_PHONES: Final = ("phone", "mobile", "phoneNumbers")
_PEOPLE: Final = ("contact", "consumer", "consumers")

Read = Callable[[dict[str, Any]], Operation]


def refuse_damaged(read: Read) -> Read:
    """Return a reader that also refuses a record with a phone number or an id that a spreadsheet
    damaged. Such a value does not identify a person; only the file's source has the right one."""

    def checked(value: dict[str, Any]) -> Operation:
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


def _find_damaged(value: Mapping[str, Any]) -> Iterator[str]:
    """Yield the path of each damaged number of a record and of the people in it."""
    yield from _find_in_person(value)
    for name in _PEOPLE:
        for at, person in _each(name, value.get(name)):
            if isinstance(person, dict):
                yield from (f"{at}.{inner}" for inner in _find_in_person(person))


def _find_in_person(value: Mapping[str, Any]) -> Iterator[str]:
    for name in _PHONES:
        for at, number in _each(name, value.get(name)):
            if isinstance(number, str) and is_damaged_phone(number):
                yield at
    for at, one in _each("identifiers", value.get("identifiers")):
        own = one.get("id") if isinstance(one, dict) else None
        if isinstance(own, str) and is_damaged(own.strip()):
            yield f"{at}.id"


def _each(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Yield (path, value) of a member, or of each element if it is an array."""
    if isinstance(value, list):
        yield from ((f"{name}[{index}]", one) for index, one in enumerate(value))
    elif value is not None:
        yield name, value
