"""F16: which events in quarantine a CHECKOUT lacks."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from innkeeper.rules.missing_events import Checkout, QuarantinedEvent, missing_from

AT = datetime(2026, 11, 21, 10, tzinfo=UTC)


def before(minutes: float) -> datetime:
    return AT - timedelta(minutes=minutes)


def waits(
    minutes: float, type_: str = "ADD", is_part: bool = False, **message: Any
) -> QuarantinedEvent:
    return QuarantinedEvent(uuid4(), type_, before(minutes), message, is_part)


def add(minutes: float, item: Any) -> QuarantinedEvent:
    return waits(minutes, product={"item_id": item})


def find_missing(
    waiting: list[QuarantinedEvent], *earlier: tuple[float, str, dict[str, Any]]
) -> list[UUID]:
    """Of a CHECKOUT whose session began five minutes ago, with a timeout of 20."""
    events = [(before(minutes), type_, members) for minutes, type_, members in earlier]
    checkout = Checkout("B-1", "WEB", before(5), timedelta(minutes=20), events)
    return [one.ref for one in missing_from(checkout, waiting)]


@pytest.mark.parametrize(
    "one",
    [
        waits(1),
        waits(24),
        waits(1, channel="web"),
        waits(1, "ADD_CONTACTS", is_part=True),
        waits(1, "CONFIRM"),
        waits(1, "CLEAR_CART"),
    ],
)
def test_f16_is_missed(one: QuarantinedEvent) -> None:
    assert find_missing([one]) == [one.ref]


@pytest.mark.parametrize("one", [waits(26), waits(1, channel="MOBILE_APP"), waits(1, "CHECKOUT")])
def test_f16_is_not_missed(one: QuarantinedEvent) -> None:
    """From before the session could have begun, of another channel, or no part of the cart."""
    assert find_missing([one]) == []


def test_f16_each_within_the_timeout_of_the_next() -> None:
    """stream-api.md 5: events would have held the session together."""
    chain = [waits(20), waits(38), waits(59)]
    assert find_missing(chain) == [chain[0].ref, chain[1].ref]


def test_f16_not_from_before_the_cart_was_emptied() -> None:
    chain = [waits(1), waits(4)]
    assert find_missing(chain, (3, "CHECKOUT", {})) == [chain[0].ref]
    assert find_missing(chain, (3, "CLEAR_CART", {})) == [chain[0].ref]
    assert find_missing(chain, (3, "VIEW", {})) == [one.ref for one in chain]


def test_f16_not_what_another_order_would_have_bought() -> None:
    """A CHECKOUT that waits itself, of another order; one of the same is this one's first try."""
    for reference, expected in (("B-0", 1), ("B-1", 2), (None, 2)):
        chain = [waits(1), waits(2, "CHECKOUT", reference_id=reference), waits(3)]
        assert len(find_missing(chain)) == expected, reference


def test_f16_not_what_was_cleared() -> None:
    chain = [waits(1), waits(2, "CLEAR_CART"), waits(3)]
    assert find_missing(chain) == [chain[0].ref, chain[1].ref]


def test_f16_an_add_that_a_later_one_replaced() -> None:
    """stream-api.md 4.2 row ADD: the line of that item_id is the later one."""
    earlier, later = (
        (4.5, "ADD", {"product": {"item_id": "1"}}),
        (0.5, "ADD", {"product": {"item_id": 1}}),
    )
    one = add(1, "1")
    assert find_missing([one], earlier) == [one.ref]
    assert find_missing([one], later) == []
    assert find_missing([add(1, "2")], later) != []
