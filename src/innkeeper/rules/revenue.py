"""Decide which orders and items count as bought, and what they add to revenue.

All sums of prices follow these rules: traits and segments in memory, and SQL in
`lake/revenue_sql.py`.
"""

from decimal import Decimal
from typing import Final, TypeVar

Price = TypeVar("Price", int, float, Decimal)

NEVER: Final = ("CANCELLED", "DECLINED", "BROWSED", "SEARCHED")
"""Statuses of orders that were never bought."""
NOT_YET: Final = ("PENDING", "PAYMENT_PENDING", "RESERVED", "UNKNOWN")
"""Statuses of orders that may still be bought."""
UNPAID: Final = (*NEVER, *NOT_YET)
"""Statuses that add nothing to revenue. All others add to it, and so does a missing status."""
REFUNDED: Final = "REFUNDED"
NOT_BOUGHT: Final = (*UNPAID, REFUNDED)
PRICES: Final = frozenset({"core_price", "core_original_price"})
"""Columns of orders and order items in the lake that are summed by `refunded_as_zero`."""


def is_paid(status: str | None) -> bool:
    """Whether an order or item with this status can add to revenue."""
    return _word(status) not in UNPAID


def is_bought(status: str | None, price: Price | None) -> bool:
    """Whether an order or item is a purchase.

    A refunded one is not, nor is one with a negative price: that is a refund recorded as an order.
    """
    return _word(status) not in NOT_BOUGHT and not (price is not None and price < 0)


def refunded_as_zero(status: str | None, price: Price | None) -> Price | int:
    """Return the price to add to a sum: 0 for REFUNDED, but a negative price unchanged."""
    if price is None or (_word(status) == REFUNDED and price >= 0):
        return 0
    return price


def _word(status: str | None) -> str:
    # The status of an item is free text (rest-v2.1.md 6).
    return (status or "").upper()
