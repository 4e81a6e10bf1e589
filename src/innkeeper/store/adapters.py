"""Conversions between Python values and parameters or columns, for every connection."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

import msgspec
import psycopg
from psycopg.abc import DumperKey
from psycopg.adapt import AdaptersMap, Dumper, PyFormat
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
decode_json: Final = msgspec.json.Decoder(float_hook=Decimal).decode
"""Decode JSON of a column; numbers stay as they were written."""
set_json_loads(decode_json, _Context())
# Only jsonb is decoded: whoever reads json, which the database writes, decodes or forwards it.
ADAPTERS.register_loader("json", TextLoader)
set_json_dumps(msgspec.json.Encoder(decimal_format="number").encode, _Context())
