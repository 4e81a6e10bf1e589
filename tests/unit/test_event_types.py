"""What each standard type must and may tell (stream-api.md 4.2; identity.md 5 and 7)."""

from typing import Any

import pytest

from innkeeper.resources.guests import Guest
from innkeeper.resources.orders import OrderConsumer
from innkeeper.rules import event_orders, event_types
from innkeeper.rules.stream import BAD_ATTRIBUTES, BAD_MEMBER, InvalidEvent

FLIGHT: dict[str, Any] = {
    "product_name": "Flight",
    "product_type": "FLIGHT",
    "flight_type": "RT",
    "origin": "DUB",
    "destination": "LHR",
    "start": "2026-12-01T08:00",
    "end": "2026-12-08T18:30",
    "adults": 2,
    "children": 0,
    "infants": 0,
}
PRODUCT: dict[str, Any] = {"item_id": "1", "type": "DRESS", "price": 10, "quantity": 2}
ORDER: dict[str, Any] = {
    "referenceId": "O-1",
    "orderedAt": "2026-11-20T10:00:00.000Z",
    "status": "PURCHASED",
    "currencyCode": "EUR",
    "price": 42,
}
EMAIL = {"provider": "email", "id": "jane@example.com"}


def meaning(type_: str, **message: Any) -> dict[str, Any]:
    """What a message means of which no part breaks a rule."""
    members, parts = event_types.meaning_of(type_, message)
    assert parts == []
    return members


def problems(type_: str, **message: Any) -> str:
    """What keeps a message from being attached."""
    with pytest.raises(InvalidEvent) as misused:
        event_types.meaning_of(type_, message)
    assert misused.value.reason == BAD_ATTRIBUTES
    return misused.value.detail


@pytest.mark.parametrize("type_", ["VIEW", "FORM", "FORCE_CLOSE", "CLEAR_CART", "ROOM_VIEWED"])
def test_types_that_need_nothing(type_: str) -> None:
    assert meaning(type_, anything=1) == {}


# SEARCH


def test_search() -> None:
    """4.2 row SEARCH: free text; FLIGHT needs more, one way no `end`."""
    meaning("SEARCH", product_name="Rooms", product_type="ROOM")
    meaning("SEARCH", **FLIGHT)
    one_way = {name: value for name, value in FLIGHT.items() if name != "end"}
    meaning("SEARCH", **{**one_way, "flight_type": "OW"})


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"product_name": ""}, "product_name"),
        ({"product_type": None}, "product_type"),
        ({"flight_type": "XX"}, "flight_type"),
        ({"origin": "Dublin"}, "origin"),
        ({"destination": "dub"}, "destination"),
        ({"start": None}, "start"),
        ({"end": ""}, "end"),
        ({"adults": -1, "children": "2", "infants": True}, "adults, children, infants"),
    ],
)
def test_a_flight_search_that_lacks_something(changed: dict[str, Any], named: str) -> None:
    """4.2 row SEARCH: every problem is named; local times without a zone."""
    assert problems("SEARCH", **{**FLIGHT, **changed}) == named


# IDENTITY


def test_identity() -> None:
    """4.2 row IDENTITY, identity.md 5 and 7: spellings of streams become a guest's fields."""
    members = meaning(
        "IDENTITY",
        identifiers=[{**EMAIL, "expiry_date": "2027-12-31T23:59"}],
        email="jane@example.com",
        firstname="Jane",
        lastname="Doe",
        dob="1990-01-02T00:00",
        mobile="+353861234567",
        phone="+35311",
        street=["1 Main St", "Floor 2"],
        postal_code="D02",
        country="IE",
        language="EN",
        city="",
        unknown="kept as arbitrary data",
    )
    assert members["identifiers"] == [{**EMAIL, "expiryDate": "2027-12-31T23:59:00.000Z"}]
    assert members["person"] == {
        "emails": ["jane@example.com"],
        "first_name": "Jane",
        "last_name": "Doe",
        "date_of_birth": "1990-01-02",
        "phone_numbers": ["+353861234567", "+35311"],
        "street": ["1 Main St", "Floor 2"],
        "post_code": "D02",
        "country": "IE",
    }


@pytest.mark.parametrize("identifiers", [None, [], "me", [{}], [{"provider": "email", "id": " "}]])
def test_identity_of_nobody(identifiers: Any) -> None:
    """4.2 row IDENTITY: identifiers are required, each with provider and id."""
    assert problems("IDENTITY", identifiers=identifiers).startswith("identifiers")


def test_parts_of_identity_that_break_a_rule() -> None:
    """They go to quarantine alone; the rest identifies."""
    bad = {"provider": "crm", "id": "7", "expiry_date": "soon"}
    members, parts = event_types.meaning_of(
        "IDENTITY", {"identifiers": [EMAIL, bad], "country": "Ireland", "firstname": "Jane"}
    )
    assert (members["identifiers"], members["person"]) == ([EMAIL], {"first_name": "Jane"})
    assert [(part.reason, part.message) for part in parts] == [
        (BAD_MEMBER, {"identifiers": [bad]}),
        (BAD_MEMBER, {"country": "Ireland"}),
    ]


# The cart


def test_add() -> None:
    """4.2 row ADD: whatever else is sent stays with the line; a numeric id is one."""
    members = meaning("ADD", product={**PRODUCT, "item_id": 7, "colour": "red"})
    assert members == {"product": {**PRODUCT, "item_id": "7", "colour": "red"}}


@pytest.mark.parametrize(
    ("product", "named"),
    [
        (None, "product"),
        ([PRODUCT], "product"),
        ({}, "product.item_id, product.type, product.price, product.quantity"),
        ({**PRODUCT, "item_id": True, "quantity": 1.5}, "product.item_id, product.quantity"),
        ({**PRODUCT, "price": "10"}, "product.price"),
    ],
)
def test_add_of_no_product(product: Any, named: str) -> None:
    assert problems("ADD", product=product) == named


def test_confirm() -> None:
    """4.2 row CONFIRM: one product or several, of which only the id counts."""
    assert meaning("CONFIRM", product=[{"item_id": 1, "x": 1}, {"item_id": " 2 "}]) == {
        "product": [{"item_id": "1"}, {"item_id": "2"}]
    }
    assert meaning("CONFIRM", product={"item_id": "1"}) == {"product": [{"item_id": "1"}]}
    assert problems("CONFIRM", product=[]) == "product"
    assert problems("CONFIRM", product=[{"item_id": "1"}, {}]) == "product.item_id"


def test_people_of_an_order() -> None:
    """4.2 rows ADD_CONTACTS, ADD_CONSUMERS: keys spelt in several ways; ids of the items used."""
    contact = {"First Name": "Jane", "last_name": "Doe", "identifiers": EMAIL, "gender": "Female"}
    assert meaning("ADD_CONTACTS", contact=contact) == {
        "contact": [
            {"first_name": "Jane", "last_name": "Doe", "gender": "female", "identifiers": [EMAIL]}
        ]
    }
    consumer = {"firstname": "Jim", "lastname": "Poe", "nationality": "IE"}
    for spelt in ("item_ids", "items", "orderItems", "list of item ids"):
        members = meaning(
            "ADD_CONSUMERS", consumer=[{**consumer, spelt: ["1", {"item_id": 2}, None]}]
        )
        assert members["consumer"][0]["item_ids"] == ["1", "2"]


@pytest.mark.parametrize("people", [None, "Jane", [], ["Jane"], [{}], [{"title": "Ms"}]])
def test_people_who_are_nobody(people: Any) -> None:
    assert problems("ADD_CONTACTS", contact=people) == "contact"
    assert problems("ADD_CONSUMERS", consumer=people) == "consumer"


# Orders


def test_checkout_and_payment() -> None:
    """4.2 rows CHECKOUT, PAYMENT: words in any case."""
    assert meaning("CHECKOUT", reference_id="B-1", status="purchased") == {
        "reference_id": "B-1",
        "status": "PURCHASED",
    }
    assert problems("CHECKOUT", reference_id="", status="SHIPPED") == "reference_id, status"
    assert meaning("PAYMENT", pay_type="paypal") == {"pay_type": "PayPal"}
    assert meaning("PAYMENT", pay_type="CARD", card_type="Visa")["card_type"] == "Visa"
    assert problems("PAYMENT", pay_type="Cash") == "pay_type"


def test_order_checkout() -> None:
    """4.2 row ORDER_CHECKOUT: item fields all optional, extensions as pairs."""
    ext = [{"name": "ext", "key": "default", "gift": True, "loyaltyTier": "level2"}]
    members = meaning("ORDER_CHECKOUT", order={**ORDER, "extensions": ext, "orderItems": [{}]})
    assert members["order"]["reference_id"] == "O-1"
    assert (members["order"]["price"], members["order"]["currency_code"]) == (42, "EUR")
    assert members["items"] == [{"ext": {}}]
    assert members["ext"] == {"gift": True, "loyaltyTier": "level2"}


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"referenceId": None, "price": None}, "order.referenceId, order.price"),
        ({"status": "LOST"}, "order.status"),
        (
            {"orderItems": ["x", {"type": "FLIGHT"}]},
            "order.orderItems[0], order.orderItems[1].type",
        ),
        ({"orderItems": [{"quantity": "2"}]}, "order.orderItems[0].quantity"),
        ({"extensions": [{"nested": {"a": 1}}]}, "order.extensions.nested"),
        ({"extensions": [{f"a{n}": n for n in range(101)}]}, "order.extensions"),
    ],
)
def test_an_order_that_lacks_something(changed: dict[str, Any], named: str) -> None:
    """4.2 row ORDER_CHECKOUT, X-5: every problem is named; flight types are rejected."""
    assert problems("ORDER_CHECKOUT", order={**ORDER, **changed}) == named


def test_the_item_of_a_line() -> None:
    """4.2 row ADD, section 5: what a CHECKOUT makes of it, with names for what was left out."""
    bare = event_orders.item_of({**PRODUCT, "type": "FLIGHT"})
    assert bare == {"type": "FLIGHT", "price": 10, "quantity": 2, "reference_id": "1", "name": "1"}
    payload = {"name": "Dress", "referenceId": "R-1", "productId": "P-1", "currency": "EUR"}
    whole = event_orders.item_of({**PRODUCT, **payload})
    # Its status is the order's (F4).
    assert "status" not in whole
    assert (whole["name"], whole["reference_id"], whole["currency_code"]) == ("Dress", "R-1", "EUR")


def test_people_on_the_block_list_are_found() -> None:
    """Whom IDENTITY, contacts and consumers name, with what the list looks at."""
    jane = {"email": "jane@example.com", "identifiers": [EMAIL], "firstname": "Jane"}
    event = {"email": "jane@example.com", "identifiers": [EMAIL]}
    assert event_types.named_in("IDENTITY", jane) == [event]
    assert event_types.named_in("ADD_CONTACTS", {"contact": [jane, "x"]}) == [event]
    assert event_types.named_in("ADD_CONSUMERS", {"consumer": {"email": 7}}) == [
        {"identifiers": []}
    ]
    assert event_types.named_in("VIEW", jane) == []


def test_gender_is_free_of_a_guest_only() -> None:
    """identity.md 7: a guest's as sent, a consumer's one of three words."""
    assert event_types.person_of({"gender": "Female"}, Guest)[0] == {"gender": "Female"}
    assert event_types.person_of({"gender": "Female"}, OrderConsumer)[0] == {"gender": "female"}
    person, (part,) = event_types.person_of({"gender": "X"}, OrderConsumer)
    assert (person, part.message) == ({}, {"gender": "X"})


@pytest.mark.parametrize(
    ("type_", "message", "details", "stored"),
    [
        (
            "SEARCH",
            FLIGHT | {"start": "2026-12-01", "end": "2026-12-08T18:30:00Z"},
            ["start: must be YYYY-MM-DDThh:mm", "end: must be YYYY-MM-DDThh:mm"],
            [{"start": "2026-12-01"}, {"end": "2026-12-08T18:30:00Z"}],
        ),
        (
            "ADD",
            {"product": {**PRODUCT, "orderedAt": "soon"}},
            ["product.orderedAt: must be an ISO 8601 date-time"],
            [{"product": {"item_id": "1", "orderedAt": "soon"}}],
        ),
        (
            "ORDER_CHECKOUT",
            {
                "order": {
                    **ORDER,
                    "orderedAt": 7,
                    "orderItems": [{"name": "Rose"}, {"referenceId": "L-2", "orderedAt": ""}],
                }
            },
            [
                "order.orderedAt: must be an ISO 8601 date-time",
                "order.orderItems[1].orderedAt: must be an ISO 8601 date-time",
            ],
            [
                {"order": {"referenceId": "O-1", "orderedAt": 7}},
                {"order": {"orderItems": [{"referenceId": "L-2", "orderedAt": ""}]}},
            ],
        ),
    ],
)
def test_f12_dates_that_cannot_be_read_are_parts(
    type_: str, message: dict[str, Any], details: list[str], stored: list[Any]
) -> None:
    """F12: they keep no event from being attached; each waits with its reason."""
    meaning_, parts = event_types.meaning_of(type_, message)
    assert [part.detail for part in parts] == details
    assert [part.message for part in parts] == stored
    assert {part.reason for part in parts} == {BAD_MEMBER}
    assert "ordered_at" not in meaning_.get("order", {})


def test_f12_an_identity_by_nothing_but_an_id_of_unreadable_expiry() -> None:
    """Issue F12: it may have expired, so it identifies nobody; the reason names the date."""
    payload = {"identifiers": [{**EMAIL, "expiry_date": "soon"}]}
    with pytest.raises(InvalidEvent) as refused:
        event_types.meaning_of("IDENTITY", payload)
    assert refused.value.reason == BAD_ATTRIBUTES
    assert refused.value.detail == "identifiers: must be an ISO 8601 date-time"
