"""F4: what counts as bought, decided alike in Python, DuckDB and PostgreSQL."""

import duckdb
import pytest

from innkeeper.lake import revenue_sql
from innkeeper.rules.revenue import is_bought, is_paid, refunded_as_zero

CASES = [
    # status, price, added to revenue, whether it is a purchase
    ("PURCHASED", 100, 100, True),
    ("CONFIRMED", 0, 0, True),
    (None, 100, 100, True),
    ("PURCHASED", None, 0, True),
    ("SHIPPED", 5.5, 5.5, True),
    ("PARTIALY_REFUNDED", 60, 60, True),
    ("REFUNDED", 100, 0, False),
    ("Refunded", 100, 0, False),
    ("REFUNDED", 0, 0, False),
    ("REFUNDED", None, 0, False),
    ("REFUNDED", -40, -40, False),
    ("PURCHASED", -40, -40, False),
    (None, -40, -40, False),
    *((status, 100, 0, False) for status in ("CANCELLED", "DECLINED", "BROWSED", "SEARCHED")),
    *((status, 100, 0, False) for status in ("PENDING", "PAYMENT_PENDING", "RESERVED", "UNKNOWN")),
    ("CANCELLED", -40, 0, False),
]


@pytest.mark.parametrize(("status", "price", "added", "bought"), CASES)
def test_f4_in_memory(status: str | None, price: float | None, added: float, bought: bool) -> None:
    """Issue F4: REFUNDED with a price of 0 or more, or none, counts 0; a negative one as it is."""
    assert (refunded_as_zero(status, price) if is_paid(status) else 0) == added
    assert is_bought(status, price) is bought


@pytest.mark.parametrize(("status", "price", "added", "bought"), CASES)
def test_f4_in_sql(status: str | None, price: float | None, added: float, bought: bool) -> None:
    """The same of a row of the lake, with and without the name of a table."""
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE t (core_status VARCHAR, core_price DOUBLE)")
        connection.execute("INSERT INTO t VALUES (?, ?)", [status, price])
        tree = f"CASE WHEN {revenue_sql.paid('t').sql('duckdb')} THEN " + (
            f"coalesce({revenue_sql.counted('t', 'core_price').sql('duckdb')}, 0) ELSE 0 END, "
            f"{revenue_sql.bought('t').sql('duckdb')}"
        )
        text = (
            f"CASE WHEN {revenue_sql.PAID} THEN {revenue_sql.ADDED} ELSE 0 END, "
            f"{revenue_sql.BOUGHT}"
        )
        for columns in (tree, text):
            assert connection.execute(f"SELECT {columns} FROM t").fetchall() == [(added, bought)]
