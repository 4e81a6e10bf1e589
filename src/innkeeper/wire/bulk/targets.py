"""Targets of a mapping: the fields of records, and those of the persons and items of orders."""

from collections.abc import Mapping
from typing import Final

from innkeeper.resources.kinds import Instant, Kind, ListOf
from innkeeper.rules.members import nearest
from innkeeper.wire.bulk.batch_plans import ITEM, ORDER, OWN_GUEST, PERSON, Plan

PLANS: Final[Mapping[str, Plan]] = {"guests": OWN_GUEST, "orders": ORDER, "events": {}}
REASON: Final = "innkeeper:reason"
"""Column of refused rows with the reason; an import ignores it."""
FULL_NAME: Final = "fullName"
"""Target of a column with whole names; it fills firstName and lastName."""
_OWN_TARGETS: Final = {FULL_NAME: "guests", "contacts": "orders", "consumers": "orders"}
"""Target that is no field -> its meaning."""


def is_of_item(target: str) -> bool:
    """Whether a target is a member of an order's item."""
    return target.startswith("orderItems.")


def kind_of(entity: str, target: str) -> Kind | None:
    """Return the kind of a target that is a field; None for others."""
    if entity == "events":
        return Instant() if target == "requested_at" else None
    where, _, rest = target.partition(".")
    if where in ("contact", "consumers") and rest:
        in_person = PERSON.get(rest)
        return in_person[1] if in_person else None
    in_item = where == "orderItems" and rest
    declared = ITEM.get(rest) if in_item else PLANS[entity].get(target)
    return declared[1] if declared else None


def is_single(entity: str, target: str) -> bool:
    """Return whether a target takes one value, so that a second column would replace it."""
    name = target.removeprefix("contact.")
    if name.startswith("identifiers.") or target in ("data", "ext"):
        return False
    return not isinstance(kind_of(entity, target), ListOf)


def near_target(entity: str, target: str) -> str | None:
    """Return the target that resembles a misspelt one most."""
    where, dot, rest = target.partition(".")
    plan = {"contact": PLANS["guests"], "orderItems": ITEM}.get(where if dot else "", PLANS[entity])
    prefix = f"{where}." if plan is not PLANS[entity] else ""
    names = [name for name in plan if is_target(entity, prefix + name)]
    near = nearest(rest if prefix else target, names)
    return None if near is None else prefix + near


def is_target(entity: str, target: str) -> bool:
    where, _, rest = target.partition(".")
    if entity == "events":
        return bool(target)
    if where in ("identifiers", "extensions") and (rest or entity == "guests"):
        return entity != "orders" or where == "extensions"
    if entity == "orders" and where == "contact":
        return not rest or is_target("guests", rest)
    if entity == "orders" and where == "orderItems":
        return not rest or rest in ITEM or rest.startswith("extensions.")
    if target in _OWN_TARGETS:
        return entity == _OWN_TARGETS[target]
    declared = PLANS[entity].get(target)
    return declared is not None and declared[1] is not None
