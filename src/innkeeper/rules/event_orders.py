"""Read the products and orders of events (stream-api.md 4.2: ADD, CHECKOUT, ORDER_CHECKOUT).

An event with an invalid date is still attached: the date goes to quarantine as an invalid part,
and the time of the event is used instead.
"""

from collections.abc import Mapping
from typing import Any, Final

from innkeeper.resources import events
from innkeeper.resources.base import Changes, Field, Resource
from innkeeper.resources.kinds import Count, Instant, Number
from innkeeper.resources.orders import Order, OrderItem
from innkeeper.resources.values import ValueRefused, primitive
from innkeeper.rules.event_members import Meaning, Message, id_of, reason_against, refuse
from innkeeper.rules.stream import BAD_ATTRIBUTES, BAD_MEMBER, InvalidEvent, InvalidPart

MOST_KEYS: Final = 100
"""Most pairs in the extension of an order or item (rest-v2.1.md X-5)."""
MOST_PRODUCT: Final = 32 * 1024


def read_add(message: Message) -> Meaning:
    """Read `product`, a line of the cart; raises `InvalidEvent`."""
    product = message.get("product")
    if not isinstance(product, dict):
        raise InvalidEvent(BAD_ATTRIBUTES, "product")
    problems = [
        f"product.{name}"
        for name, good in (
            ("item_id", id_of(product.get("item_id"))),
            ("type", isinstance(product.get("type"), str) and product["type"]),
            ("price", not reason_against(Number(), product.get("price"))),
            ("quantity", not reason_against(Count(), product.get("quantity"))),
        )
        if not good
    ]
    refuse(problems)
    if len(repr(product)) > MOST_PRODUCT:
        raise InvalidEvent(BAD_ATTRIBUTES, f"product: longer than {MOST_PRODUCT} characters")
    item = id_of(product["item_id"])
    parts = [
        InvalidPart(BAD_MEMBER, f"product.{detail}", {"product": {"item_id": item, **members}})
        for detail, members in _unread_dates(product, OrderItem, _ITEM)
    ]
    return {"product": {**product, "item_id": item}}, parts


def read_order_checkout(message: Message) -> Meaning:
    """Read `order` and `items` as changes of the declared resources, and each `ext` as pairs.

    The order has no `ordered_at` if that is invalid. Raises `InvalidEvent`.
    """
    payload = message.get("order")
    if not isinstance(payload, dict):
        raise InvalidEvent(BAD_ATTRIBUTES, "order")
    problems: list[str] = []
    order = _changes(payload, Order, _ORDER, problems, "order.")
    problems += [f"order.{name}" for name in _ORDER_NEEDS if payload.get(name) is None]
    parts = [
        InvalidPart(BAD_MEMBER, f"order.{detail}", {"order": members})
        for detail, members in _unread_dates(payload, Order, _ORDER)
    ]
    items = []
    lines = payload.get("orderItems") or []
    for index, one in enumerate(lines if isinstance(lines, list) else [lines]):
        at = f"order.orderItems[{index}]."
        if not isinstance(one, dict):
            problems.append(at.rstrip("."))
            continue
        item = _changes(one, OrderItem, _ITEM, problems, at)
        if str(item.get("type", "")).upper() == events.FLIGHT:
            problems.append(f"{at}type")
        items.append({**item, "ext": _extension(one, problems, at)})
        parts += [
            InvalidPart(BAD_MEMBER, f"{at}{detail}", {"order": {"orderItems": [members]}})
            for detail, members in _unread_dates(one, OrderItem, _ITEM)
        ]
    ext = _extension(payload, problems, "order.")
    refuse(list(dict.fromkeys(problems)))
    return {"order": order, "items": items, "ext": ext}, parts


_ORDER: Final = {
    "referenceId": "reference_id",
    "orderedAt": "ordered_at",
    "status": "status",
    "currencyCode": "currency_code",
    "price": "price",
    "paymentType": "payment_type",
    "cardType": "card_type",
}
_ORDER_NEEDS: Final = ("referenceId", "orderedAt", "status", "currencyCode", "price")
_ITEM: Final = {
    "type": "type",
    "referenceId": "reference_id",
    "orderedAt": "ordered_at",
    "status": "status",
    "currencyCode": "currency_code",
    "price": "price",
    "name": "name",
    "description": "description",
    "productId": "product_id",
    "quantity": "quantity",
    "vendor": "vendor",
    "originalPrice": "original_price",
    "originalCurrencyCode": "original_currency_code",
}


def item_of(product: Message) -> Changes:
    """Return the order item made of a cart's line; without a status it follows its order's."""
    names = {**_ITEM, "currency": "currency_code", "referenceId": "reference_id"}
    problems: list[str] = []
    item = _changes(product, OrderItem, names, problems, "")
    # Set without a check: v2.1 refuses some types, but events may use all of them (I-1).
    item["type"] = str(product["type"])
    item.setdefault("reference_id", product["item_id"])
    item.setdefault("name", str(product.get("productId") or product["item_id"])[:128])
    return item


def _changes(
    payload: Message,
    resource: type[Resource],
    names: Mapping[str, str],
    problems: list[str],
    at: str,
) -> Changes:
    changes: Changes = {}
    for spelt, name in names.items():
        value = payload.get(spelt)
        if value is None or (name == "type" and resource is OrderItem and not value):
            continue
        field: Field = resource.fields[name]
        try:
            changes[name] = value if name == "type" else field.kind.read(value)
        except ValueRefused:
            if not isinstance(field.kind, Instant):
                problems.append(at + spelt)
    return changes


def _unread_dates(
    payload: Message, resource: type[Resource], names: Mapping[str, str]
) -> list[tuple[str, dict[str, Any]]]:
    """Return (detail, members) of each invalid date; `members` include the referenceId."""
    invalid = []
    for spelt, name in names.items():
        kind, value = resource.fields[name].kind, payload.get(spelt)
        if not isinstance(kind, Instant) or value is None:
            continue
        if (reason := reason_against(kind, value)) is not None:
            has_reference = "referenceId" in payload
            reference = {"referenceId": payload["referenceId"]} if has_reference else {}
            invalid.append((f"{spelt}: {reason}", {**reference, spelt: value}))
    return invalid


def _extension(payload: Message, problems: list[str], at: str) -> dict[str, Any]:
    """Return the pairs of `extensions: [{name: "ext", key: "default", …}]`."""
    pairs: dict[str, Any] = {}
    extensions = payload.get("extensions") or []
    for one in extensions if isinstance(extensions, list) else [extensions]:
        for name, value in (one if isinstance(one, dict) else {}).items():
            if name in ("name", "key"):
                continue
            try:
                pairs[name] = primitive(value)
            except ValueRefused:
                problems.append(f"{at}extensions.{name}")
    if len(pairs) > MOST_KEYS:
        problems.append(f"{at}extensions")
    return pairs
