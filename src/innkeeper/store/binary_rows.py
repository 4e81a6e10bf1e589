"""Encode rows for PostgreSQL's `COPY … FROM STDIN (FORMAT binary)`.

A row is a number of columns, then each column with its size.
"""

from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from struct import Struct
from typing import Any, Final, NamedTuple
from uuid import UUID

import msgspec

NULL: Final = b"\xff\xff\xff\xff"
START: Final = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
END: Final = b"\xff\xff"
_json: Final = msgspec.json.Encoder(decimal_format="number").encode
_size: Final = Struct(">i").pack
_json_head: Final = Struct(">ib").pack
_COUNTS: Final = [Struct(">h").pack(columns) for columns in range(64)]
"""The first bytes of a row: its number of columns."""
_instant: Final = Struct(">iq").pack
REF: Final = _size(16)
"""The start of an `uuid`: its size."""
_BIGINT: Final = _size(8)
_UUID_OID: Final = 2950
_BIGINT_OID: Final = 20
_array_head: Final = Struct(">iiI").pack
_dimension: Final = Struct(">ii").pack
_EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)
_TICK: Final = timedelta(microseconds=1)
_MILLISECOND: Final = 1000


def ref(value: UUID) -> bytes:
    """Encode a `uuid`."""
    return REF + value.int.to_bytes(16)


def ref_bytes(value: bytes) -> bytes:
    """Encode a `uuid` of 16 bytes."""
    return REF + value


def refs(values: Collection[bytes]) -> bytes:
    """Encode an `uuid[]` of 16 bytes each."""
    return _array(_UUID_OID, len(values)) + b"".join([REF + value for value in values])


def numbers(values: Collection[bytes]) -> bytes:
    """Encode a `bigint[]` of 8 bytes each."""
    return _array(_BIGINT_OID, len(values)) + b"".join([_BIGINT + value for value in values])


def _array(element: int, length: int) -> bytes:
    """Encode the head of an array without nulls, from 1."""
    dimensions = _dimension(length, 1) if length else b""
    return _array_head(1 if length else 0, 0, element) + dimensions


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
    return _json_head(len(encoded) + 1, 1) + encoded


def whole(value: int) -> bytes:
    """Encode a `bigint`."""
    return _BIGINT + value.to_bytes(8, signed=True)


def instant(value: datetime, milliseconds: int = 0) -> bytes:
    """Encode a `timestamptz`, so many milliseconds after `value`."""
    return _instant(8, (value - _EPOCH) // _TICK + milliseconds * _MILLISECOND)


def row(count: int, *columns: bytes) -> bytes:
    """Encode a row of `count` columns, of which several may be joined."""
    return _COUNTS[count] + b"".join(columns)


def content(rows: bytes) -> bytes:
    """Return the content of a COPY of rows."""
    return START + rows + END


class EncodedKeys(NamedTuple):
    """Keys of 16 bytes as parameters: an `uuid[]`, and the `bigint[]` of their locks."""

    refs: bytes
    locks: bytes


def encode_keys(keys: Collection[bytes]) -> EncodedKeys:
    """Encode keys and their locks, in their order (`identity_keys.lock_of`)."""
    return EncodedKeys(refs(keys), numbers([key[:8] for key in keys]))
