"""The dialect of seed 000: its differences on the guest paths, and its own paths for orders.

Keys with the compatibility `open` get its guests; its orders exist beside the official ones.
"""

from innkeeper.resources.guests import VISITOR
from innkeeper.resources.kinds import OneOf, Spelt
from innkeeper.resources.orders import OrderItem
from innkeeper.rules.orders import line_total
from innkeeper.wire.dialects.official import (
    GUEST,
    GUEST_EXTENSION,
    NUMBER,
    ORDER,
    ORDER_ITEM,
    REF,
    TEXT,
)
from innkeeper.wire.views import Computed, ListShape, Verb

GENDERS = ("Male", "Female", "Other", "Unknown")


def gender_word(stored: str) -> str | None:
    """Return a stored gender in the spelling of seed 000; None outside its four words (N-7)."""
    word = stored.capitalize()
    return word if word in GENDERS else None


OPEN_GUEST = GUEST.but(
    required=frozenset(),
    defaults={"guest_type": VISITOR},
    accept={"gender": OneOf(GENDERS, any_case=True)},
    show={"gender": gender_word},
    deleted=204,
)

OPEN_GUEST_EXTENSION = GUEST_EXTENSION.but(
    names=None, single_form=True, shape=ListShape.ARRAY_UNLESS_PAGED, deleted=204, options={}
)

ORDERS = "/v2.1/guests/{guest}/orders"
ONE_ORDER = ORDERS + "/{order}"

STATUSES = {
    **{word: word for word in ("PENDING", "CONFIRMED", "SHIPPED", "DELIVERED")},
    "CANCELLED": "CANCELED",
    **dict.fromkeys(("PURCHASED", "PARTIALY_CONFIRMED"), "CONFIRMED"),
    **dict.fromkeys(("PAYMENT_PENDING", "RESERVED"), "PENDING"),
}
"""Stored status -> seed 000's word for it; others are not shown (N-17)."""
WORDS = {
    **{word: word for word in ("PENDING", "CONFIRMED", "SHIPPED", "DELIVERED")},
    "CANCELED": "CANCELLED",
}
"""Seed 000's word -> stored status."""

NESTED_ORDER = ORDER.but(
    name="NestedOrder",
    path=ORDERS,
    verbs=frozenset({Verb.CREATE, Verb.LIST, Verb.FETCH, Verb.REPLACE, Verb.DELETE}),
    methods={
        Verb.FETCH: ("GET", ONE_ORDER),
        Verb.REPLACE: ("PUT", ONE_ORDER),
        Verb.DELETE: ("DELETE", ONE_ORDER),
    },
    rename={"price": "totalPrice"},
    required=frozenset({"reference_id", "ordered_at"}),
    insists=frozenset({"reference_id", "ordered_at"}),
    accept={"status": Spelt(WORDS)},
    show={"status": STATUSES.get},
    keep={"status": STATUSES.get},
    add={
        "orderRef": Computed(REF, lambda order: order["ref"]),
        "price": Computed(NUMBER, lambda order: order.get("price")),
    },
    hide=frozenset({"payment_type", "card_type", "point_of_sale", "channel"}),
    arrays={"items": ONE_ORDER + "/items"},
    fetch_expands=frozenset({"contacts", "consumers", "dataExtensions"}),
    create_expands=False,
    create_query={},
    filters={},
    sorts={},
    shape=ListShape.ARRAY,
    links=(),
)

NESTED_ORDER_ITEM = ORDER_ITEM.but(
    name="NestedOrderItem",
    path=ONE_ORDER + "/items",
    verbs=frozenset({Verb.CREATE, Verb.LIST}),
    rename={"product_id": "sku"},
    required=frozenset({"product_id", "quantity"}),
    add={
        "itemRef": Computed(REF, lambda item: item["ref"]),
        "productId": Computed(TEXT, lambda item: item.get("product_id")),
        "totalPrice": Computed(NUMBER, line_total),
    },
    hide=frozenset(OrderItem.fields)
    - {"name", "product_id", "quantity", "price", "ref", "created_at", "modified_at"},
    shape=ListShape.ARRAY,
    links=(),
)

NESTED_ORDERS = (NESTED_ORDER, NESTED_ORDER_ITEM)
