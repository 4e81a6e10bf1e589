"""F3: lines of an order message and the items that are stored already."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from innkeeper.rules.order_lines import Line, line_of, match_lines

AT = datetime(2026, 2, 20, 10, tzinfo=UTC)


def line(reference: str | None = None, *, seat: Any = None, **members: Any) -> Line:
    changes = {"reference_id": reference, **members}
    return line_of(changes, AT, {} if seat is None else {"ext": {"seat": seat}})


@pytest.mark.parametrize(
    ("stored", "payload", "record"),
    [
        # New lines are new, however equal.
        ([], [line(name="a"), line(name="a")], [None, None]),
        ([], [line("R"), line("R")], [None, None]),
        # Sent again, each finds an item of its own.
        ([line(name="a"), line(name="a")], [line(name="a"), line(name="a")], [0, 1]),
        ([line("R"), line("R")], [line("R"), line("R")], [0, 1]),
        # Each item is matched once.
        ([line(name="a")], [line(name="a"), line(name="a")], [0, None]),
        ([line("R")], [line("R", price=1), line("R", price=2)], [0, None]),
        # By referenceId whatever else differs; without one by all members.
        ([line("R", price=1)], [line("R", price=2, name="b")], [0]),
        ([line(price=1)], [line(price=2)], [None]),
        ([line(price=1, name="a")], [line(price=1)], [None]),
        ([line("R", price=1)], [line(price=1)], [None]),
        # In another order each keeps its item.
        (
            [line("R", price=1), line("R", price=2)],
            [line("R", price=2), line("R", price=1)],
            [1, 0],
        ),
        ([line(name="a", seat=1), line(name="a", seat=2)], [line(name="a", seat=2)], [1]),
        # An extension alone makes no other line.
        ([line(name="a", seat=1)], [line(name="a", seat=3)], [0]),
        # As numbers compare, not as they are written; a truth is no number.
        ([line(price=10)], [line(price=Decimal("10.0"))], [0]),
        ([line(extra={"a": [1]})], [line(extra={"a": [True]})], [None]),
        # When it was ordered is a member: the order's time, unless sent.
        ([line(name="a")], [line(name="a", ordered_at="2026-02-20T11:00:00+01:00")], [0]),
        ([line(name="a")], [line(name="a", ordered_at="2026-02-20T11:00:00Z")], [None]),
    ],
)
def test_f3_which_items_lines_are(
    stored: list[Line], payload: list[Line], record: list[int | None]
) -> None:
    assert match_lines(stored, payload) == record
