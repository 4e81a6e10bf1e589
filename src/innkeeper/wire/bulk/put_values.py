"""Put the values of cells into the value of a record, by the targets of a mapping."""

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

from innkeeper.resources.kinds import ListOf
from innkeeper.rules.person_names import split_full_name
from innkeeper.wire.bulk.targets import FULL_NAME, PLANS, kind_of

Put = Callable[[dict[str, Any], Any], None]
"""Function that puts the value of a cell into the value of a record."""


def put(entity: str, value: dict[str, Any], target: str, read: Any) -> None:
    """Set one target of a record's value; a list gets the values of several columns."""
    putter(entity, target)(value, read)


@lru_cache(4096)
def putter(entity: str, target: str) -> Put:
    """Return the function that sets a target."""
    where, _, rest = target.partition(".")
    if where in ("contact", "orderItems") and rest:
        inner = putter("guests" if where == "contact" else "items", rest)
        if where == "contact":
            return lambda value, read: inner(value.setdefault("contact", {}), read)
        return lambda value, read: inner(value.setdefault("orderItems", [{}])[0], read)
    put_value: Put
    if where == "identifiers" and rest:
        put_value = partial(_put_identifier, rest)
    elif where == "extensions" and rest:
        put_value = partial(_put_pair, *_pair_of(rest))
    elif where == "ext" and rest:
        put_value = partial(_put_ext, rest)
    elif entity == "guests" and target == FULL_NAME:
        put_value = _put_full_name
    elif entity == "events" and target == "data":
        put_value = _put_members
    elif isinstance(kind_of(entity, target) if entity in PLANS else None, ListOf):
        put_value = partial(_put_elements, target)
    else:
        put_value = partial(_put_value, target)
    return put_value


def _put_value(target: str, value: dict[str, Any], read: Any) -> None:
    value[target] = read


def _put_ext(name: str, value: dict[str, Any], read: Any) -> None:
    value.setdefault("ext", {})[name] = read


def _put_identifier(provider: str, value: dict[str, Any], read: Any) -> None:
    one = {"provider": provider, "id": read if isinstance(read, str) else str(read)}
    value.setdefault("identifiers", []).append(one)


def _put_full_name(value: dict[str, Any], read: Any) -> None:
    for name, part in zip(("firstName", "lastName"), split_full_name(str(read)), strict=True):
        if part:
            value.setdefault(name, part)


def _put_members(value: dict[str, Any], read: Any) -> None:
    if isinstance(read, dict):
        # Members that have no column of their own in exports.
        value.update(read)
    else:
        value["data"] = read


def _put_elements(target: str, value: dict[str, Any], read: Any) -> None:
    value.setdefault(target, []).extend(read if isinstance(read, list) else [read])


def _pair_of(rest: str) -> tuple[str, str, str]:
    """Return name, key and attribute of a pair of a data extension."""
    name, _, attribute = rest.rpartition(".")
    name, _, key = (name or "ext").partition("/")
    return name, key or "default", attribute


def _put_pair(name: str, key: str, attribute: str, value: dict[str, Any], read: Any) -> None:
    if isinstance(read, dict):
        # A pair holds one value: `consent` with a member `at` is a pair `consentAt`.
        for member, of_it in read.items():
            if of_it is not None:
                _put_pair(name, key, attribute + _capitalised(member), value, of_it)
        return
    groups = value.setdefault("extensions", [])
    for group in groups:
        if group["name"] == name and group["key"] == key:
            group[attribute] = read
            return
    groups.append({"name": name, "key": key, attribute: read})


def _capitalised(name: str) -> str:
    """Return a name as a later part of a name in camel case."""
    words = "".join(c if c.isascii() and c.isalnum() else " " for c in name).split()
    return "".join(word[:1].upper() + word[1:] for word in words)
