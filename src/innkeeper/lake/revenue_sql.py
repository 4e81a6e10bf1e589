"""`rules/revenue.py` as SQL over `core_status` and `core_price` of orders and order items."""

from typing import Final

from sqlglot import exp, parse_one

from innkeeper.rules.revenue import NOT_BOUGHT, REFUNDED, UNPAID

_STATUS: Final = "upper(coalesce({t}core_status, ''))"


def _words(statuses: tuple[str, ...]) -> str:
    return ", ".join(f"'{status}'" for status in statuses)


def _paid(table: str) -> str:
    return f"{_STATUS.format(t=table)} NOT IN ({_words(UNPAID)})"


def _bought(table: str) -> str:
    status = f"{_STATUS.format(t=table)} NOT IN ({_words(NOT_BOUGHT)})"
    return f"({status} AND coalesce({table}core_price, 0) >= 0)"


def _counted(table: str, column: str = "core_price") -> str:
    refunded = f"{_STATUS.format(t=table)} = '{REFUNDED}' AND {table}{column} >= 0"
    return f"CASE WHEN {refunded} THEN 0 ELSE {table}{column} END"


def _added(table: str, column: str = "core_price") -> str:
    return f"coalesce({_counted(table, column)}, 0)"


PAID: Final = _paid("")
"""Rows whose price can add to revenue."""
BOUGHT: Final = _bought("")
"""Rows that are a purchase."""
ADDED: Final = _added("")
"""The price of a row for sums."""
REVENUE: Final = f"round(sum({ADDED}), 2) AS revenue"


def paid(table: str) -> exp.Expr:
    """Whether the price of a row of `table` can add to revenue."""
    return parse_one(_paid(f"{table}."), dialect="duckdb")


def bought(table: str) -> exp.Expr:
    """Whether a row of `table` is a purchase."""
    return parse_one(_bought(f"{table}."), dialect="duckdb")


def counted(table: str, column: str) -> exp.Expr:
    """A column of prices of `table`: 0 if the row was refunded, null without a price."""
    return parse_one(_counted(f"{table}.", column), dialect="duckdb")
