"""Decide which fields are personal, in rules, columns and filters."""

from collections.abc import Iterator
from typing import Any, Final

from innkeeper.resources.base import Resource
from innkeeper.resources.events import Event, Session
from innkeeper.resources.guests import Guest
from innkeeper.resources.orders import CHILDREN, Order
from innkeeper.resources.segments import (
    BOOLEAN,
    CORE,
    IDENTIFIER,
    NUMBER,
    STATIC_LIST,
    STRING,
    TRAIT,
    snake,
)

_RESOURCES: Final[tuple[type[Resource], ...]] = (Guest, *CHILDREN, Order, Event, Session)
_PERSONAL: Final = frozenset(
    name for resource in _RESOURCES for name, field in resource.fields.items() if field.personal
)
_PAGE_ADDRESSES: Final = frozenset(
    name for resource in _RESOURCES for name, field in resource.fields.items() if field.page_address
)
_PLAIN_TRAITS: Final = frozenset({"favouriteCategory"})
"""Text traits that are not personal: categories of products."""


def is_page_address(field: str) -> bool:
    """Whether a declared field is a page address, whose query may be personal."""
    return snake(field) in _PAGE_ADDRESSES


def is_personal(field: str, location: str = CORE, data_type: str = "") -> bool:
    """Whether a field of a segment or export is personal.

    Texts of data extensions, free members of events and traits made of them count as personal,
    because their content is not declared; numbers and flags do not.
    """
    if location == CORE:
        return snake(field) in _PERSONAL
    if location == TRAIT:
        return data_type == STRING and field not in _PLAIN_TRAITS
    if location == STATIC_LIST:
        return False
    return location == IDENTIFIER or data_type not in (NUMBER, BOOLEAN)


def personal_fields_in(definition: Any) -> list[str]:
    """Return the personal fields in a segment's or trait's definition, each once, and `sql` if it
    has SQL, which may read any field."""
    return list(dict.fromkeys(_named(definition)))


def without_personal(definition: Any) -> Any:
    """Remove SQL, and the values that personal fields are compared with, from a definition."""
    if isinstance(definition, list):
        return [without_personal(item) for item in definition]
    if not isinstance(definition, dict):
        return definition
    hidden = {"sql"} | ({"values"} if _is_personal_rule(definition) else set())
    return {
        name: without_personal(value) for name, value in definition.items() if name not in hidden
    }


def _named(definition: Any) -> Iterator[str]:
    if isinstance(definition, list):
        for item in definition:
            yield from _named(item)
    elif isinstance(definition, dict):
        if definition.get("sql") is not None:
            yield "sql"
        if _is_personal_rule(definition):
            yield str(definition["field"])[:100]
        for value in definition.values():
            yield from _named(value)


def _is_personal_rule(part: dict[str, Any]) -> bool:
    field, location = part.get("field"), part.get("location", CORE)
    return (
        isinstance(field, str)
        and isinstance(location, str)
        and is_personal(field, location, str(part.get("comparatorDataType", "")))
    )
