"""What counts as bought, and what an order or item adds to revenue.

Everything that adds up prices decides by this: traits, segments and reports in memory, the
same as SQL in `lake/revenue_sql.py`, and the start page in `store/queries/figures.sql`.
"""

from decimal import Decimal
from typing import Final, TypeVar

Price = TypeVar("Price", int, float, Decimal)

NEVER: Final = ("CANCELLED", "DECLINED", "BROWSED", "SEARCHED")
"""Statuses of what was never bought."""
NOT_YET: Final = ("PENDING", "PAYMENT_PENDING", "RESERVED", "UNKNOWN")
"""Statuses of what may still come to nothing."""
UNPAID: Final = (*NEVER, *NOT_YET)
"""Statuses that add nothing to revenue. All others do, no status as well."""
REFUNDED: Final = "REFUNDED"
NOT_BOUGHT: Final = (*UNPAID, REFUNDED)
PRICES: Final = frozenset({"core_price", "core_original_price"})
"""Columns of the lake, of orders and order items, that are added up by `refunded_as_zero`."""


def is_paid(status: str | None) -> bool:
    """Whether the price of an order or item of this status can add to revenue."""
    return _word(status) not in UNPAID


def is_bought(status: str | None, price: Price | None) -> bool:
    """Whether an order or item is a purchase: a refunded one is none any more, and one with a
    negative price is a refund that was booked as an order of its own."""
    return _word(status) not in NOT_BOUGHT and not (price is not None and price < 0)


def refunded_as_zero(status: str | None, price: Price | None) -> Price | int:
    """A price as sums add it: 0 for REFUNDED, but a negative price as it is."""
    if price is None or (_word(status) == REFUNDED and price >= 0):
        return 0
    return price


def _word(status: str | None) -> str:
    # The status of an item is free text (rest-v2.1.md 6).
    return (status or "").upper()
