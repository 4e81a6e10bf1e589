"""F16: a CHECKOUT while events of its cart wait in quarantine, and the order when they come."""

from typing import Any

import pytest
from calling import Api
from streams import JANE, Page, ago, product, quarantine, replay, replayed
from test_stream_carts import orders, parts
from test_stream_quarantine import no_points_left, point

__all__ = ["no_points_left"]
INCOMPLETE = "events of the cart wait in quarantine"


@pytest.fixture
def page(api: Api) -> Page:
    result = Page(api)
    result("IDENTITY", **JANE)
    return result


def checkout(page: Page, reference: str = "B-1") -> dict[str, Any]:
    page("CHECKOUT", reference_id=reference, status="PURCHASED")
    return order(page, reference)


def order(page: Page, reference: str = "B-1") -> dict[str, Any]:
    (stored_order,) = [one for one in orders(page) if one["referenceId"] == reference]
    return stored_order


def items(record: dict[str, Any]) -> list[tuple[Any, ...]]:
    return [(one["referenceId"], one["price"]) for one in parts(record, "orderItems")]


def flags(page: Page) -> list[str]:
    events = [event for session in page.sessions for event in session["events"]]
    (one,) = [event for event in events if event["type"] == "CHECKOUT"]
    return list(one["arbitraryData"].get("flags", []))


def test_f16_an_order_without_its_lines(api: Api, page: Page) -> None:
    """Issue F16: made from what is known, its price absent instead of 0, and marked; what waits
    names the order; replayed, the order is as if nothing had waited."""
    page("ADD", product=product("1", 3, 2), pos="new")
    page("ADD", product=product("2", 4), pos="new")
    stored_order = checkout(page)
    assert "price" not in stored_order
    assert ("currencyCode" in stored_order, items(stored_order)) == (False, [])
    assert parts(stored_order, "contacts")[0]["guest"]["href"].endswith(page.guest)
    assert flags(page) == [INCOMPLETE]
    waiting = quarantine(api, orderRef=stored_order["ref"])
    assert [one["message"]["product"]["item_id"] for one in waiting] == ["1", "2"]
    assert {one["orderRef"] for one in quarantine(api)} == {stored_order["ref"]}
    point(api, "new")
    assert replay(api, refs=[waiting[0]["ref"]])["attached"] == 1
    half = order(page)
    assert ("price" in half, items(half)) == (False, [("R-1", 3)])
    assert flags(page) == [INCOMPLETE]
    assert replay(api)["attached"] == 1
    whole = order(page)
    assert (whole["ref"], whole["price"], whole["currencyCode"]) == (stored_order["ref"], 10, "EUR")
    assert items(whole) == [("R-1", 3), ("R-2", 4)]
    assert len(parts(whole, "contacts")) == 1
    assert flags(page) == []
    assert quarantine(api, orderRef=stored_order["ref"]) == []


def test_f16_an_order_without_one_of_its_lines(api: Api, page: Page) -> None:
    """Issue F16: what is known of it is there; the sum of a part is no price."""
    page("ADD", product=product("1", 3))
    page("ADD", product={**product("2", 4), "price": "4,00"})
    stored_order = checkout(page)
    assert ("price" in stored_order, stored_order["currencyCode"], items(stored_order)) == (
        False,
        "EUR",
        [("R-1", 3)],
    )
    (waiting,) = quarantine(api)
    assert (waiting["reason"], waiting["orderRef"]) == ("bad attributes", stored_order["ref"])
    # Nothing mends that one: whoever knows the price sets it, and it stays.
    assert api.patch(f"/v2.1/orders/{stored_order['ref']}", json={"price": 7}).status_code == 200
    assert replay(api)["waiting"] == 1
    assert order(page)["price"] == 7


def test_f16_a_line_that_was_sent_again_is_not_missed(api: Api, page: Page) -> None:
    """stream-api.md 4.2 row ADD: the later line of an item_id replaces the one that waits."""
    page("ADD", product={**product("1", 3), "price": "3,00"})
    page("ADD", product=product("1", 3))
    assert checkout(page)["price"] == 3
    assert flags(page) == []
    assert "orderRef" not in quarantine(api)[0]


def test_f16_a_price_that_somebody_set_stays(api: Api, page: Page) -> None:
    page("ADD", product=product("1", 3), pos="new")
    stored_order = checkout(page)
    api.patch(f"/v2.1/orders/{stored_order['ref']}", json={"price": 99, "currencyCode": "USD"})
    point(api, "new")
    assert replay(api)["attached"] == 1
    whole = order(page)
    assert (whole["price"], whole["currencyCode"], items(whole)) == (99, "USD", [("R-1", 3)])


def test_f16_what_was_confirmed(api: Api, page: Page) -> None:
    """stream-api.md 9: without CONFIRM all lines are bought; with it those confirmed."""
    page("ADD", product=product("1", 3))
    page("ADD", product=product("2", 4))
    page("CONFIRM", product=[{"item_id": "2"}], pos="new")
    stored_order = checkout(page)
    assert ("price" in stored_order, items(stored_order)) == (False, [("R-1", 3), ("R-2", 4)])
    point(api, "new")
    assert replay(api)["attached"] == 1
    assert (order(page)["price"], items(order(page))) == (4, [("R-2", 4)])


def test_f16_contacts_take_the_place_of_the_sessions_guest(api: Api, page: Page) -> None:
    """stream-api.md 5: the contact owns the order; and consumers use their items."""
    page("ADD", product=product("1", 3))
    ann = {"firstname": "Ann", "lastname": "Poe", "email": "ann@poe.example"}
    ann |= {"identifiers": [{"provider": "email", "id": "ann@poe.example"}]}
    page("ADD_CONTACTS", contact=[ann], pos="new")
    consumer = {"title": "Mr", "firstname": "Jim", "lastname": "Poe", "item_ids": ["1"]}
    page("ADD_CONSUMERS", consumer=[consumer], pos="new")
    stored_order = checkout(page)
    assert stored_order["price"] == 3
    assert flags(page) == [INCOMPLETE]
    point(api, "new")
    assert replay(api)["attached"] == 2
    assert orders(page) == []
    whole = api.get(f"/v2.1/orders/{stored_order['ref']}?expand=true").json()
    (contact,) = parts(whole, "contacts")
    assert contact["firstName"] == "Ann"
    (listed,) = api.get(f"/v2.1/orders/{stored_order['ref']}/consumers?expand=true").json()["items"]
    assert listed["orderItems"]["items"][0]["href"] == parts(whole, "orderItems")[0]["href"]
    assert flags(page) == []


def test_f16_parts_are_linked_and_take_nothing_from_the_price(api: Api, page: Page) -> None:
    """Issue F16: parts of attached events, and of the CHECKOUT itself, name the order."""
    page("ADD", product=product("1", 3), currency="none")
    page("ADD_CONTACTS", contact=[{**JANE, "dob": "once"}])
    page("CHECKOUT", reference_id="B-1", status="PURCHASED", currency="none")
    stored_order = order(page)
    assert (stored_order["price"], flags(page)) == (3, [])
    assert {one["type"] for one in quarantine(api, orderRef=stored_order["ref"])} == {
        "ADD",
        "ADD_CONTACTS",
        "CHECKOUT",
    }


def test_f16_a_replay_names_the_orders(api: Api, page: Page) -> None:
    """Issue F16: of each that is tried, the order that it made or changed, or that lacks it yet."""
    add = page("ADD", product=product("1", 3), pos="new")["ref"]
    first = checkout(page, "B-1")
    view = page("VIEW", pos="new")["ref"]
    click = page("CLICK")["ref"]
    second = page("CHECKOUT", reference_id="B-2", status="PURCHASED", pos="new")["ref"]
    reserved = "reserved name"
    unknown = "unknown point of sale"
    assert replayed(api)["items"] == [
        {"ref": add, "reason": unknown, "orderRef": first["ref"]},
        {"ref": view, "reason": unknown},
        {"ref": click, "reason": reserved},
        {"ref": second, "reason": unknown},
    ]
    point(api, "new")
    assert replayed(api)["items"] == [
        {"ref": add, "orderRef": first["ref"]},
        {"ref": view},
        {"ref": click, "reason": reserved},
        {"ref": second, "orderRef": order(page, "B-2")["ref"]},
    ]


def test_f16_each_order_lacks_its_own(api: Api, page: Page) -> None:
    """What an earlier order lacks is not missed by the next; an order without anything that waits
    is priced as ever."""
    page("ADD", product=product("1", 3), pos="new")
    first = checkout(page, "B-1")
    page("ADD", product=product("2", 4))
    second = checkout(page, "B-2")
    assert ("price" in first, second["price"], items(second)) == (False, 4, [("R-2", 4)])
    point(api, "new")
    assert replay(api)["attached"] == 1
    assert (order(page, "B-1")["price"], items(order(page, "B-1"))) == (3, [("R-1", 3)])
    assert (order(page, "B-2")["price"], items(order(page, "B-2"))) == (4, [("R-2", 4)])


def test_f16_a_line_that_comes_late(page: Page) -> None:
    """stream-api.md 5: a cart is what happened by time; what arrives after the CHECKOUT though it
    happened before is bought, and not lost between the cart and the order."""
    for minutes, type_, members in (
        (100, "ADD", {"product": product("1", 3)}),
        (90, "CHECKOUT", {"reference_id": "B-1", "status": "PURCHASED"}),
        (95, "ADD", {"product": product("2", 4)}),
    ):
        page(type_, requested_at=ago(minutes=minutes), **members)
    stored_order = order(page)
    assert (stored_order["price"], items(stored_order)) == (7, [("R-1", 3), ("R-2", 4)])
    page("CONFIRM", product=[{"item_id": "2"}], requested_at=ago(minutes=94))
    assert (order(page)["price"], items(order(page))) == (4, [("R-2", 4)])
    assert page.sessions[0]["cartType"] == "CONVERTED"
    # After the CHECKOUT is after the order.
    page("ADD", product=product("3", 5), requested_at=ago(minutes=80))
    page("ADD", product=product("4", 5), requested_at=ago(minutes=85))
    assert items(order(page)) == [("R-2", 4)]


def test_f16_a_deleted_order(api: Api, page: Page) -> None:
    """What waits for a deleted order is an event like any other."""
    page("ADD", product=product("1", 3), pos="new")
    stored_order = checkout(page)
    assert api.delete(f"/v2.1/orders/{stored_order['ref']}").status_code == 204
    assert "orderRef" not in quarantine(api)[0]
    point(api, "new")
    assert replay(api)["attached"] == 1
    assert orders(page) == []


def test_f16_what_goes_to_quarantine_after_the_checkout(api: Api, page: Page) -> None:
    """Issue F16: the same as if it had come before: linked, marked, and no price of 0."""
    page("CHECKOUT", reference_id="B-1", status="PURCHASED", requested_at=ago(minutes=90))
    assert order(page)["price"] == 0
    page("ADD", product=product("1", 3), pos="new", requested_at=ago(minutes=95))
    stored_order = order(page)
    assert ("price" in stored_order, flags(page)) == (False, [INCOMPLETE])
    page("ADD", product=product("2", 4), pos="new", requested_at=ago(minutes=96))
    assert len(quarantine(api, orderRef=stored_order["ref"])) == 2
    # After the CHECKOUT, and longer before it than a session may pause, is another cart.
    page("ADD", product=product("3", 5), pos="new", requested_at=ago(minutes=80))
    page("ADD", product=product("4", 5), pos="new", requested_at=ago(minutes=300))
    lacking = quarantine(api, orderRef=stored_order["ref"])
    assert len(lacking) == 2
    point(api, "new")
    assert replay(api, refs=[one["ref"] for one in lacking])["attached"] == 2
    whole = order(page)
    assert (whole["price"], sorted(items(whole)), flags(page)) == (7, [("R-1", 3), ("R-2", 4)], [])


def test_f16_a_late_line_takes_no_price_that_somebody_set(api: Api, page: Page) -> None:
    """Issue F16: nor the price of an order whose line it would have been before another's."""
    page("ADD", product=product("1", 3), requested_at=ago(minutes=92))
    page("CHECKOUT", reference_id="B-1", status="PURCHASED", requested_at=ago(minutes=90))
    page("ADD", product=product("2", 4), requested_at=ago(minutes=88))
    page("CHECKOUT", reference_id="B-2", status="PURCHASED", requested_at=ago(minutes=86))
    assert api.patch(f"/v2.1/orders/{order(page)['ref']}", json={"price": 9}).status_code == 200
    page("ADD", product={**product("3", 5), "price": "5,00"}, requested_at=ago(minutes=91))
    (waiting,) = quarantine(api)
    assert waiting["orderRef"] == order(page)["ref"]
    assert [order(page, name)["price"] for name in ("B-1", "B-2")] == [9, 4]


def test_f16_what_is_given_up_marks_no_order(api: Api, page: Page) -> None:
    """Issue F16: the mark says that events wait; the price is still not known."""
    page("ADD", product=product("1", 3), pos="new")
    page("ADD", product=product("2", 4), pos="new")
    stored_order = checkout(page)
    for ref, after in zip([one["ref"] for one in quarantine(api)], ([INCOMPLETE], []), strict=True):
        assert api.delete(f"/innkeeper/v1/quarantine/{ref}").status_code == 204
        assert flags(page) == after
    assert "price" not in order(page)
    assert order(page)["ref"] == stored_order["ref"]
