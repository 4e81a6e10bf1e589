"""The members of batch records: name in JSON -> field and kind (batch-api.md 7, 8)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from innkeeper.resources.base import Field, Resource
from innkeeper.resources.codes import COUNTRIES
from innkeeper.resources.guests import CUSTOMER, Guest
from innkeeper.resources.kinds import CURRENCY, Code, Kind, OneOf, Pattern, Text
from innkeeper.resources.naming import camel
from innkeeper.resources.orders import CHANNELS, PLAIN_CHILDREN, Order, OrderItem
from innkeeper.resources.orders import STATUSES as ORDER_STATUSES

TITLES: Final = (
    *("Br", "Brigadier", "Capt", "Colonel", "Dame", "Dr", "Elder", "Fr", "General", "Hon"),
    *("Judge", "Lord", "Master", "Miss", "Mr", "Mrs", "Ms", "Mstr", "Prof", "Rabbi", "Rev"),
    *("Shaikha", "Sheikh", "Sir", "Sister", "Sr"),
)
STATUSES: Final = ("PURCHASED", "PAYMENT_PENDING", "CONFIRMED", "CANCELLED", "REFUNDED")
PAYMENTS: Final = ("Card", "Paypal", "Voucher", "ATM", "Cash", "Other")
CARDS: Final = ("Mastercard", "Visa", "Diners", "American Express")

Plan = Mapping[str, tuple[str, Kind | None, bool]]
"""Name in JSON -> (field, kind that reads it, whether null clears it); without kind it is
ignored."""


def plan_of(
    resource: type[Resource],
    accept: Mapping[str, Kind],
    rename: Mapping[str, str] | None = None,
    owned: Iterable[str] = (),
) -> Plan:
    """Return every field of a resource that a record may contain; fields that the server owns are
    ignored, except the `owned` ones, which imports of history set."""

    def kind(name: str, field: Field) -> Kind | None:
        accepted = accept.get(name, field.kind)
        return accepted if not field.owned or name in owned else None

    spelt = rename or {}
    return {
        "href": ("href", None, False),
        **{
            spelt.get(name, camel(name)): (
                name,
                kind(name, field),
                field.clearable and not field.owned and not field.required,
            )
            for name, field in resource.fields.items()
            if name != "extra"
        },
    }


GUEST: Final = plan_of(
    Guest,
    {
        "guest_type": OneOf((CUSTOMER,)),
        "title": OneOf(TITLES),
        "gender": OneOf(("male", "female", "unknown")),
        "country": Code(COUNTRIES, upper=True),
    },
    owned=("first_seen", "last_seen"),
)
OWN_GUEST: Final = plan_of(Guest, {}, owned=("first_seen", "last_seen"))
"""The members that an import accepts: those of REST, and so those of an export."""
ORDER: Final = plan_of(
    Order,
    {
        "status": OneOf(STATUSES),
        "payment_type": OneOf(PAYMENTS),
        "card_type": OneOf(CARDS),
        "channel": OneOf(CHANNELS),
    },
)
CHILDREN: Final = {camel(child.plural): (child, plan_of(child, {})) for child in PLAIN_CHILDREN}
"""Name in JSON -> (kind of child, plan), of children that need only their declaration."""
ITEM: Final = plan_of(
    OrderItem,
    {
        "type": Pattern("[A-Z][A-Z0-9_]*", "must be in upper case"),
        "currency_code": CURRENCY,
        "original_currency_code": CURRENCY,
    },
    {"passenger_type_code": "consumerTypeCode"},
)
_GUEST_TYPE: Final = {"guestType": ("guest_type", None, False)}
PERSON: Final = {**GUEST, **_GUEST_TYPE}
"""The members of a contact or consumer: those of a guest. The type of guest is ignored, since the
order determines it."""
NEEDED: Final = {
    "upsert": ("referenceId", "channel", "pointOfSale", "orderedAt"),
    "insert": (
        *("referenceId", "channel", "pointOfSale", "orderedAt"),
        *("status", "currencyCode", "price", "paymentType"),
    ),
}
"""Members that an order requires besides its contact (batch-api.md 8)."""
NEEDED_OF_ITEMS: Final = (
    *("type", "productId", "name", "description", "vendor", "price", "currencyCode"),
)


def _required_of(resource: type[Resource], needed: Iterable[str]) -> tuple[str, ...]:
    """Return the members that both a batch and REST require, of those that a batch requires."""
    required = {camel(name) for name, field in resource.fields.items() if field.required}
    return tuple(name for name in needed if name in required)


@dataclass(frozen=True, slots=True)
class OrderPlans:
    """The members that an order and its parts accept, and the members that they require."""

    order: Plan
    item: Plan
    person: Plan
    needed: Mapping[str, tuple[str, ...]]
    needed_of_items: tuple[str, ...]


BATCH_ORDER: Final = OrderPlans(ORDER, ITEM, PERSON, NEEDED, NEEDED_OF_ITEMS)
OWN_ORDER: Final = OrderPlans(
    plan_of(Order, {"status": OneOf((*ORDER_STATUSES, "SHIPPED", "DELIVERED"))}),
    {
        **plan_of(OrderItem, {"type": Text()}, {"passenger_type_code": "consumerTypeCode"}),
        "extra": ("extra", OrderItem.fields["extra"].kind, True),
    },
    {**OWN_GUEST, **_GUEST_TYPE},
    {mode: _required_of(Order, needed) for mode, needed in NEEDED.items()},
    _required_of(OrderItem, NEEDED_OF_ITEMS),
)
"""The members that an import accepts: those of REST and events, and so those of an export."""
