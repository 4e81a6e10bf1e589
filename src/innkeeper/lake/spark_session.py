"""A snapshot of the lake as views of Spark, with the same results as DuckDB.

Spark reads only Parquet files in the lake's storage, which its workers can reach: the tail is
written there as by a flush, and a result is written there as well. DuckDB then reads the result, so
that its types are those of a DuckDB query.
"""

from collections.abc import Collection, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from innkeeper.lake import duckdb as engine
from innkeeper.lake import spark
from innkeeper.lake.change_feed import MERGED, Lines
from innkeeper.lake.duckdb_session import DuckSession
from innkeeper.lake.flush import write_lines, write_rows
from innkeeper.lake.spark_dialect import LakeSpark
from innkeeper.lake.tables import CHANGES, REF, SEQUENCE, LakeColumn, LakeTable
from innkeeper.lake.views import closure, view_sql
from innkeeper.store.parquet_types import quoted

if TYPE_CHECKING:
    from sqlglot import exp

    from innkeeper.lake.session import Form, Snapshot

SCRATCH: Final = "scratch"
_REF: Final = LakeColumn("ref", REF)


class SparkQuestions:
    """One session with views over files and tail; its temporary files are deleted with it."""

    def __init__(self, snapshot: "Snapshot") -> None:
        self._snapshot = snapshot
        self._place = snapshot.location
        self._scratch = f"{SCRATCH}/{uuid4().hex}"
        self._spark = spark.session(snapshot.settings)
        # It has no rows of the lake: it provides types, and reads results.
        nothing = replace(snapshot, files={}, old={}, tail=Lines(Path()), merged=False)
        self._duck = DuckSession(nothing)
        self._tail: dict[str, list[str]] | None = None
        self._created: set[str] = set()

    def rows(self, question: "exp.Query", seconds: float) -> list[tuple[Any, ...]]:
        return self._duck.fetched(self._answer(question, seconds), seconds)

    def table(self, name: str, column: str, texts: Collection[str]) -> None:
        self._duck.table(name, column, texts)
        self._publish(name, column)

    def load(self, name: str, column: str, path: Path) -> None:
        self._duck.load(name, column, path)
        self._publish(name, column)

    def _publish(self, name: str, column: str) -> None:
        """Make a table of DuckDB with one column readable for Spark."""
        path = f"{self._folder()}/{uuid4().hex}.parquet"
        write_rows(self._duck.connection, self._place, path, f"SELECT * FROM {name}")  # noqa: S608
        self._view(name, [path], (LakeColumn(column, REF),))

    def copy(self, question: "exp.Query", path: Path, form: "Form", seconds: float) -> int:
        return self._duck.copied(self._answer(question, seconds), path, form, seconds)

    def batches(
        self, question: "exp.Query", size: int, seconds: float
    ) -> Iterator[list[tuple[Any, ...]]]:
        return self._duck.fetched_in_batches(self._answer(question, seconds), size, seconds)

    def interrupt(self) -> None:
        self._duck.interrupt()

    def close(self) -> None:
        self._duck.close()
        self._place.remove_folder(self._folder())

    def _folder(self) -> str:
        return f"{self._snapshot.workspace}/{self._scratch}"

    def _answer(self, question: "exp.Query", seconds: float) -> str:
        """Run a query in Spark; return a SELECT for DuckDB that reads the result in its order."""
        from sqlglot import exp  # noqa: PLC0415

        for table in closure(each.name for each in question.find_all(exp.Table)):
            self._make(table)
        columns = self._duck.described(question)
        path = f"{self._folder()}/{uuid4().hex}"
        with spark.Limit(self._spark, seconds):
            frame = self._spark.sql(question.sql(dialect=LakeSpark))
            frame = frame.toDF(*(f"c{number}" for number in range(len(columns))))
            # A column with only nulls has no type that a file can store.
            frame = frame.selectExpr(
                *(
                    f"CAST({name} AS STRING) AS {name}" if kind == "void" else name
                    for name, kind in frame.dtypes
                )
            )
            frame.write.parquet(spark.address(self._place.full(path)))
        parts = sorted(part for part, _ in self._place.listed(path) if part.endswith(".parquet"))
        typed = ", ".join(
            f"CAST(c{number} AS {kind}) AS {quoted(name)}"
            for number, (name, kind) in enumerate(columns)
        )
        full = [self._place.full(part) for part in parts]
        return f"SELECT {typed} FROM read_parquet({engine.listed(full)})"  # noqa: S608

    def _make(self, table: LakeTable) -> None:
        if table.name in self._created:
            return
        self._created.add(table.name)
        snapshot, tail = self._snapshot, self._written_tail()
        files = [*snapshot.files.get(table.name, ()), *tail.get(table.name, ())]
        self._view(f"rows_{table.name}", files, (*table.columns, SEQUENCE))
        if snapshot.merged and MERGED not in self._created:
            self._created.add(MERGED)
            self._view(MERGED, tail.get(MERGED, ()), (_REF, LakeColumn("survivor_ref", REF)))
        old = [*snapshot.old.get(table.kind, ()), *tail.get(f"{CHANGES}_{table.kind}", ())]
        if old and f"old_{table.kind}" not in self._created:
            self._created.add(f"old_{table.kind}")
            self._view("old", old, (_REF, SEQUENCE))
            latest = "SELECT ref, max(lake_sequence) AS sequence FROM old GROUP BY ref"
            self._spark.sql(latest).createOrReplaceTempView(f"old_{table.kind}")
        text = view_sql(table, old=bool(old), merged=snapshot.merged)
        self._spark.sql(text).createOrReplaceTempView(table.name)

    def _view(self, name: str, paths: Collection[str], columns: tuple[LakeColumn, ...]) -> None:
        shape = spark.shape(columns)
        if paths:
            full = [spark.address(self._place.full(path)) for path in paths]
            rows = self._spark.read.schema(shape).parquet(*full)
        else:
            rows = self._spark.createDataFrame([], shape)
        rows.selectExpr(*spark.texts(columns)).createOrReplaceTempView(name)

    def _written_tail(self) -> dict[str, list[str]]:
        """Write pending changes as files, with a sequence later than any."""
        if self._tail is None:
            prefix = (self._snapshot.workspace, self._scratch, engine.LATEST)
            lines = self._snapshot.tail
            self._tail = {}
            for file in write_lines(self._duck.connection, self._place, prefix, lines):
                named = f"{CHANGES}_{file.kind}" if file.name == CHANGES else file.name
                self._tail.setdefault(named, []).append(file.path)
        return self._tail
