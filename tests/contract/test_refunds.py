"""F4: an order that is given back counts 0, and a refund of its own is added as it is."""

from typing import Any

import pytest
from calling import Api
from ordering import ITEM, checked_body
from streams import JANE, Page, product
from test_reports_api import report
from test_segments_api import create_segment as segment
from test_segments_api import jobs, members, order, person, rule

from innkeeper import clock
from innkeeper.actions.console import figures

__all__ = ["jobs"]


def traits(api: Api, guest: dict[str, Any]) -> dict[str, Any]:
    answer = api.get(f"/innkeeper/v1/guests/{guest['ref']}/traits")
    assert answer.status_code == 200, answer.text
    result: dict[str, Any] = answer.json()["traits"]
    return result


def refund(api: Api, bought: dict[str, Any], status: str = "REFUNDED", **more: Any) -> None:
    checked_body(api.patch(f"/v2.1/orders/{bought['ref']}", json={"status": status, **more}), 200)


def spent(api: Api, amount: float) -> set[str]:
    """Who is in a segment of those whose trait, or whose orders, come to exactly that."""
    by_trait = {
        "entity": "guest",
        "rules": [rule("lifetimeValue.EUR", "is equal to", amount, location="trait")],
    }
    by_orders = {
        "entity": "order",
        "sum": {
            "field": "price",
            "currency": "EUR",
            "comparator": "is equal to",
            "values": [amount],
        },
    }
    result = [
        members(api, segment(api, {"filterGroups": [each]}, name=each["entity"]))
        for each in (by_trait, by_orders)
    ]
    assert result[0] == result[1]
    return result[0]


def test_f4_an_order_that_is_refunded_counts_0(api: Api) -> None:
    """Issue F4: 200 and 100 with the 100 refunded is 200; by traits, segments and reports."""
    guest = person(api)
    order(api, guest, price=200, orderedAt="2026-11-10T10:00:00Z")
    second = order(api, guest, price=100, orderedAt="2026-11-11T10:00:00Z")
    assert traits(api, guest)["lifetimeValue.EUR"] == 300
    refund(api, second)
    body = {"entity": "order", "function": "sum", "field": "price", "currency": "EUR"}
    assert api.put("/innkeeper/v1/traits/paid", json=body).status_code == 200
    values = traits(api, guest)
    assert (values["lifetimeValue.EUR"], values["paid"], values["orderCount"]) == (200, 200, 1)
    # An average of one's own is that sum by the number of rows picked, decided alike in the lake.
    body["function"] = "average"
    assert api.put("/innkeeper/v1/traits/mean", json=body).status_code == 200
    assert traits(api, guest)["mean"] == 100
    named = [rule("mean", "is equal to", 100, location="trait")]
    chosen = segment(api, {"filterGroups": [{"entity": "guest", "rules": named}]}, name="mean")
    assert members(api, chosen) == {guest["ref"]}
    assert values["averageOrderValue.EUR"] == 200
    assert values["lastOrderAt"] == "2026-11-10T10:00:00.000Z"
    assert spent(api, 200) == {guest["ref"]}
    assert report(api, "revenue") == [["2026-11-10", "EUR", 1, 200], ["2026-11-11", "EUR", 0, 0]]
    assert report(api, "rfm") == [[1, 1, 1, 1, 200]]


@pytest.mark.long
def test_f4_own_traits_of_prices_take_the_counted_price(api: Api) -> None:
    """F4, by hand: of 30, 30, a refund of -5, 200 refunded and, last, 100 refunded, the prices are
    30, 30, -5, 0 and 0: read of the guest's rows and in the lake alike."""
    guest = person(api)
    for day, (price, status) in enumerate(
        ((30, "PURCHASED"), (30, "PURCHASED"), (-5, "REFUNDED"), (200, "REFUNDED")), 10
    ):
        order(api, guest, price=price, status=status, orderedAt=f"2026-11-{day}T10:00:00Z")
    refund(api, order(api, guest, price=100, orderedAt="2026-11-20T10:00:00Z"))
    other = person(api)
    for price in (70, 80):
        order(api, other, price=price, status="REFUNDED", orderedAt="2026-11-20T10:00:00Z")
    expected = {
        "least": (-5, 0),
        "greatest": (30, 0),
        "latest": (0, 0),
        "most_common": (0, 0),
        "average": (11, 0),
        "sum": (55, 0),
    }
    for function, (of_guest, of_other) in expected.items():
        body = {"entity": "order", "function": function, "field": "price", "currency": "EUR"}
        name = f"price{function.replace('_', '').title()}"
        assert api.put(f"/innkeeper/v1/traits/{name}", json=body).status_code == 200
        result = traits(api, guest)[name], traits(api, other)[name]
        assert result == (of_guest, of_other), function
        for amount, who in ((of_guest, guest), (of_other, other)):
            named = [rule(name, "is equal to", amount, location="trait")]
            chosen = segment(
                api,
                {"filterGroups": [{"entity": "guest", "rules": named}]},
                name=f"{name} {who['ref']}",
            )
            assert who["ref"] in members(api, chosen), (function, amount)


def test_f4_a_refunded_order_alone_is_0(api: Api) -> None:
    """Issue F4: 100 refunded alone is 0, never less."""
    guest = person(api)
    refund(api, order(api, guest, price=100))
    values = traits(api, guest)
    assert (values["lifetimeValue.EUR"], values["orderCount"]) == (0, 0)
    assert "averageOrderValue.EUR" not in values
    assert spent(api, 0) == {guest["ref"]}
    assert report(api, "rfm") == []


@pytest.mark.parametrize("status", ["PURCHASED", "REFUNDED"])
def test_f4_a_refund_booked_as_an_order(api: Api, status: str) -> None:
    """Issue F4: its negative price is added as it is, whatever its status; it is no purchase."""
    guest = person(api)
    order(api, guest, price=200, orderedAt="2026-11-10T10:00:00Z")
    order(api, guest, price=-30, orderedAt="2026-11-12T10:00:00Z", status=status)
    values = traits(api, guest)
    assert (values["lifetimeValue.EUR"], values["orderCount"]) == (170, 1)
    assert values["averageOrderValue.EUR"] == 200
    assert values["lastOrderAt"] == "2026-11-10T10:00:00.000Z"
    assert spent(api, 170) == {guest["ref"]}
    assert report(api, "revenue", interval="month") == [["2026-11-01", "EUR", 1, 170]]
    assert report(api, "rfm") == [[1, 1, 1, 1, 170]]


def test_f4_a_partial_refund_counts_unchanged(api: Api) -> None:
    """Issue F4: PARTIALY_REFUNDED has no amount; clients lower the price."""
    guest = person(api)
    bought = order(api, guest, price=200)
    refund(api, bought, "PARTIALY_REFUNDED", price=150)
    values = traits(api, guest)
    assert (values["lifetimeValue.EUR"], values["orderCount"]) == (150, 1)


def products(api: Api, **parameters: str) -> list[list[Any]]:
    """Return the product, currency, pieces and revenue of each row of the report of products."""
    return [row[:4] for row in report(api, "products", **parameters)]


def test_f4_items_follow_their_own_status_else_their_orders(api: Api) -> None:
    """Issue F4, by hand: of the order only what says so itself is bought still."""
    guest = person(api)
    bought, back = order(api, guest), order(api, guest, price=-8, status="REFUNDED")
    for name, more in (
        ("own", {"status": "PURCHASED", "price": 7, "quantity": 2}),
        ("returned", {"status": "Refunded", "price": 9}),
    ):
        body = {**ITEM, "productId": name, **more}
        checked_body(api.post(f"/v2.1/orders/{bought['ref']}/orderItems", json=body))
    nested = f"/v2.1/guests/{guest['ref']}/orders"
    body = {"sku": "borrowed", "quantity": 1, "price": 5}
    checked_body(api.post(f"{nested}/{bought['ref']}/items", json=body))
    checked_body(
        api.post(f"{nested}/{back['ref']}/items", json={**body, "sku": "own", "price": -3})
    )
    assert products(api) == [["own", "EUR", 2, 11], ["borrowed", "EUR", 1, 5]]
    refund(api, bought)
    assert products(api) == [["own", "EUR", 2, 11]]


def test_f4_the_favourite_category_is_of_what_was_bought(api: Api) -> None:
    """Issue F4: items that were given back, or never bought, are left out of that trait as well."""
    guest = person(api)
    items = f"/v2.1/orders/{order(api, guest)['ref']}/orderItems"
    for kind, status, count in (
        ("SPA", "PURCHASED", 1),
        ("ROOM", "refunded", 2),
        ("BAR", "CANCELLED", 3),
    ):
        for _ in range(count):
            checked_body(api.post(items, json={**ITEM, "type": kind, "status": status}))
    assert traits(api, guest)["favouriteCategory"] == "SPA"
    named = [rule("favouriteCategory", "is equal to", "SPA", location="trait")]
    result = segment(api, {"filterGroups": [{"entity": "guest", "rules": named}]})
    assert members(api, result) == {guest["ref"]}


def test_f4_an_order_of_events_is_refunded_with_its_items(api: Api) -> None:
    """Issue F4: lines of a cart, and of ORDER_CHECKOUT, have no status unless they send one."""
    page = Page(api)
    page("IDENTITY", **JANE)
    page("ADD", product=product("1", 3))
    page("CHECKOUT", reference_id="B-1", status="PURCHASED")
    whole = {"referenceId": "O-1", "orderedAt": "2026-11-20T10:00:00Z", "status": "PURCHASED"}
    whole |= {"currencyCode": "EUR", "price": 4}
    items = [{"name": "Ribbon", "productId": "ribbon", "price": 4, "orderedAt": None}]
    page("ORDER_CHECKOUT", order={**whole, "orderItems": items})
    payload = {"from": "2026-01-01", "to": "2040-01-01"}
    assert products(api, **payload) == [["ribbon", "EUR", 1, 4], ["P-1", "EUR", 1, 3]]
    for bought in api.get("/v2.1/orders").json()["items"]:
        refund(api, bought)
    assert report(api, "products", **payload) == []


def test_f4_on_the_start_page(api: Api, jobs: Any) -> None:
    """Issue F4: what was never bought, or was given back, is no revenue there either."""
    guest, today = person(api), f"{clock.now():%Y-%m-%dT%H:%M:%SZ}"
    for price, status in (
        (200, "PURCHASED"),
        (100, "REFUNDED"),
        (-30, "REFUNDED"),
        (60, "PARTIALY_REFUNDED"),
        (1000, "CANCELLED"),
        (1000, "PAYMENT_PENDING"),
    ):
        order(api, guest, price=price, status=status, orderedAt=today)
    figures._cached.clear()
    result = jobs(lambda work: figures.read(work, "7"))
    assert result.paid == [("EUR", 230, 0)]
    assert sum(result.by_time["revenue"]["EUR"]) == 230
    # Bought are the 200 and the 60.
    assert sum(result.by_time["orders"]["EUR"]) == 2
