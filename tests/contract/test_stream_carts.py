"""Carts and orders from events (stream-api.md 4.2, 5 and 9)."""

from typing import Any

import pytest
from calling import Api
from ordering import guest_of
from streams import JANE, Page, ago, product, quarantine


@pytest.fixture
def page(api: Api) -> Page:
    return Page(api)


@pytest.fixture
def identified(page: Page) -> Page:
    """The page of an identified guest."""
    page("IDENTITY", **JANE)
    return page


def orders(page: Page, guest: str | None = None) -> list[dict[str, Any]]:
    """The guest's orders with their items, oldest first, by REST."""
    query = {"guestRef": guest or page.guest, "sort": "orderedAt"}
    answer = page.api.get("/v2.1/orders", params=query)
    assert answer.status_code == 200, answer.text
    return [
        page.api.get(f"/v2.1/orders/{order['ref']}", params={"expand": "true"}).json()
        for order in answer.json()["items"]
    ]


def parts(order: dict[str, Any], member: str) -> list[dict[str, Any]]:
    return order[member]["items"]


def past(page: Page) -> dict[str, Any]:
    """The guest's only session, two hours ago and so over."""
    session = page.session
    assert session["status"] == "CLOSED"
    return session


def long_ago(page: Page, *events: tuple[str, dict[str, Any]]) -> dict[str, Any]:
    """A session of these events, a minute apart, two hours ago."""
    for minute, (type_, members) in enumerate(events):
        page(type_, requested_at=ago(minutes=120 - minute), **members)
    return past(page)


# The cart of a session that is over (section 5 rows cartType, abandoned revenue; section 9)


def test_nothing_added(page: Page) -> None:
    session = long_ago(page, ("VIEW", {}))
    assert session["cartType"] == "BROWSED"
    assert "abandonedRevenue" not in session


def test_abandoned(page: Page) -> None:
    """Abandoned revenue: quantity x price of every line, in decimal."""
    session = long_ago(
        page, ("ADD", {"product": product("1", 0.1, 3)}), ("ADD", {"product": product("2", 19.99)})
    )
    assert (session["cartType"], session["abandonedRevenue"]) == ("ABANDONED", 20.29)


def test_add_replaces_the_line(page: Page) -> None:
    """4.2 row ADD: the line with that item_id, whatever it was."""
    session = long_ago(
        page,
        ("ADD", {"product": product("1", 10, 5)}),
        ("ADD", {"product": product("2", 1)}),
        ("ADD", {"product": product("1", 12, 1)}),
    )
    assert session["abandonedRevenue"] == 13


def test_a_late_add_does_not_replace_a_later_one(page: Page) -> None:
    """Section 5: order by time, not by arrival."""
    page("ADD", product=product("1", 10, 1), requested_at=ago(minutes=100))
    page("ADD", product=product("1", 10, 9), requested_at=ago(minutes=110))
    assert past(page)["abandonedRevenue"] == 10


def test_cleared(page: Page) -> None:
    """4.2 row CLEAR_CART: suppresses abandonment."""
    session = long_ago(
        page,
        ("ADD", {"product": product("1")}),
        ("ADD_CONTACTS", {"contact": [JANE]}),
        ("CLEAR_CART", {}),
    )
    assert session["cartType"] == "CLOSED"
    assert "abandonedRevenue" not in session


def test_filled_again_after_clearing(page: Page) -> None:
    session = long_ago(
        page,
        ("ADD", {"product": product("1", 99)}),
        ("CLEAR_CART", {}),
        ("ADD", {"product": product("2", 7)}),
    )
    assert (session["cartType"], session["abandonedRevenue"]) == ("ABANDONED", 7)


def test_a_late_clear_cart_clears_what_was_before_it(page: Page) -> None:
    for minute, type_, members in (
        (100, "ADD", {"product": product("1", 5)}),
        (98, "ADD", {"product": product("2", 7)}),
        (99, "CLEAR_CART", {}),
    ):
        page(type_, requested_at=ago(minutes=minute), **members)
    assert past(page)["abandonedRevenue"] == 7


def test_payment_without_checkout_stays_abandoned(page: Page) -> None:
    """Section 9."""
    session = long_ago(page, ("ADD", {"product": product("1")}), ("PAYMENT", {"pay_type": "Card"}))
    assert session["cartType"] == "ABANDONED"


def test_converted(page: Page) -> None:
    session = long_ago(
        page,
        ("ADD", {"product": product("1")}),
        ("CHECKOUT", {"reference_id": "R", "status": "PURCHASED"}),
    )
    assert session["cartType"] == "CONVERTED"
    assert len(session["orders"]) == 1


# The order from many events


def test_the_whole_way(identified: Page) -> None:
    """Section 5 row order from many events; 4.2 rows ADD to PAYMENT; section 9 rows price."""
    page = identified
    page("ADD", product=product("1", 0.1, 3, originalPrice=0.2, originalCurrencyCode="USD"))
    page("ADD", product=product("2", 5))
    page("ADD", product=product("3", 1000))
    page("ADD_CONTACTS", contact=[{**JANE, "mobile": "+353861234567", "dob": "1990-01-02T00:00"}])
    page(
        "ADD_CONSUMERS",
        consumer=[{"title": "Mr", "firstname": "Jim", "lastname": "Poe", "item_ids": ["2"]}],
    )
    page("CONFIRM", product=[{"item_id": "1"}, {"item_id": "2"}, {"item_id": "never added"}])
    page("PAYMENT", pay_type="Card")
    ref = page("CHECKOUT", reference_id="B-1", status="PURCHASED", channel="WEB")["ref"]
    (order,) = orders(page)
    checkout = next(event for event in page.session["events"] if event["ref"] == ref)
    assert checkout["arbitraryData"]["order"] == order["ref"]
    assert {
        **order,
        "referenceId": "B-1",
        "orderedAt": checkout["createdAt"],
        "status": "PURCHASED",
        "price": 5.3,
        "currencyCode": "EUR",
        "pointOfSale": "default",
        "channel": "WEB",
        "paymentType": "Card",
    } == order
    items = parts(order, "orderItems")
    assert [
        {name: item.get(name) for name in ("type", "referenceId", "name", "price", "quantity")}
        for item in items
    ] == [
        {"type": "DRESS", "referenceId": "R-1", "name": "Dress 1", "price": 0.1, "quantity": 3},
        {"type": "DRESS", "referenceId": "R-2", "name": "Dress 2", "price": 5, "quantity": 1},
    ]
    assert items[0]["originalPrice"] == 0.2
    assert items[0]["originalCurrencyCode"] == "USD"
    assert {item["status"] for item in items} == {"PURCHASED"}
    (contact,) = parts(order, "contacts")
    assert contact["guest"]["href"].endswith(page.guest)
    assert (contact["firstName"], contact["phoneNumbers"]) == ("Jane", ["+353861234567"])
    (consumer,) = parts(order, "consumers")
    assert consumer["firstName"] == "Jim"
    assert not consumer["guest"]["href"].endswith(page.guest)
    # What was not confirmed is still in the cart.
    assert page.session["status"] == "OPEN"


def test_checkout_without_confirm(identified: Page) -> None:
    """Section 9: buys all open lines; without contacts the session's guest is the contact."""
    identified("ADD", product=product("1", 3))
    identified("ADD", product=product("2", 4))
    identified("CHECKOUT", reference_id="B-1", status="CONFIRMED")
    (order,) = orders(identified)
    assert order["price"] == 7
    assert len(parts(order, "orderItems")) == 2
    (contact,) = parts(order, "contacts")
    assert contact["guest"]["href"].endswith(identified.guest)
    assert contact["lastName"] == "Doe"


@pytest.mark.parametrize(
    "status", ["PURCHASED", "PAYMENT_PENDING", "CONFIRMED", "CANCELLED", "REFUNDED"]
)
def test_checkout_statuses(identified: Page, status: str) -> None:
    """4.2 row CHECKOUT."""
    identified("CHECKOUT", reference_id="B-1", status=status, currency="USD")
    (order,) = orders(identified)
    assert (order["status"], order["currencyCode"], order["price"]) == (status, "USD", 0)


def test_checkout_of_a_visitor(api: Api, page: Page) -> None:
    """Section 9: the order stays with the visitor, who stays one, and is flagged."""
    page("ADD", product=product("1", 3))
    page("CHECKOUT", reference_id="B-1", status="PURCHASED")
    (order,) = orders(page)
    assert api.get(f"/v2.1/guests/{page.guest}").json()["guestType"] == "visitor"
    assert parts(order, "contacts")[0]["guest"]["href"].endswith(page.guest)
    (event,) = [event for event in page.session["events"] if event["type"] == "CHECKOUT"]
    assert event["arbitraryData"]["flags"] == ["the contact is a visitor"]


def test_a_contact_is_a_customer(api: Api, page: Page) -> None:
    """Section 5: the contact owns the order, and the contact guest is a customer."""
    page("ADD", product=product("1", 3))
    page("ADD_CONTACTS", contact=[JANE])
    page("CHECKOUT", reference_id="B-1", status="PURCHASED")
    (customer,) = api.get("/v2.1/guests", params={"guestType": "customer"}).json()["items"]
    assert customer["firstName"] == "Jane"
    (order,) = orders(page, customer["ref"])
    assert order["referenceId"] == "B-1"
    # Whoever identifies as Jane later has it.
    page("IDENTITY", **JANE)
    assert page.guest == customer["ref"]
    assert [order["referenceId"] for order in orders(page)] == ["B-1"]


def test_two_orders_of_one_session(identified: Page) -> None:
    identified("ADD", product=product("1", 3))
    identified("CHECKOUT", reference_id="B-1", status="PURCHASED")
    identified("ADD", product=product("2", 4))
    identified("CHECKOUT", reference_id="B-2", status="PURCHASED")
    assert [(order["referenceId"], order["price"]) for order in orders(identified)] == [
        ("B-1", 3),
        ("B-2", 4),
    ]
    assert len(identified.session["orders"]) == 2


def test_a_checkout_sent_twice(identified: Page) -> None:
    """Section 5 row two days: the same order, not another."""
    identified("ADD", product=product("1", 3))
    identified("ADD_CONTACTS", contact=[JANE])
    identified("CHECKOUT", reference_id="B-1", status="PAYMENT_PENDING", requested_at=ago(hours=20))
    for status in ("PAYMENT_PENDING", "PURCHASED"):
        identified("ADD", product=product("1", 3))
        identified("ADD_CONTACTS", contact=[JANE])
        identified("CHECKOUT", reference_id="B-1", status=status)
    (order,) = orders(identified)
    assert order["status"] == "PURCHASED"
    assert len(parts(order, "orderItems")) == 1
    assert len(parts(order, "contacts")) == 1


def test_an_order_of_rest_and_of_events_is_one(api: Api, identified: Page) -> None:
    """Section 5 row two days: the order is the same resource REST serves."""
    created = api.post(
        "/v2.1/orders",
        json={"referenceId": "B-1", "orderedAt": ago(hours=47), "currencyCode": "EUR", "price": 1},
    ).json()
    identified("ADD", product=product("1", 3))
    identified("CHECKOUT", reference_id="B-1", status="PURCHASED")
    (order,) = orders(identified)
    assert (order["ref"], order["price"], order["status"]) == (created["ref"], 3, "PURCHASED")


def test_payment_after_checkout(identified: Page) -> None:
    """Section 5: ADD, CONFIRM, CHECKOUT, then optional PAYMENT."""
    identified("ADD", product=product("1", 3))
    identified("CHECKOUT", reference_id="B-1", status="PAYMENT_PENDING")
    identified("PAYMENT", pay_type="PayPal")
    assert orders(identified)[0]["paymentType"] == "PayPal"


def test_flights_may_be_bought_by_events(identified: Page) -> None:
    """rest-v2.1.md I-2: types that REST bars come from events."""
    identified("ADD", product=product("1", 300, type="FLIGHT"))
    identified("CHECKOUT", reference_id="B-1", status="PURCHASED")
    assert parts(orders(identified)[0], "orderItems")[0]["type"] == "FLIGHT"


# Consumers


def guest_of_consumer(page: Page, contact: dict[str, Any], **consumer: Any) -> dict[str, Any]:
    """The guest that the one consumer of a new order of `contact` is linked to."""
    page("ADD", product=product("1", 3))
    page("ADD_CONTACTS", contact=[contact])
    page("ADD_CONSUMERS", consumer=[{"title": "Ms", **consumer}])
    page("CHECKOUT", reference_id="B-1", status="PURCHASED")
    (listed,) = page.api.get("/v2.1/orders").json()["items"]
    path = f"/v2.1/orders/{listed['ref']}?expand=consumers"
    (link,) = parts(page.api.get(path).json(), "consumers")
    guest: dict[str, Any] = page.api.get(f"/v2.1/guests/{guest_of(link)}").json()
    return guest


def test_a_consumer_is_a_traveller(identified: Page) -> None:
    """4.2 row ADD_CONSUMERS, whatever `travel_tenant` says of REST."""
    guest = guest_of_consumer(identified, JANE, firstname="Ann", lastname="Poe", nationality="IE")
    assert (guest["guestType"], guest["firstName"]) == ("traveller", "Ann")
    assert guest["nationality"] == "IE"


def test_no_identity_rule_is_run_for_a_consumer(api: Api, identified: Page) -> None:
    """4.2 row ADD_CONSUMERS: whom an identifier belongs to is not looked up, nor taken over."""
    joe = {"provider": "email", "id": "joe@example.com"}
    owner = {"guestType": "customer", "firstName": "Joe", "identifiers": [joe]}
    owner_ref = api.post("/v2.1/guests", json=owner).json()["ref"]
    consumer = {"firstname": "Joe", "lastname": "Poe", "identifiers": [joe]}
    guest = guest_of_consumer(identified, JANE, **consumer)
    assert (guest["guestType"], guest["ref"] == owner_ref) == ("traveller", False)
    identified("IDENTITY", identifiers=[joe])
    assert identified.guest == owner_ref


@pytest.mark.parametrize(
    "consumer",
    [
        {"firstname": "J.", "lastname": "D.", "identifiers": JANE["identifiers"]},
        {"firstname": JANE["firstname"].upper(), "lastname": JANE["lastname"]},
    ],
)
def test_a_consumer_who_is_the_contact(identified: Page, consumer: dict[str, Any]) -> None:
    """4.2 row ADD_CONSUMERS: the same person as the contact, and rules pass: the customer."""
    guest = guest_of_consumer(identified, JANE, **consumer)
    assert (guest["guestType"], guest["ref"]) == ("customer", identified.guest)


def test_a_consumer_with_the_name_of_a_contact_without_a_rule(identified: Page) -> None:
    """4.2 row ADD_CONSUMERS: rules do not pass, so a traveller."""
    sam = {"firstname": "Sam", "lastname": "Poe"}
    assert guest_of_consumer(identified, sam, **sam)["guestType"] == "traveller"


# ORDER_CHECKOUT

ORDER: dict[str, Any] = {
    "referenceId": "O-1",
    "orderedAt": "2026-11-20T10:00:00.000Z",
    "status": "PURCHASED",
    "currencyCode": "EUR",
    "price": 42.50,
    "paymentType": "Card",
    "extensions": [{"name": "ext", "key": "default", "gift": True}],
    "orderItems": [
        {
            "type": "DRESS",
            "referenceId": "I-1",
            "orderedAt": "2026-11-20T10:00:00.000Z",
            "status": "PURCHASED",
            "currencyCode": "EUR",
            "price": 42.50,
            "name": "Dress",
            "productId": "P",
            "quantity": 1,
            "extensions": [{"name": "ext", "key": "default", "size": "M"}],
        },
        {"name": "Ribbon"},
    ],
}


def test_order_checkout(api: Api, identified: Page) -> None:
    """4.2 row ORDER_CHECKOUT: one shot; no cardType though it was a card; item fields optional."""
    identified("ORDER_CHECKOUT", order=ORDER)
    (order,) = orders(identified)
    assert {**order, "referenceId": "O-1", "orderedAt": "2026-11-20T10:00:00.000Z"} == order
    assert (order["price"], order["paymentType"]) == (42.5, "Card")
    assert parts(order, "contacts")[0]["guest"]["href"].endswith(identified.guest)
    dress, ribbon = parts(order, "orderItems")
    assert (ribbon["name"], ribbon["status"], ribbon["currencyCode"]) == (
        "Ribbon",
        "PURCHASED",
        "EUR",
    )
    ext = api.get(f"/v2.1/orders/{order['ref']}/extensions/ext").json()
    assert ext["gift"] is True
    ext = api.get(f"/v2.1/orderItems/{dress['ref']}/extensions/ext").json()
    assert ext["size"] == "M"
    # Sent again, it is the same order.
    identified("ORDER_CHECKOUT", order=ORDER)
    (again,) = orders(identified)
    assert again["ref"] == order["ref"]
    assert len(parts(again, "contacts")) == 1


def test_order_checkout_of_a_visitor(api: Api, page: Page) -> None:
    """4.2 row ORDER_CHECKOUT: the guest must already be a customer; replayed once it is one."""
    page("ORDER_CHECKOUT", order=ORDER)
    (quarantined,) = quarantine(api)
    assert quarantined["reason"] == "guest is not a customer"
    page("IDENTITY", **JANE)
    from streams import replay

    assert replay(api) == {"attached": 1, "waiting": 0, "reasons": {}}
    assert [order["referenceId"] for order in orders(page)] == ["O-1"]


@pytest.mark.parametrize(
    ("wrong", "detail"),
    [
        ({"status": "SHIPPED"}, "order.status"),
        ({"price": "1"}, "order.price"),
        ({"currencyCode": None}, "order.currencyCode"),
        ({"orderItems": [{"type": "FLIGHT"}]}, "order.orderItems[0].type"),
        ({"orderItems": [{"quantity": 0}]}, "order.orderItems[0].quantity"),
        ({"extensions": [{"name": "ext", "a": {}}]}, "order.extensions.a"),
    ],
)
def test_order_checkout_misused(
    api: Api, identified: Page, wrong: dict[str, Any], detail: str
) -> None:
    """4.2 row ORDER_CHECKOUT."""
    identified("ORDER_CHECKOUT", order=ORDER | wrong)
    (quarantined,) = quarantine(api)
    assert (quarantined["reason"], quarantined["detail"]) == ("bad attributes", detail)
    assert orders(identified) == []
