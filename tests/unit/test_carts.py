"""What a session puts into its basket, buys or leaves behind (stream-api.md 4.2, 5 and 9)."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from innkeeper.rules import carts

AT = datetime(2026, 11, 21, 10, tzinfo=UTC)


def line(item: str, price: Any = 10, quantity: int = 1, **more: Any) -> dict[str, Any]:
    return {"product": {"item_id": item, "price": price, "quantity": quantity, **more}}


def confirmed(*items: str) -> dict[str, Any]:
    return {"product": [{"item_id": item} for item in items]}


def after(*events: tuple[str, dict[str, Any]]) -> carts.Cart | None:
    """The cart after events a minute apart."""
    cart: carts.Cart | None = None
    for minute, (type_, message) in enumerate(events):
        cart = carts.applied(cart, type_, message, AT + timedelta(minutes=minute))
    return cart


def test_add_replaces_a_line_and_keeps_its_place() -> None:
    """4.2 row ADD."""
    cart = after(("ADD", line("1", 5)), ("ADD", line("2")), ("ADD", line("1", 7, 3)))
    lines = carts.purchase(cart).lines
    assert list(lines) == ["1", "2"]
    assert (lines["1"]["price"], lines["1"]["quantity"]) == (7, 3)


def test_a_cart_is_not_changed_in_place() -> None:
    before = after(("ADD", line("1")))
    assert before is not None
    expected = {**before, "lines": {**before["lines"]}}
    carts.applied(before, "ADD", line("2"), AT)
    carts.applied(before, "CHECKOUT", {}, AT)
    assert before == expected


def test_what_a_checkout_buys() -> None:
    """4.2 row CONFIRM, section 9: confirmed lines; all of them when none were confirmed."""
    added = [("ADD", line("1", Decimal("0.1"), 3, currency="EUR")), ("ADD", line("2", 5))]
    everything = carts.purchase(after(*added))
    assert (list(everything.lines), everything.price) == (["1", "2"], Decimal("5.3"))
    some = carts.purchase(after(*added, ("CONFIRM", confirmed("2", "never added"))))
    assert (list(some.lines), some.price, some.currency) == (["2"], 5, None)
    assert everything.currency == "EUR"
    nothing = carts.purchase(None)
    assert (nothing.lines, nothing.price, nothing.contacts) == ({}, 0, [])


def test_the_last_people_and_payment_count() -> None:
    """4.2 rows ADD_CONTACTS, ADD_CONSUMERS, PAYMENT."""
    cart = after(
        ("ADD_CONTACTS", {"contact": [{"first_name": "A"}]}),
        ("ADD_CONTACTS", {"contact": [{"first_name": "B"}]}),
        ("ADD_CONSUMERS", {"consumer": [{"first_name": "C"}]}),
        ("PAYMENT", {"pay_type": "Card"}),
    )
    bought = carts.purchase(cart)
    assert bought.contacts == [{"first_name": "B"}]
    assert bought.consumers == [{"first_name": "C"}]
    assert bought.payment == "Card"


def test_checkout_leaves_what_was_not_confirmed() -> None:
    """Section 5: a second order of the session starts with the lines that are left, no people."""
    cart = after(
        *(("ADD", line(item)) for item in "123"),
        ("ADD_CONTACTS", {"contact": [{"first_name": "A"}]}),
        ("PAYMENT", {"pay_type": "Card"}),
        ("CONFIRM", confirmed("1", "3")),
        ("CHECKOUT", {}),
    )
    left = carts.purchase(cart)
    assert (list(left.lines), left.contacts, left.payment) == (["2"], [], None)


@pytest.mark.parametrize(
    ("events", "cart_type", "revenue"),
    [
        ([], "BROWSED", None),
        ([("ADD", line("1", 2, 3))], "ABANDONED", 6),
        ([("ADD", line("1", Decimal("0.1"), 3)), ("ADD", line("2", 1))], "ABANDONED", 1.3),
        ([("ADD", line("1")), ("CLEAR_CART", {})], "CLOSED", None),
        ([("CLEAR_CART", {}), ("ADD", line("1", 4))], "ABANDONED", 4),
        ([("ADD", line("1")), ("CHECKOUT", {})], "CONVERTED", None),
        ([("ADD", line("1")), ("CHECKOUT", {}), ("ADD", line("2"))], "CONVERTED", None),
        ([("ORDER_CHECKOUT", {})], "CONVERTED", None),
        ([("ADD", line("1", 9)), ("PAYMENT", {"pay_type": "Card"})], "ABANDONED", 9),
        ([("ADD_CONTACTS", {"contact": [{}]})], "BROWSED", None),
    ],
)
def test_what_became_of_a_cart(events: Any, cart_type: str, revenue: Any) -> None:
    """Section 5 rows cartType and abandoned revenue."""
    cart = after(*events)
    assert carts.cart_type(cart) == cart_type
    result = carts.abandoned_revenue(cart)
    assert result == (None if revenue is None else Decimal(str(revenue)))


def test_whether_a_change_is_late() -> None:
    """Section 5: carts go by the time of events."""
    cart = after(("ADD", line("1")), ("ADD", line("2")))
    assert carts.in_order(None, AT)
    assert carts.in_order(cart, AT + timedelta(minutes=1))
    assert not carts.in_order(cart, AT)


def test_other_types_change_no_cart() -> None:
    with pytest.raises(ValueError, match="VIEW"):
        carts.applied(None, "VIEW", {}, AT)
