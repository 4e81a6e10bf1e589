"""RFM scores as SQL: buyers in fifths by how lately, how often and for how much they bought.

5 is best. Buyers who are alike have the same score: that of the first of them in order.
"""

# ruff: noqa: S608 - the texts are made of this module's own words

from typing import Final

from innkeeper.rules.traits import NO_MONEY, NO_SALE


def _words(statuses: tuple[str, ...]) -> str:
    return ", ".join(f"'{status}'" for status in statuses)


SOLD: Final = f"coalesce(core_status, '') NOT IN ({_words(NO_SALE)})"
"""Orders that were bought and not given back."""
PAID: Final = f"coalesce(core_status, '') NOT IN ({_words(NO_MONEY)})"
"""Those, and refunds, whose price is taken off."""
SIGNED: Final = "CASE WHEN core_status = 'REFUNDED' THEN -core_price ELSE core_price END"
REVENUE: Final = f"round(sum({SIGNED}), 2) AS revenue"
_BY: Final = {"recency": "latest", "frequency": "orders", "value": "revenue"}
SCORES: Final = tuple(_BY)


def _fifth(column: str) -> str:
    before = f"CAST(rank() OVER (ORDER BY {column}) - 1 AS DOUBLE)"
    return f"CAST(1 + floor(5 * {before} / count(*) OVER ()) AS BIGINT)"


def scored(where: str, *scores: str) -> str:
    """SELECT guest_ref, those scores, revenue of everyone who bought among orders `where`."""
    shown = ", ".join(f"{_fifth(_BY[score])} AS {score}" for score in scores)
    return (
        f"SELECT guest_ref, {shown}, revenue FROM (SELECT guest_ref, "
        f"max(CASE WHEN {SOLD} THEN core_ordered_at END) AS latest, "
        f"count(CASE WHEN {SOLD} THEN 1 END) AS orders, {REVENUE} "
        f"FROM orders WHERE {PAID} AND guest_ref IS NOT NULL AND {where} "
        f"GROUP BY guest_ref HAVING count(CASE WHEN {SOLD} THEN 1 END) > 0) AS bought"
    )
