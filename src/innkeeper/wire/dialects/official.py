"""The official v2.1 dialect: the views of the resources, their paths, and exceptions."""

from typing import Any

from innkeeper.resources.base import Record, Resource
from innkeeper.resources.guests import EXTENSION_NAMES, Guest, GuestExtension
from innkeeper.resources.kinds import Schema
from innkeeper.resources.naming import camel
from innkeeper.resources.orders import (
    EXTENSION_NAME,
    Order,
    OrderConsumer,
    OrderContact,
    OrderExtension,
    OrderItem,
    OrderItemExtension,
)
from innkeeper.rules.orders import IDENTIFIABLE
from innkeeper.wire.views import Computed, PairsView, Verb, View, ref_of_record

ALL = frozenset(Verb) - {Verb.CLEAR}
TEXT: Schema = {"type": "string"}
NUMBER: Schema = {"type": "number"}
REF: Schema = {"type": "string", "format": "uuid"}


def midnight(day: str) -> str:
    """Format a day as the vendor does (N-8)."""
    return f"{day}T00:00:00.000Z"


GUEST = View(
    resource=Guest,
    path="/v2.1/guests",
    item="/v2.1/guests/{guest}",
    verbs=ALL,
    show={"date_of_birth": midnight},
    add={"guestRef": Computed(REF, ref_of_record)},
    children={"dataExtensions": "/v2.1/guests/{guest}/extensions"},
    filters={
        "email": "email",
        "identifiers": "identifier",
        "email.untouched": "email_untouched",
        "guestType": "guest_type",
        "phoneNumber": "phone_number",
        "orderReferenceId": "order_reference_id",
        "orderRef": "order_ref",
        **{
            camel(name): name
            for name in (
                *("first_name", "last_name", "city", "country", "state", "title", "gender"),
                *("nationality", "post_code", "date_of_birth", "passport_number"),
            )
        },
    },
    ref_filters=frozenset({"order_ref"}),
    sorts={
        camel(name): name
        for name in (
            *("created_at", "modified_at", "first_seen", "last_seen"),
            *("email", "first_name", "last_name", "guest_type"),
        )
    },
    deleted=200,
)

GUEST_EXTENSION = PairsView(
    resource=GuestExtension,
    path="/v2.1/guests/{guest}/extensions",
    item="/v2.1/guests/{guest}/extensions/{name}",
    verbs=frozenset(Verb),
    parents={"guest": "/v2.1/guests/{guest}"},
    names=EXTENSION_NAMES,
    deleted=200,
    options={"unique_keys": True},
)

ONE_ORDER = "/v2.1/orders/{order}"
ONE_ITEM = "/v2.1/orderItems/{order_item}"
LINKS = ("href", "ref")

ORDER = View(
    resource=Order,
    path="/v2.1/orders",
    item=ONE_ORDER,
    verbs=ALL,
    children={
        "contacts": ONE_ORDER + "/contacts",
        "consumers": ONE_ORDER + "/consumers",
        "orderItems": ONE_ORDER + "/orderItems",
        "dataExtensions": ONE_ORDER + "/extensions",
    },
    create_expands=True,
    create_query={"guestRef": "contact"},
    filters={"referenceId": "reference_id", "guestRef": "guest_ref"},
    ref_filters=frozenset({"guest_ref"}),
    sorts={"created": "created_at", "orderedAt": "ordered_at"},
    links=LINKS,
    with_total=False,
)


def part_of(parent: View, resource: type[Resource], **exceptions: Any) -> View:
    """Return the view of a child resource, with exceptions."""
    view = View(
        resource=resource,
        path=f"{parent.item}/{camel(resource.plural)}",
        item=f"/v2.1/{camel(resource.table)}/{{{resource.key}}}",
        verbs=ALL,
        parents={parent.resource.key: parent.item},
        links=LINKS,
        with_total=False,
    )
    return view.but(**exceptions)


def item_name(item: Record) -> str | None:
    """Return an item's name; an item of the nested dialect may have only a sku."""
    name: str | None = item.get("name")
    return item.get("product_id") if name is None and "type" not in item else name


ORDER_ITEM = part_of(
    ORDER,
    OrderItem,
    path=ONE_ORDER + "/orderItems",
    # The nested dialect does not require these (rest-nested-openapi.md 3.2).
    add={
        "name": Computed(TEXT, item_name, selects=True),
        "type": Computed(TEXT, lambda item: item.get("type", "OTHER"), selects=True),
        "status": Computed(
            TEXT,
            lambda item: item.get("status", item.get("order_status") or "CONFIRMED"),
            selects=True,
        ),
        "currencyCode": Computed(
            TEXT,
            lambda item: item.get("currency_code", item.get("order_currency_code")),
            selects=True,
        ),
    },
    hide=frozenset({"flight_segments", "passenger_type_code", "extra"}),
    children={"dataExtensions": ONE_ITEM + "/extensions"},
)

CONSUMER_ITEM = ORDER_ITEM.but(
    name="ConsumerOrderItem",
    path="/v2.1/orderConsumers/{order_consumer}/orderItems",
    verbs=frozenset({Verb.LIST}),
)

ORDER_CONTACT = part_of(
    ORDER,
    OrderContact,
    any_of=IDENTIFIABLE,
    rename={"guest_ref": "guest"},
    show={"date_of_birth": midnight, "gender": str.lower},
    parents={"guest": "/v2.1/guests/{guest}", "order": ONE_ORDER},
)

ORDER_CONSUMER = ORDER_CONTACT.but(
    resource=OrderConsumer,
    path=ONE_ORDER + "/consumers",
    item="/v2.1/orderConsumers/{order_consumer}",
    linked={"orderItems": ("order_items", ONE_ITEM)},
)

ORDER_EXTENSION = PairsView(
    resource=OrderExtension,
    path=ONE_ORDER + "/extensions",
    item=ONE_ORDER + "/extensions/{name}",
    verbs=frozenset(Verb),
    methods={Verb.CREATE: ("POST", ONE_ORDER + "/extensions/{name}")},
    parents={"order": ONE_ORDER},
    names=(EXTENSION_NAME,),
    named_by_path=True,
    announces=EXTENSION_NAME,
    links=LINKS,
    with_total=False,
    deleted=200,
)

ORDER_ITEM_EXTENSION = ORDER_EXTENSION.but(
    resource=OrderItemExtension,
    path=ONE_ITEM + "/extensions",
    item=ONE_ITEM + "/extensions/{name}",
    methods={Verb.CREATE: ("POST", ONE_ITEM + "/extensions/{name}")},
    parents={"orderItem": ONE_ITEM},
)

OFFICIAL_ORDERS = (
    *(ORDER, ORDER_ITEM, CONSUMER_ITEM, ORDER_CONTACT, ORDER_CONSUMER),
    *(ORDER_EXTENSION, ORDER_ITEM_EXTENSION),
)
