"""A snapshot of the lake as views of DuckDB, which are created when a query names them."""

import re
from collections.abc import Collection, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from innkeeper.lake import duckdb as engine
from innkeeper.lake.change_feed import MERGED
from innkeeper.lake.tables import CHANGES, REF, TEXT, LakeTable
from innkeeper.lake.views import closure, text_view_sql, view_sql
from innkeeper.store.parquet_types import literal, quoted

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection as Connection
    from sqlglot import exp

    from innkeeper.lake.change_feed import Lines
    from innkeeper.lake.session import Form
    from innkeeper.settings import Settings
    from innkeeper.store.files import Files

_REF_TYPE: Final = re.compile(rf"\b{REF}\b")


class LakeFiles(Protocol):
    """The part of a snapshot that names what to read."""

    @property
    def settings(self) -> "Settings": ...
    @property
    def location(self) -> "Files": ...
    @property
    def files(self) -> dict[str, list[str]]: ...
    @property
    def old(self) -> dict[str, list[str]]: ...
    @property
    def tail(self) -> "Lines": ...
    @property
    def merged(self) -> bool: ...


class DuckSession:
    """One connection with temporary tables for the tail, and views over the tail and the files."""

    def __init__(
        self,
        snapshot: LakeFiles,
        connection: "Connection | None" = None,
        *,
        refs_as_text: bool = False,
    ) -> None:
        """`refs_as_text`: for SQL of users (`text_view_sql`)."""
        self._snapshot = snapshot
        self._refs_as_text = refs_as_text
        self._stack = ExitStack()
        self._made: set[str] = set()
        self.connection = connection or self._stack.enter_context(
            engine.connected(snapshot.settings, snapshot.location)
        )

    def rows(self, question: "exp.Query", seconds: float) -> list[tuple[Any, ...]]:
        return self.fetched(self._text(question), seconds)

    def fetched(self, sql: str, seconds: float) -> list[tuple[Any, ...]]:
        """Return the rows of a query over views that `use` created."""
        with engine.limited(self.connection, seconds):
            return self.connection.execute(sql).fetchall()

    def table(self, name: str, column: str, texts: Collection[str]) -> None:
        self.connection.execute(
            f"CREATE OR REPLACE TEMP TABLE {name} AS "
            f"SELECT CAST(unnest($texts::VARCHAR[]) AS {REF}) AS {column}",
            {"texts": list(texts)},
        )

    def load(self, name: str, column: str, path: Path) -> None:
        columns = f"{{{literal(column)}: 'UUID'}}"
        self.connection.execute(
            f"CREATE OR REPLACE TEMP TABLE {name} AS SELECT * FROM read_csv("  # noqa: S608
            f"{literal(str(path))}, header = false, auto_detect = false, "
            f"columns = {columns})"
        )

    def copy(self, question: "exp.Query", path: Path, form: "Form", seconds: float) -> int:
        return self.copied(self._text(question), path, form, seconds)

    def copied(self, sql: str, path: Path, form: "Form", seconds: float) -> int:
        """Write the rows of a query to a file, refs as text; return their number."""
        sql = self._with_text(sql)
        if form.as_text:
            sql = f"SELECT CAST(to_json(r) AS VARCHAR) AS data FROM ({sql}) AS r"  # noqa: S608
        target = literal(str(path))
        with engine.limited(self.connection, seconds):
            copied = self.connection.execute(
                f"COPY ({sql}) TO {target} ({form.options})"
            ).fetchone()
        return int(copied[0]) if copied else 0

    def batches(
        self, question: "exp.Query", size: int, seconds: float
    ) -> Iterator[list[tuple[Any, ...]]]:
        return self.fetched_in_batches(self._text(question), size, seconds)

    def fetched_in_batches(
        self, sql: str, size: int, seconds: float
    ) -> Iterator[list[tuple[Any, ...]]]:
        """Yield the rows of a query in chunks, refs as text."""
        sql = self._with_text(sql)
        with engine.limited(self.connection, seconds):
            result = self.connection.execute(sql)
            while rows := result.fetchmany(size):
                yield rows

    def described(self, question: "exp.Query") -> list[tuple[str, str]]:
        """Return the name and type of each column of a result."""
        return self._described(self._text(question))

    def _described(self, sql: str) -> list[tuple[str, str]]:
        rows = self.connection.execute(f"DESCRIBE {sql}").fetchall()
        return [(name, kind) for name, kind, *_ in rows]

    def interrupt(self) -> None:
        self.connection.interrupt()

    def _with_text(self, sql: str) -> str:
        """Cast refs, also those in lists and structures, to text."""
        if self._refs_as_text:
            return sql
        columns = self._described(sql)
        if not any(REF in kind for _, kind in columns):
            return sql
        casts = ", ".join(
            f"CAST({quoted(name)} AS {_REF_TYPE.sub(TEXT, kind)}) AS {quoted(name)}"
            if REF in kind
            else quoted(name)
            for name, kind in columns
        )
        return f"SELECT {casts} FROM ({sql})"  # noqa: S608 - made of a query of ours

    def close(self) -> None:
        self._stack.close()

    def use(self, names: Iterable[str]) -> None:
        """Create the views with these names; other names are ignored."""
        for table in closure(names):
            if table.name not in self._made:
                self._made.add(table.name)
                self._make(table)

    def _text(self, question: "exp.Query") -> str:
        """Return a query as SQL of DuckDB, after creating its views."""
        from sqlglot import exp  # noqa: PLC0415

        self.use(table.name for table in question.find_all(exp.Table))
        return question.sql(dialect="duckdb")

    def _make(self, table: LakeTable) -> None:
        snapshot = self._snapshot
        merged = snapshot.merged
        if merged and MERGED not in self._made:
            self._made.add(MERGED)
            merged_rows = engine.merged_rows(snapshot.tail.paths.get(MERGED))
            self._run(f"CREATE TEMP TABLE {MERGED} AS {merged_rows}")
        old = self._make_old(table.kind)
        self._run(f"CREATE TEMP VIEW rows_{table.name} AS {self._rows(table)}")
        make_view = text_view_sql if self._refs_as_text else view_sql
        view = make_view(table, old=old, merged=merged)
        self._run(f"CREATE TEMP VIEW {table.name} AS {view}")

    def _rows(self, table: LakeTable) -> str:
        """SELECT files and tail together; a column that a file lacks is null."""
        lines = self._snapshot.tail.paths.get(table.name)
        paths = self._snapshot.files.get(table.name, ())
        full = [self._snapshot.location.full(path) for path in paths]
        files = engine.file_rows(self.connection, table, full) if full else ""
        if files and lines is None:
            # A union, even with no rows, makes DuckDB read columns that the query does not need.
            return files
        tail = engine.typed_rows(table, lines, engine.LATEST)
        self._run(f"CREATE TEMP TABLE tail_{table.name} AS {tail}")
        rows = f"SELECT * FROM tail_{table.name}"  # noqa: S608 - declared names
        return f"{files} UNION ALL BY NAME {rows}" if files else rows

    def _make_old(self, kind: str) -> bool:
        """Create the table of the outdated refs of a kind; return False if there are none."""
        snapshot, name = self._snapshot, f"old_{kind}"
        files = snapshot.old.get(kind, ())
        tail = snapshot.tail.paths.get(CHANGES)
        if not files and tail is None:
            return False
        if name not in self._made:
            self._made.add(name)
            parts = []
            if files:
                full = [snapshot.location.full(path) for path in files]
                parts.append(engine.changed_refs(full))
            if tail is not None:
                parts.append(
                    f"SELECT ref, {engine.LATEST} AS sequence "  # noqa: S608
                    f"FROM read_json({literal(str(tail))}, format = 'newline_delimited', "
                    f"columns = {{kind: 'VARCHAR', ref: 'UUID'}}) "
                    f"WHERE kind = {literal(kind)}"
                )
            every = " UNION ALL ".join(parts)
            self._run(
                f"CREATE TEMP TABLE {name} AS "  # noqa: S608
                f"SELECT ref, max(sequence) AS sequence FROM ({every}) GROUP BY ref"
            )
        return True

    def _run(self, sql: str) -> None:
        self.connection.execute(sql)
