"""Figures of the start page: guests, orders and sessions by period of UTC."""

# ruff: noqa: S608 - the texts are made of this module's own words

from datetime import datetime
from typing import Any, Final

from sqlglot import exp, parse_one

from innkeeper.lake.revenue_sql import BOUGHT, PAID, REVENUE
from innkeeper.lake.snapshot import Lake


def _period(column: str) -> str:
    return f"CAST(date_trunc(:unit, {column} AT TIME ZONE 'UTC') AS DATE)"


def _since(column: str) -> str:
    return f"{column} >= CAST(:since AS TIMESTAMPTZ)"


GUESTS: Final = (
    f"SELECT {_period('meta_created_at')} AS at, lower(type) AS what, count(*) AS number "
    f"FROM guests WHERE type <> 'RETIRED' AND {_since('meta_created_at')} GROUP BY 1, 2"
)
"""New guests by type."""
ORDERS: Final = (
    f"SELECT {_period('core_ordered_at')} AS at, core_currency_code AS what, "
    f"count(CASE WHEN {BOUGHT} THEN 1 END) AS number, {REVENUE} "
    f"FROM orders WHERE {PAID} AND {_since('core_ordered_at')} GROUP BY 1, 2"
)
"""Orders bought and revenue by currency."""
SESSIONS: Final = (
    f"SELECT {_period('core_started_at')} AS at, coalesce(core_cart_type, 'OPEN') AS what, "
    f"count(*) AS number FROM sessions WHERE {_since('core_started_at')} GROUP BY 1, 2"
)
"""Sessions by outcome."""


async def read(lake: Lake, sql: str, unit: str, since: datetime) -> list[dict[str, Any]]:
    """Return the rows of one of the queries above: `at`, `what`, `number`, and for orders
    `revenue`."""
    query = exp.replace_placeholders(
        parse_one(sql, dialect="duckdb"), unit=unit, since=since.isoformat()
    )
    if not isinstance(query, exp.Query):
        raise TypeError(sql)
    names = query.named_selects
    return [dict(zip(names, row, strict=True)) for row in await lake.rows(query)]
