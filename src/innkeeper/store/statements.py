"""Run statements on one connection, prepared from their second execution on.

A cursor of psycopg does the same, but parses, looks up and converts anew at each execution, which
takes more processor time than the rest of a short statement.
"""

import re
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

import psycopg
from psycopg.adapt import AdaptersMap, PyFormat, Transformer
from psycopg.generators import execute
from psycopg.pq import ExecStatus
from psycopg.pq.abc import PGresult
from psycopg.rows import DictRow
from psycopg.types.string import TextLoader

from innkeeper.store.instant_text import InstantText

PREPARED_MAX: Final = 100
"""Maximum number of prepared statements of one connection; the server holds a plan of each."""
_SEEN_MAX: Final = 1000
_NO_DEFAULTS: Final[Mapping[str, Any]] = {}
_TEXTS_MAX: Final = 2000
_PLACEHOLDER: Final = re.compile(r"%(?:\(([a-z_0-9]+)\)s|%)")
_SUCCESS: Final = frozenset({ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK})
_FORGOTTEN: Final = frozenset({b"0A000", b"26000"})
"""SQLSTATEs of a prepared statement that the server cannot run any more: its columns changed, or
it is unknown."""

Key = tuple[str, Sequence[int]]
"""The text of a statement, and the types of its parameters."""


@lru_cache(_TEXTS_MAX)
def numbered(text: str) -> tuple[bytes, tuple[str, ...], list[PyFormat]]:
    """Return a statement with `$1` … for `%(name)s`, and the names and formats in that order."""
    numbers: dict[str, int] = {}

    def number(placeholder: re.Match[str]) -> str:
        name = placeholder[1]
        return "%" if name is None else f"${numbers.setdefault(name, len(numbers) + 1)}"

    sql = _PLACEHOLDER.sub(number, text).encode()
    return sql, tuple(numbers), [PyFormat.AUTO] * len(numbers)


class Statements:
    """The statements of one connection, which runs one at a time, outside of pipelines."""

    def __init__(self, connection: psycopg.AsyncConnection[Any]) -> None:
        self._connection = connection
        self._values = Transformer(connection)
        self._texts = Transformer(_AsText(connection))
        self._names: OrderedDict[Key, bytes] = OrderedDict()
        """The prepared statements, the most recently used last."""
        self._seen: OrderedDict[Key, None] = OrderedDict()
        """The statements that ran once."""
        self._prepared = 0

    async def run(
        self,
        text: str,
        params: Mapping[str, Any],
        default: Callable[[str], Any] = _NO_DEFAULTS.__getitem__,
    ) -> PGresult:
        """Run a statement with its parameters, of which `default` returns those that are absent.

        Raises errors of psycopg.
        """
        sql, names, formats = numbered(text)
        parameters = [params[name] if name in params else default(name) for name in names]
        values = self._values.dump_sequence(parameters, formats)
        types, param_formats = self._values.types or (), self._values.formats
        key = (text, types)
        name = self._names.get(key)
        if name is None and key in self._seen:
            name = await self._prepare(key, sql, types)
        pgconn = self._connection.pgconn
        if name is not None:
            self._names.move_to_end(key)
            pgconn.send_query_prepared(name, values, param_formats)
        elif values:
            pgconn.send_query_params(sql, values, types, param_formats)
        else:
            # The simple protocol also runs several statements at once.
            pgconn.send_query(sql)
        results: list[PGresult] = await self._connection.wait(execute(pgconn))
        self._check(results, key if name else None)
        if name is None and len(results) == 1:
            self._add_seen(key)
        return results[0]

    async def command(self, sql: bytes) -> PGresult:
        """Run a statement without parameters; raises errors of psycopg."""
        pgconn = self._connection.pgconn
        pgconn.send_query(sql)
        results: list[PGresult] = await self._connection.wait(execute(pgconn))
        self._check(results, None)
        return results[0]

    def rows(self, result: PGresult, *, as_text: bool = False, most: int = -1) -> list[DictRow]:
        """Return the rows of a result, at most `most`; `as_text`: refs as text, and instants as the
        API formats them."""
        if result.status != ExecStatus.TUPLES_OK:
            raise psycopg.ProgrammingError("the statement returns no rows")
        names = [(result.fname(column) or b"").decode() for column in range(result.nfields)]

        def row(values: Sequence[Any]) -> DictRow:
            return dict(zip(names, values, strict=True))

        transformer = self._texts if as_text else self._values
        transformer.set_pgresult(result)
        count = result.ntuples if most < 0 else min(most, result.ntuples)
        rows: list[DictRow] = transformer.load_rows(0, count, row)
        transformer.set_pgresult(None)
        return rows

    async def _prepare(self, key: Key, sql: bytes, types: Sequence[int]) -> bytes:
        """Prepare a statement; of too many, the one that was not used for longest is dropped."""
        pgconn = self._connection.pgconn
        if len(self._names) >= PREPARED_MAX:
            _, dropped = self._names.popitem(last=False)
            await self.command(b"DEALLOCATE " + dropped)
        self._prepared += 1
        name = b"innkeeper_%d" % self._prepared
        pgconn.send_prepare(name, sql, types)
        self._check(await self._connection.wait(execute(pgconn)), None)
        del self._seen[key]
        self._names[key] = name
        return name

    def _add_seen(self, key: Key) -> None:
        if len(self._seen) >= _SEEN_MAX:
            self._seen.popitem(last=False)
        self._seen[key] = None

    def _check(self, results: Sequence[PGresult], prepared: Key | None) -> None:
        """Raise the error of a statement that failed."""
        for result in results:
            if result.status in _SUCCESS or result.status == ExecStatus.EMPTY_QUERY:
                continue
            error = psycopg.errors.error_from_result(result, self._connection.info.encoding)
            if prepared and (error.sqlstate or "").encode() in _FORGOTTEN:
                self._names.pop(prepared, None)
            raise error
        if not results:
            raise psycopg.InternalError("the server sent no result")


class _AsText:
    """The context of a transformer that loads refs and instants as text."""

    def __init__(self, connection: psycopg.AsyncConnection[Any]) -> None:
        self.connection = connection
        self.adapters = AdaptersMap(connection.adapters)
        self.adapters.register_loader("uuid", TextLoader)
        self.adapters.register_loader("timestamptz", InstantText)
