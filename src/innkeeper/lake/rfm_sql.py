"""RFM scores as SQL: buyers in fifths by recency, frequency and amount.

5 is best. Buyers with equal values have the same score: that of the first of them in order.
"""

# ruff: noqa: S608 - the texts are made of this module's own words

from typing import Final

from innkeeper.lake.revenue_sql import BOUGHT, PAID, REVENUE

_BY: Final = {"recency": "latest", "frequency": "orders", "value": "revenue"}


def _fifth(column: str) -> str:
    before = f"CAST(rank() OVER (ORDER BY {column}) - 1 AS DOUBLE)"
    return f"CAST(1 + floor(5 * {before} / count(*) OVER ()) AS BIGINT)"


def scored(where: str, *scores: str) -> str:
    """SELECT guest_ref, those scores, orders and revenue of the buyers among orders `where`."""
    columns = ", ".join(f"{_fifth(_BY[score])} AS {score}" for score in scores)
    return (
        f"SELECT guest_ref, {columns}, orders, revenue FROM (SELECT guest_ref, "
        f"max(CASE WHEN {BOUGHT} THEN core_ordered_at END) AS latest, "
        f"count(CASE WHEN {BOUGHT} THEN 1 END) AS orders, {REVENUE} "
        f"FROM orders WHERE {PAID} AND guest_ref IS NOT NULL AND {where} "
        f"GROUP BY guest_ref HAVING count(CASE WHEN {BOUGHT} THEN 1 END) > 0) AS bought"
    )
