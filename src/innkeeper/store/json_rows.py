"""Rows of a result whose values stay JSON text, for responses that show them as they are stored."""

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec
from psycopg.pq.abc import PGresult

from innkeeper.store.instant_text import instant_text

Values = list[Any]

_decode_members: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_UUID, _JSONB, _TEXT, _INSTANT, _INT8 = 2950, 3802, 25, 1184, 20


class _Memo(dict[bytes | None, bytes | None]):
    """JSON of values by their text, within one result: most instants and words repeat."""

    def __init__(self, load: Callable[[str], str]) -> None:
        super().__init__({None: None})
        self._load = load

    def __missing__(self, text: bytes) -> bytes:
        value = self[text] = msgspec.json.encode(self._load(text.decode()))
        return value


def json_rows(result: PGresult) -> list[dict[str, Any]]:
    """Return the rows of a result: refs as bytes, whole numbers as `int`, objects as their members,
    text and instants as JSON strings.

    psycopg calls a function for every value; this takes half the time.
    """
    rows = range(result.ntuples)
    # One for each type, shared by all columns: the instants of a row are mostly equal.
    memos = {_TEXT: _Memo(str), _INSTANT: _Memo(instant_text)}
    names, columns = [], []
    for column in range(result.nfields):
        names.append((result.fname(column) or b"").decode())
        values = [result.get_value(row, column) for row in rows]
        columns.append(_loaded(result.ftype(column), values, memos))
    return [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]


def _loaded(oid: int, values: Values, memos: Mapping[int, _Memo]) -> Values:
    if oid == _UUID:
        return values
    if oid == _INT8:
        return [value and int(value) for value in values]
    if oid == _JSONB:
        return [value and _decode_members(value) for value in values]
    return list(map(memos[oid].__getitem__, values))
