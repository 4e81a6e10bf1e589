"""Declarations of sessions and events, and the names of event types (stream-api.md)."""

from typing import Final

from innkeeper.resources.base import Field, Resource, instant_at, ref_of
from innkeeper.resources.kinds import Number, Opaque, Text

VIEW: Final = "VIEW"
SEARCH: Final = "SEARCH"
IDENTITY: Final = "IDENTITY"
ADD: Final = "ADD"
ADD_CONTACTS: Final = "ADD_CONTACTS"
ADD_CONSUMERS: Final = "ADD_CONSUMERS"
CONFIRM: Final = "CONFIRM"
CHECKOUT: Final = "CHECKOUT"
PAYMENT: Final = "PAYMENT"
CLEAR_CART: Final = "CLEAR_CART"
ORDER_CHECKOUT: Final = "ORDER_CHECKOUT"
FORM: Final = "FORM"
FORCE_CLOSE: Final = "FORCE_CLOSE"

STANDARD: Final = frozenset(
    {
        *(VIEW, SEARCH, IDENTITY, ADD, ADD_CONTACTS, ADD_CONSUMERS, CONFIRM, CHECKOUT, PAYMENT),
        *(CLEAR_CART, ORDER_CHECKOUT, FORM, FORCE_CLOSE),
    }
)
"""Event types with a meaning of their own that callers may send (stream-api.md 4.2)."""
RESERVED_PREFIX: Final = "SC_"
RESERVED: Final = frozenset(
    {
        *("ADD", "ADD_CONSUMERS", "ADD_CONTACTS", "ADD_PRODUCT", "CALCULATOR"),
        *("CAMPAIGN_TRACKING", "CHAT", "CHECKOUT", "CLEAR_CART", "CLICK", "COMMENT", "CONFIRM"),
        *("CONSUMERS", "CONTACT_REQUEST", "EMAIL", "IDENTITY", "LOGIN", "NOTIFICATION"),
        *("ORDER_UPDATE", "PAYMENT", "PNR_RECORD", "PURCHASE", "SEARCH", "SELECT", "SMS"),
        *("SUBSCRIPTION", "TRIGGER", "TRIP_SUMMARY", "UPDATE", "VIEW"),
        *("ORDER_CHECKOUT", "FORM", "FORCE_CLOSE", "TRACKING"),
    }
)
"""Names that custom events may not use."""
CART_TYPES: Final = frozenset(
    {ADD, ADD_CONTACTS, ADD_CONSUMERS, CONFIRM, CHECKOUT, PAYMENT, CLEAR_CART, ORDER_CHECKOUT}
)
"""Event types that change the cart of their session."""

WEB: Final = "WEB"
BOT: Final = "BOT"
OFFLINE: Final = "OFFLINE"
CHECKOUT_STATUSES: Final = ("PURCHASED", "PAYMENT_PENDING", "CONFIRMED", "CANCELLED", "REFUNDED")
PAY_TYPES: Final = ("Card", "PayPal", "Voucher", "Other", "Cancelled")
FLIGHT: Final = "FLIGHT"
MAX_EXT: Final = 50
"""Most attributes in `ext` (stream-api.md 4.3)."""
LONGEST_TYPE: Final = 100

OPEN: Final = "OPEN"
CLOSED: Final = "CLOSED"
# Outcomes of a session's cart; CLOSED is one too, after CLEAR_CART.
BROWSED: Final = "BROWSED"
CONVERTED: Final = "CONVERTED"
ABANDONED: Final = "ABANDONED"


class Session(Resource):
    """The events of one browser on one channel without a long pause (identity.md 8)."""

    guest_ref = Field(Text(), "The guest whose session it is.", owned=True, column=True)
    browser_ref = Field(Text(), "The browser it happened in.", owned=True, column=True)
    status = Field(Text(), "OPEN, or CLOSED when it has ended.", owned=True)
    session_type = Field(Text(), "WEB, or another family of channels.", owned=True)
    cart_type = Field(Text(), "BROWSED, CONVERTED, ABANDONED or CLOSED, set when it ends.")
    abandoned_revenue = Field(Opaque(), "Price of the items in an abandoned cart.")
    started_at = instant_at("When its first event happened.")
    ended_at = instant_at("When its last event happened.")
    duration = Field(Number(), "Seconds from the first to the last event.", owned=True)
    point_of_sale = Field(Text(), "Point of sale of its last event.")
    channel = Field(Text(), "Channel, e.g. WEB.", column=True)
    currency_code = Field(Text(), "Currency of its last event.")
    language = Field(Text(), "Language of its last event.")
    referer = Field(
        Text(), "Page on another host that linked to the first page.", page_address=True
    )
    operating_system = Field(Text(), "Operating system, from the user agent.")
    user_agent = Field(Text(), "User agent of the browser, as it reports it.")
    first_page_uri = Field(Text(), "Page of the first event.", page_address=True)
    last_page_uri = Field(Text(), "Page of the last event.", page_address=True)
    utm_attributes = Field(Opaque(), "UTM parameters of the first page.")
    custom_data = Field(Opaque(), "Values of `session_data`.", free=True)
    orders = Field(Opaque(), "Refs of the orders that its events created.")
    ref = ref_of("session")
    created_at = instant_at("When its first event was received.")
    modified_at = instant_at("When it was last written.")


class Event(Resource):
    """One event of a session (identity.md 8)."""

    type = Field(Text(), "VIEW, SEARCH, a custom name …", column=True)
    status = Field(Text(), "PROCESSED.", owned=True)
    channel = Field(Text(), "Channel, e.g. WEB.", column=True)
    point_of_sale = Field(Text(), "Point of sale.", column=True)
    browser_ref = Field(Text(), "The browser it happened in.", column=True)
    session_ref = Field(Text(), "The session it is part of.", column=True)
    currency_code = Field(Text(), "Currency.")
    language = Field(Text(), "Language.")
    page = Field(Text(), "Page.", page_address=True)
    arbitrary_data = Field(
        Opaque(), "All other members of the request; `ext` is one of them.", free=True
    )
    ref = ref_of("event")
    created_at = instant_at("When it happened.")
    modified_at = instant_at("When it was received.")
