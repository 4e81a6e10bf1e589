"""Declarations of orders, their items, contacts and consumers (rest-v2.1.md 5 to 9)."""

import re
from dataclasses import dataclass
from typing import Any, Final

from innkeeper.resources.base import Field, Resource, instant_at, ref_of
from innkeeper.resources.guests import Person
from innkeeper.resources.kinds import (
    CURRENCY,
    Count,
    Day,
    Instant,
    Kind,
    ListOf,
    NoneOf,
    Number,
    ObjectOf,
    OneOf,
    Opaque,
    Schema,
    Text,
)
from innkeeper.resources.values import NOT_VALID, ValueRefused

CHANNELS: Final = (
    *("WEB", "MOBILE_WEB", "MOBILE_APP", "CALL_CENTER", "AIRPORT_KIOSK", "BRANCH", "KIOSK"),
    *("OFFLINE", "GDS", "OTA", "OTHER"),
)
STATUSES: Final = (
    *("BROWSED", "CANCELLED", "CONFIRMED", "DECLINED"),
    # The spelling of the vendor's API.
    *("PARTIALY_CONFIRMED", "PARTIALY_REFUNDED"),
    *("PAYMENT_PENDING", "PENDING", "PURCHASED", "REFUNDED", "RESERVED", "SEARCHED", "UNKNOWN"),
)
BARRED_TYPES: Final = (
    *("FLIGHT", "HOTEL", "MORTGAGE", "MORTGAGE_APPLICATION", "LOAN_APPLICATION"),
    *("PERSONAL_LOAN", "RAIL"),
)
"""Item types that v2.1 does not accept; v2 and events create them (I-1, I-2)."""
EXTENSION_NAME: Final = "ext"
"""The only extension name of an order or an item in v2.1 (E-1)."""

_REF: Final = re.compile(r"(?:.*/)?([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})/?", re.I | re.A)
_LINK_SCHEMA: Final[Schema] = {
    "type": "object",
    "properties": {"href": {"type": "string"}},
    "required": ["href"],
}


@dataclass(frozen=True)
class Link(Kind):
    """`{"href": URL}` of another resource, stored as its ref in lower case (VC-4)."""

    def read(self, value: Any) -> str:
        href = value.get("href") if isinstance(value, dict) else None
        match = _REF.fullmatch(href) if isinstance(href, str) else None
        if match is None:
            raise ValueRefused(NOT_VALID, ".href")
        return match[1].lower()

    def schema(self) -> Schema:
        return _LINK_SCHEMA


@dataclass(frozen=True)
class Links(Kind):
    """`{"items": [{"href": URL}, …]}`, stored as refs without repeats."""

    def read(self, value: Any) -> list[str]:
        items = value.get("items", []) if isinstance(value, dict) else None
        try:
            return list(dict.fromkeys(ListOf(Link()).read(items)))
        except ValueRefused as refused:
            raise ValueRefused(refused.reason, f".items{refused.at}") from None

    def schema(self) -> Schema:
        return {"type": "object", "properties": {"items": {"type": "array", "items": _LINK_SCHEMA}}}


class Order(Resource):
    """A purchase; its items, contacts and consumers are resources of their own."""

    versioned = True
    ordered_at = Field(
        Instant(),
        "When it was ordered. Orders of one referenceId within two days are one order.",
        required=True,
        fixed=True,
        clearable=False,
        column=True,
    )
    reference_id = Field(
        Text(),
        "The organisation's own number of the order.",
        required=True,
        fixed=True,
        clearable=False,
        column=True,
    )
    currency_code = Field(CURRENCY, "Currency of the price, ISO 4217.", required=True)
    price = Field(Number(), "Total amount paid.", required=True)
    payment_type = Field(Text(), "How it was paid, e.g. Card.")
    card_type = Field(Text(), "Brand of the card, e.g. Visa.")
    point_of_sale = Field(Text(), "Where it was sold, e.g. spinair.com.")
    channel = Field(OneOf(CHANNELS), "Channel through which the customer ordered.")
    status = Field(OneOf(STATUSES, others=("SHIPPED", "DELIVERED")), "Status of the order.")
    ref = ref_of("order")
    created_at = instant_at("When the order was created here.")
    modified_at = instant_at("When the order was last written.")


class PlainChild(Resource):
    """Base of a part of orders that needs nothing but its declaration.

    The API, masking, erasure, subject access, the lake, exports of orders and the page of an order
    read the declaration, which must be in this module.
    """

    parent = Order

    def __init_subclass__(cls) -> None:
        words = re.sub(r"(?<!^)([A-Z])", r" \1", cls.__name__).lower()
        for name, field in (
            ("ref", ref_of(words)),
            ("created_at", instant_at(f"When the {words} was created here.")),
            ("modified_at", instant_at(f"When the {words} was last written.")),
        ):
            setattr(cls, name, field)
            field.__set_name__(cls, name)
        super().__init_subclass__()


FLIGHT_SEGMENT: Final = ObjectOf(
    {
        "id": Text(),
        "origin": Text(),
        "destination": Text(),
        # Local times, although they end in Z: never converted.
        "departureDateTime": Text(),
        "arrivalDateTime": Text(),
        "flightNumber": Text(),
        "fareClass": Text(),
        "carrier": Text(),
    },
    required=frozenset(
        {
            *("id", "origin", "destination", "departureDateTime", "arrivalDateTime"),
            *("flightNumber", "fareClass", "carrier"),
        }
    ),
    open_ended=True,
)


class OrderItem(Resource):
    """A product or service that was bought."""

    parent = Order
    name = Field(Text(longest=128), "Name of the product.", required=True)
    description = Field(Text(), "Longer description of the item.")
    ordered_at = Field(
        Instant(),
        "When it was ordered; by default when the order was.",
        clearable=False,
        column=True,
    )
    type = Field(NoneOf(barred=BARRED_TYPES), "Type of the item, e.g. FLIGHT.", required=True)
    product_id = Field(Text(), "The organisation's number of the product.")
    price = Field(Number(), "Price of one unit.", required=True)
    currency_code = Field(Text(), "Currency of the price.", required=True)
    original_price = Field(Number(), "Price of one unit before currency conversion.")
    original_currency_code = Field(Text(), "Currency before conversion, ISO 4217.")
    reference_id = Field(Text(), "The organisation's number of this item.")
    vendor = Field(Text(), "Seller of the item.")
    status = Field(Text(), "Status of the item.", required=True)
    language = Field(Text(), "Language of the purchase.")
    quantity = Field(Count(), "Number of units.")
    channel = Field(Text(), "Channel through which the customer ordered.")
    flight_segments = Field(ListOf(FLIGHT_SEGMENT), "The flights of a FLIGHT item.")
    passenger_type_code = Field(Text(), "Type of passenger, e.g. ADT.")
    extra = Field(Opaque(), "Undocumented members of v2's typed items; stored as sent.", free=True)
    ref = ref_of("order item")
    created_at = instant_at("When the item was created here.")
    modified_at = instant_at("When the item was last written.")


class OrderPerson(Person):
    """Fields that contacts and consumers share: a person, as the order describes them."""

    statements = "order_people"
    gender = Field(OneOf(("male", "female", "unknown")), "Gender.")
    date_of_birth = Field(Day(past=True), "Day of birth, in the past.", personal=True)
    guest_ref = Field(Link(), "The guest of this person.", clearable=False, column=True)
    created_at = instant_at("When this was created here.")
    modified_at = instant_at("When this was last written.")


class OrderContact(OrderPerson):
    """A person who placed an order."""

    parent = Order
    ref = ref_of("order contact")


class OrderConsumer(OrderPerson):
    """A person who uses items of an order, such as a passenger."""

    parent = Order
    order_items = Field(Links(), "The order items that this person uses.", column=True)
    ref = ref_of("order consumer")


class OrderExtension(Resource):
    """Free key-value pairs of an order."""

    singular = "Data extension"
    pairs = True


class OrderItemExtension(Resource):
    """Free key-value pairs of an order item."""

    singular = "Data extension"
    pairs = True


PLAIN_CHILDREN: Final[tuple[type[Resource], ...]] = tuple(PlainChild.__subclasses__())
"""Parts of orders that need only their declaration."""
CHILDREN: Final[tuple[type[Resource], ...]] = (
    OrderItem,
    OrderContact,
    OrderConsumer,
    *PLAIN_CHILDREN,
)
"""Parts of orders, other than data extensions."""
