"""Encode rows for PostgreSQL's `COPY … FROM STDIN (FORMAT binary)`.

A row is encoded in two parts: its head, and the instants in its last columns. So rows can be
encoded before the instant at which they are written is known.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from struct import Struct
from typing import Any, Final
from uuid import UUID

import msgspec

Offsets = tuple[int, ...]
"""Milliseconds after the instant of writing, for each of the last columns of a row."""
Heads = Mapping[Offsets, Sequence[bytes]]

NULL: Final = b"\xff\xff\xff\xff"
START: Final = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
END: Final = b"\xff\xff"
_json: Final = msgspec.json.Encoder(decimal_format="number").encode
_size: Final = Struct(">i").pack
_COUNTS: Final = [Struct(">h").pack(columns) for columns in range(64)]
"""The first bytes of a row: its number of columns."""
_instant: Final = Struct(">iq").pack
_REF: Final = _size(16)
_EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)
_TICK: Final = timedelta(microseconds=1)
_MILLISECOND: Final = 1000


def ref(value: UUID) -> bytes:
    """Encode a `uuid`."""
    return _REF + value.int.to_bytes(16)


def text(value: str) -> bytes:
    """Encode a `text`."""
    encoded = value.encode()
    return _size(len(encoded)) + encoded


@lru_cache(1024)
def encode_word(value: str) -> bytes:
    """Encode a `text` that occurs in many rows."""
    return text(value)


def json(value: Any) -> bytes:
    """Encode a `jsonb`, whose binary form is a version and JSON."""
    encoded = _json(value)
    return _size(len(encoded) + 1) + b"\x01" + encoded


def instant(value: datetime) -> bytes:
    """Encode a `timestamptz`."""
    return _instant(8, (value - _EPOCH) // _TICK)


def head(offsets: Offsets, *columns: bytes) -> bytes:
    """Encode a row without its last columns, the instants of `offsets`."""
    return _COUNTS[len(columns) + len(offsets)] + b"".join(columns)


def encode(heads: Heads, now: datetime) -> Iterable[bytes]:
    """Yield the content of a COPY of rows that are written at `now`."""
    yield START
    at = (now - _EPOCH) // _TICK
    for offsets, rows in heads.items():
        end = b"".join(_instant(8, at + offset * _MILLISECOND) for offset in offsets)
        yield end.join(rows)
        yield end
    yield END
