"""The high-water mark of a column: the greatest value that was imported."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from innkeeper.errors import OperatorError
from innkeeper.resources.values import ValueRefused, instant
from innkeeper.wire.bulk.batch_records import BadText, json_value

_NUMBER: Final = re.compile(r"-?[0-9]{1,40}(?:\.[0-9]{1,40})?", re.ASCII)


@dataclass(frozen=True, slots=True)
class HighWaterMark:
    """A column of numbers or instants, and its greatest imported value."""

    column: str
    after: str = ""
    """Empty before the first import."""
    is_inclusive: bool = True
    """Whether rows with that value are read again, since the source may have added some. A guest or
    order that is written again does not change; an event would be recorded twice."""

    def newer(self, rows: Iterable[tuple[int, Any]]) -> Iterator[tuple[int, Any]]:
        """Yield the rows, or lines of JSON, past the mark, and those without a value."""
        least = _comparable(self.column, self.after) if self.after else None
        for number, row in rows:
            value = self._value(row)
            if least is None or not value:
                yield number, row
                continue
            compared = _compared(self.column, _comparable(self.column, value), least)
            if compared > 0 or (self.is_inclusive and compared == 0):
                yield number, row

    def greatest(self, rows: Iterable[tuple[int, Any]]) -> tuple[str, int]:
        """Return the greatest value of the rows and the mark, and how many rows are past it."""
        greatest, count = self.after, 0
        most = _comparable(self.column, greatest) if greatest else None
        for _, row in self.newer(rows):
            count += 1
            if value := self._value(row):
                compared = _comparable(self.column, value)
                if most is None or _compared(self.column, compared, most) > 0:
                    greatest, most = value, compared
        return greatest, count

    def _value(self, row: Any) -> str:
        if isinstance(row, bytes):
            try:
                row = json_value(row)
            except BadText:
                return ""
        value = row.get(self.column) if isinstance(row, dict) else None
        return "" if value is None else str(value).strip()


def _comparable(column: str, text: str) -> Decimal | datetime:
    """Return a value to compare by; raises OperatorError."""
    if _NUMBER.fullmatch(text):
        return Decimal(text)
    try:
        return instant(text)
    except ValueRefused:
        raise OperatorError(
            f"The column {column} has a value that is neither a number nor a date such as "
            "2026-01-31 or 2026-01-31T10:00:00Z, so it does not show which rows are new."
        ) from None


def _compared(column: str, one: Decimal | datetime, other: Decimal | datetime) -> int:
    if isinstance(one, Decimal) and isinstance(other, Decimal):
        return (one > other) - (one < other)
    if isinstance(one, datetime) and isinstance(other, datetime):
        return (one > other) - (one < other)
    raise OperatorError(
        f"The column {column} has numbers and dates, so it does not show which rows are new."
    )
