"""Which refused rows stay when a guest is erased."""

from functools import partial
from pathlib import Path
from typing import IO, Any, cast

from innkeeper.rules.identity_keys import email_key
from innkeeper.wire.bulk.mapping import ColumnMapping
from innkeeper.wire.privacy.reject_search import _rewrite, _stays


def test_the_rows_of_one_order_stay_together(tmp_path: Path) -> None:
    """Only its first row names the person; marks for spreadsheets are no part of an address."""
    rejected, left = tmp_path / "rejected.csv", tmp_path / "left.csv"
    header = "Order,Mail,Product,innkeeper:reason\r\n"
    bob = "2,'+bob@example.com,C,bad\r\n2,,D,bad\r\n"
    rejected.write_bytes(
        f"{header}1,Ann@example.com,A,bad\r\n1,,B,bad\r\n{bob}3,,E,bad\r\n".encode()
    )
    columns = {"Order": ("referenceId",), "Mail": ("contact.email",)}
    mapping = ColumnMapping(columns, group="Order")
    erased = {email_key("ann@example.com")}
    stays = partial(_stays, (), erased.__contains__)
    with left.open("wb") as staged:
        file: Any = cast(IO[bytes], staged)
        assert _rewrite(rejected, file, "orders", mapping, stays) == (1, 2)
    assert left.read_bytes().decode() == header + bob
