"""Conversions between Python values and parameters or columns, for every connection."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

import msgspec
import psycopg
from psycopg.abc import AdaptContext, DumperKey
from psycopg.adapt import AdaptersMap, Dumper, PyFormat
from psycopg.pq import Format
from psycopg.types.array import ListDumper
from psycopg.types.json import set_json_dumps, set_json_loads
from psycopg.types.string import TextLoader

# Numbers are stored exactly as sent: 12.50 stays 12.50, which a float would change.
ADAPTERS: Final = AdaptersMap(psycopg.adapters)


class _Context:
    adapters = ADAPTERS
    connection = None


class _Refs(Dumper):
    """Refs as `uuid[]`."""

    oid = ADAPTERS.types["uuid"].array_oid

    def dump(self, obj: list[UUID | None]) -> bytes:
        return f"{{{','.join('NULL' if one is None else one.hex for one in obj)}}}".encode()


class _Numbers(Dumper):
    """Whole numbers as `bigint[]`."""

    oid = ADAPTERS.types["int8"].array_oid

    def dump(self, obj: list[int | None]) -> bytes:
        return f"{{{','.join('NULL' if one is None else str(one) for one in obj)}}}".encode()


class EncodedRefs(bytes):
    """An `uuid[]` in PostgreSQL's binary form (`binary_rows.refs`)."""


class EncodedNumbers(bytes):
    """A `bigint[]` in PostgreSQL's binary form (`binary_rows.numbers`)."""


class _Encoded(Dumper):
    """Sends encoded parameters as they are. Only objects have an OID: that of a class would make
    it the dumper of every value of the type in a COPY."""

    format = Format.BINARY
    array_oid = 0

    def __init__(self, cls: type, context: AdaptContext | None = None) -> None:
        super().__init__(cls, context)
        self.oid = self.array_oid

    def dump(self, obj: bytes) -> bytes:
        return obj


class _EncodedRefs(_Encoded):
    array_oid = _Refs.oid


class _EncodedNumbers(_Encoded):
    array_oid = _Numbers.oid


_ARRAYS: Final[Mapping[type, type[Dumper]]] = {UUID: _Refs, int: _Numbers}


class _ListDumper(ListDumper):
    """Lists. psycopg examines every element three times; for these kinds once is enough."""

    def get_key(self, obj: list[Any], format: PyFormat) -> DumperKey:
        if obj and type(obj[0]) in _ARRAYS:
            return (self.cls, type(obj[0]))
        return super().get_key(obj, format)

    def upgrade(self, obj: list[Any], format: PyFormat) -> Dumper:  # type: ignore[override]
        array = _ARRAYS.get(type(obj[0])) if obj else None
        return super().upgrade(obj, format) if array is None else array(self.cls, self._tx)


ADAPTERS.register_dumper(list, _ListDumper)
ADAPTERS.register_dumper(EncodedRefs, _EncodedRefs)
ADAPTERS.register_dumper(EncodedNumbers, _EncodedNumbers)
decode_json: Final = msgspec.json.Decoder(float_hook=Decimal).decode
"""Decode JSON of a column; numbers stay as they were written."""
set_json_loads(decode_json, _Context())
# Only jsonb is decoded: whoever reads json, which the database writes, decodes or forwards it.
ADAPTERS.register_loader("json", TextLoader)
set_json_dumps(msgspec.json.Encoder(decimal_format="number").encode, _Context())
