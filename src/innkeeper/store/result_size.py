"""Limit the size of the JSON in a result of the database, before it is parsed."""

from itertools import repeat
from typing import Final

from psycopg.pq.abc import PGresult

_JSON_TYPES: Final = frozenset({114, 3802})
"""OIDs of json and jsonb."""


class LargeResult(Exception):
    """The JSON of a result is too large for the event loop; another process has to answer."""


def check_json_size(result: PGresult, most: int | None) -> None:
    """Raise `LargeResult` for more than `most` bytes of JSON; None sets no limit."""
    if most is None:
        return
    columns = [at for at in range(result.nfields) if result.ftype(at) in _JSON_TYPES]
    size = 0
    for column in columns:
        values = map(result.get_value, range(result.ntuples), repeat(column))
        size += sum(map(len, filter(None, values)))
    if size > most:
        raise LargeResult(size)
