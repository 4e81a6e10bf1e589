"""Read the members of each standard type of event (stream-api.md 4.2)."""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from innkeeper.resources import events
from innkeeper.resources.base import Resource
from innkeeper.resources.guests import Guest
from innkeeper.resources.kinds import IDENTIFIERS, MOST_IDENTITIES, MOST_LINES, ListOf
from innkeeper.resources.orders import OrderConsumer, OrderContact
from innkeeper.resources.values import ValueRefused, instant
from innkeeper.rules import event_orders
from innkeeper.rules.event_members import Meaning, Message, id_of, refuse
from innkeeper.rules.orders import is_identifiable
from innkeeper.rules.stream import BAD_ATTRIBUTES, BAD_MEMBER, InvalidEvent, InvalidPart

_LOCAL_TIME: Final = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}", re.ASCII)
_AIRPORT: Final = re.compile(r"[A-Z]{3}", re.ASCII)


def _spelling(name: str) -> str:
    """Return a member's name without case, spaces, hyphens and underscores."""
    return re.sub(r"[_\s-]", "", name).lower()


_PEOPLE: Final = {
    _spelling(spelling): name
    for name, field in Guest.fields.items()
    if field.in_events and not field.owned
    for spelling in (name, *field.spellings)
}
"""Spelling in events -> field of a person."""
MOST_PEOPLE: Final = 200
"""Most contacts or consumers in one event."""
_ITEMS: Final = ("itemids", "items", "orderitems", "listofitemids")


def meaning_of(type_: str, message: Message) -> Meaning:
    """Read an event of a standard type; raises `InvalidEvent` if a required member is missing."""
    return _MEANINGS[type_](message) if type_ in _MEANINGS else ({}, [])


def _search(message: Message) -> Meaning:
    _texts(message, "product_name", "product_type")
    if message["product_type"].upper() == events.FLIGHT:
        dates = ["start"] if message.get("flight_type") == "OW" else ["start", "end"]
        problems = [
            name
            for name, good in (
                ("flight_type", message.get("flight_type") in ("OW", "RT")),
                *((name, _matches(_AIRPORT, message.get(name))) for name in _ENDS),
                *((name, message.get(name)) for name in dates),
                *((name, _is_count(message.get(name))) for name in _TRAVELLERS),
            )
            if not good
        ]
        refuse(problems)
        return {}, [
            InvalidPart(BAD_MEMBER, f"{name}: must be YYYY-MM-DDThh:mm", {name: message[name]})
            for name in dates
            if not _matches(_LOCAL_TIME, message[name])
        ]
    return {}, []


_ENDS: Final = ("origin", "destination")
_TRAVELLERS: Final = ("adults", "children", "infants")


def _identity(message: Message) -> Meaning:
    """Read `identifiers` and `person` (the fields of a guest)."""
    identifiers, bad = _identifiers(message.get("identifiers"))
    if not identifiers:
        raise InvalidEvent(BAD_ATTRIBUTES, "; ".join(part.detail for part in bad) or "identifiers")
    # The event's `language` is that of the page, not of the person.
    members = {name: value for name, value in message.items() if name != "language"}
    person, parts = person_of(members, Guest)
    return {"identifiers": identifiers, "person": person}, [*bad, *parts]


def _confirm(message: Message) -> Meaning:
    products = message.get("product")
    products = [products] if isinstance(products, dict) else products
    if not isinstance(products, list) or not products:
        raise InvalidEvent(BAD_ATTRIBUTES, "product")
    ids = [id_of(one.get("item_id")) if isinstance(one, dict) else None for one in products]
    if not all(ids):
        raise InvalidEvent(BAD_ATTRIBUTES, "product.item_id")
    return {"product": [{"item_id": one} for one in ids]}, []


def _contacts(message: Message) -> Meaning:
    return _people(message, "contact", OrderContact)


def _consumers(message: Message) -> Meaning:
    return _people(message, "consumer", OrderConsumer)


def _people(message: Message, member: str, resource: type[Resource]) -> Meaning:
    payload = message.get(member)
    payload = [payload] if isinstance(payload, dict) else payload
    if not isinstance(payload, list) or not all(isinstance(one, dict) for one in payload):
        raise InvalidEvent(BAD_ATTRIBUTES, member)
    people, parts = [], []
    for one in payload:
        person, bad = person_of(one, resource)
        if one.get("identifiers") is not None:
            person["identifiers"], more = _identifiers(one["identifiers"])
            bad += more
        parts += [
            InvalidPart(part.reason, f"{member}: {part.detail}", part.message) for part in bad
        ]
        if resource is OrderConsumer:
            person["item_ids"] = _item_ids(one)
        people.append({name: value for name, value in person.items() if value})
    identifiers = sum(len(person.get("identifiers", ())) for person in people)
    if len(people) > MOST_PEOPLE or identifiers > MOST_LINES:
        raise InvalidEvent(BAD_ATTRIBUTES, f"{member}: too many")
    if not people or not all(is_identifiable(person) for person in people):
        raise InvalidEvent(BAD_ATTRIBUTES, member)
    return {member: people}, parts


def _checkout(message: Message) -> Meaning:
    reference = id_of(message.get("reference_id"))
    status = message.get("status")
    status = status.upper() if isinstance(status, str) else status
    is_status = status in events.CHECKOUT_STATUSES
    members = (("reference_id", reference), ("status", is_status))
    refuse([name for name, good in members if not good])
    return {"reference_id": reference, "status": status}, []


def _payment(message: Message) -> Meaning:
    pay_type = message.get("pay_type")
    types = {each.lower(): each for each in events.PAY_TYPES}
    if not isinstance(pay_type, str) or pay_type.lower() not in types:
        raise InvalidEvent(BAD_ATTRIBUTES, "pay_type")
    card = message.get("card_type")
    card_type = {"card_type": card} if isinstance(card, str) and card else {}
    return {"pay_type": types[pay_type.lower()]} | card_type, []


_MEANINGS: Final[dict[str, Callable[[Message], Meaning]]] = {
    events.SEARCH: _search,
    events.IDENTITY: _identity,
    events.ADD: event_orders.read_add,
    events.CONFIRM: _confirm,
    events.ADD_CONTACTS: _contacts,
    events.ADD_CONSUMERS: _consumers,
    events.CHECKOUT: _checkout,
    events.PAYMENT: _payment,
    events.ORDER_CHECKOUT: event_orders.read_order_checkout,
}


def person_of(
    message: Message, resource: type[Resource]
) -> tuple[dict[str, Any], list[InvalidPart]]:
    """Return the fields of a person in a message, and the members that a field rejects."""
    person: dict[str, Any] = {}
    parts: list[InvalidPart] = []
    for spelt, value in message.items():
        name = _PEOPLE.get(_spelling(spelt))
        field = resource.fields.get(name or "")
        if name is None or field is None or value in (None, "", []):
            continue
        try:
            read = field.kind.read(_as_field(name, value, resource))
        except ValueRefused as refused:
            parts.append(InvalidPart(BAD_MEMBER, f"{spelt}: {refused.reason}", {spelt: value}))
            continue
        if name not in person or not isinstance(field.kind, ListOf):
            person[name] = read
        elif len(person[name]) + len(read) <= MOST_IDENTITIES:
            person[name].extend(read)
        else:
            parts.append(
                InvalidPart(BAD_MEMBER, f"{spelt}: more than {MOST_IDENTITIES}", {spelt: value})
            )
    return person, parts


def _as_field(name: str, value: Any, resource: type[Resource]) -> Any:
    if isinstance(resource.fields[name].kind, ListOf) and not isinstance(value, list):
        return [value]
    if name == "gender" and resource is not Guest and isinstance(value, str):
        return value.lower()
    return value


def named_in(kind: str | None, message: Message) -> list[dict[str, Any]]:
    """Return the people in an event, each with the fields that the block list is checked for."""
    member = _PEOPLE_MEMBERS.get(kind or "")
    if member is None:
        return []
    payload = message.get(member) if member else message
    people = payload if isinstance(payload, list) else [payload]
    return [_identity_fields(one) for one in people if isinstance(one, dict)]


_PEOPLE_MEMBERS: Final = {
    events.IDENTITY: "",
    events.ADD_CONTACTS: "contact",
    events.ADD_CONSUMERS: "consumer",
}
"""Event type -> member with the people; the empty name means the event itself."""


def _identity_fields(person: Mapping[str, Any]) -> dict[str, Any]:
    email = person.get("email")
    identifiers, _ = _identifiers(person.get("identifiers"))
    return {"identifiers": identifiers} | ({"email": email} if isinstance(email, str) else {})


def _identifiers(value: Any) -> tuple[list[dict[str, Any]], list[InvalidPart]]:
    """Return the valid identifiers, and the others as invalid parts."""
    good: list[dict[str, Any]] = []
    parts: list[InvalidPart] = []
    every = [value] if isinstance(value, dict) else value if isinstance(value, list) else []
    if rest := every[MOST_IDENTITIES:]:
        detail = f"identifiers: more than {MOST_IDENTITIES}"
        parts.append(InvalidPart(BAD_MEMBER, detail, {"identifiers": rest}))
    for one in every[:MOST_IDENTITIES]:
        spelt = dict(one) if isinstance(one, dict) else {}
        expiry = spelt.pop("expiry_date", None) or spelt.get("expiryDate") or None
        try:
            instant(expiry) if expiry is not None else None
            (read,) = IDENTIFIERS.read([{**spelt, "expiryDate": expiry}])
            if not (read["provider"].strip() and read["id"].strip()):
                raise ValueRefused("provider and id must not be empty")
        except ValueRefused as refused:
            detail = f"identifiers{refused.at}: {refused.reason}"
            parts.append(InvalidPart(BAD_MEMBER, detail, {"identifiers": [one]}))
            continue
        good.append(read)
    return good, parts


def _item_ids(consumer: Message) -> list[str]:
    for spelt, value in consumer.items():
        if _spelling(spelt) in _ITEMS and isinstance(value, list):
            ids = (id_of(one.get("item_id") if isinstance(one, dict) else one) for one in value)
            return [one for one in ids if one]
    return []


def _texts(message: Message, *names: str) -> None:
    refuse([name for name in names if not isinstance(message.get(name), str) or not message[name]])


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _matches(pattern: re.Pattern[str], value: Any) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None
