"""DuckDB in this process: one instance, one connection for each query."""

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from innkeeper.errors import Unavailable
from innkeeper.lake.tables import JSON, REF, SEQUENCE, LakeColumn, LakeTable
from innkeeper.settings import Settings
from innkeeper.store.files import Files
from innkeeper.store.parquet_types import literal, quoted
from innkeeper.store.temp_files import named

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection as Connection

LATEST: Final = 2**62
"""Sequence of rows that are not flushed yet: later than that of every file."""

_ONE_THREAD: Final = 256
"""Megabytes below which maintenance uses one thread, since each thread has its own buffers."""
_OBJECT_BYTES: Final = 16 * 1024 * 1024
"""Length of the longest line of JSON that is read; a reader's buffers are twice as large."""

Result = TypeVar("Result")

_instances: dict[tuple[int, str], "Connection"] = {}
_making = threading.Lock()


def instance(settings: Settings, lake_files: Files, *, upkeep: bool = False) -> "Connection":
    """Return this process's DuckDB for queries, or the small one for maintenance; created on first
    use."""
    import duckdb  # noqa: PLC0415 - 43 MB that an idle process does not spend

    megabytes = settings.lake_maintenance_mb if upkeep else settings.lake_memory_mb
    threads = 1 if upkeep and megabytes < _ONE_THREAD else os.cpu_count() or 1
    key = (megabytes, lake_files.address)
    spill = str(named(settings, f"lake-{megabytes}"))
    with _making:
        database = _instances.get(key)
        if database is None:
            database = duckdb.connect(
                config={
                    "memory_limit": f"{megabytes}MB",
                    "threads": threads,
                    # The default is the working directory.
                    "temp_directory": spill,
                    "autoinstall_known_extensions": "false",
                    "autoload_known_extensions": "false",
                }
            )
            database.execute("SET parquet_metadata_cache = true")
            if not lake_files.is_local:
                database.register_filesystem(lake_files.filesystem)
            _instances[key] = database
    return database


@contextmanager
def connected(
    settings: Settings, lake_files: Files, *, upkeep: bool = False
) -> Iterator["Connection"]:
    """Open a connection with its own temporary tables; with `upkeep` it has little memory."""
    connection = instance(settings, lake_files, upkeep=upkeep).cursor()
    try:
        connection.execute("SET TimeZone = 'UTC'")
        yield connection
    finally:
        connection.close()


def run_maintenance(
    settings: Settings, lake_files: Files, act: "Callable[[Connection], Result]"
) -> Result:
    """Run maintenance with little memory, which a flush and a compaction at the same time share;
    `act` runs again once the others have ended, or with the memory of a query if long records need
    it."""
    import duckdb  # noqa: PLC0415 - 43 MB that an idle process does not spend

    for _ in range(2):
        with _counted() as turn:
            try:
                with connected(settings, lake_files, upkeep=True) as connection:
                    return act(connection)
            except duckdb.OutOfMemoryException:
                pass
        with _maintenance_ended:
            if not turn.is_shared or not _maintenance_ended.wait_for(_is_idle, _WAIT_SECONDS):
                break
    with connected(settings, lake_files) as connection:
        return act(connection)


class _Turn:
    """Maintenance of this process that runs."""

    is_shared = False
    """Whether other maintenance ran at some time meanwhile."""


_running: Final[set[_Turn]] = set()
_maintenance_ended: Final = threading.Condition()
_WAIT_SECONDS: Final = 60.0


@contextmanager
def _counted() -> Iterator[_Turn]:
    """Count maintenance as running until the context ends."""
    turn = _Turn()
    with _maintenance_ended:
        _running.add(turn)
        for each in _running if len(_running) > 1 else ():
            each.is_shared = True
    try:
        yield turn
    finally:
        with _maintenance_ended:
            _running.remove(turn)
            _maintenance_ended.notify_all()


def _is_idle() -> bool:
    return not _running


@contextmanager
def limited(connection: "Connection", seconds: float) -> Iterator[None]:
    """Interrupt a query after a time; raises `Unavailable` then, and if files cannot be reached."""
    import duckdb  # noqa: PLC0415

    timer = threading.Timer(seconds, connection.interrupt)
    timer.daemon = True
    timer.start()
    try:
        yield
    except duckdb.InterruptException as error:
        raise Unavailable(f"The query took longer than {seconds:g} seconds.") from error
    except duckdb.Error as error:
        # Errors of object storage have no kind of their own.
        if type(error) is duckdb.Error or isinstance(error, duckdb.IOException):
            raise Unavailable("The lake's files cannot be reached.") from error
        raise
    finally:
        timer.cancel()


def listed(paths: Sequence[str]) -> str:
    """Write a list of strings as SQL."""
    return "[" + ", ".join(map(literal, paths)) + "]"


def typed_rows(table: LakeTable, lines: Path | None, sequence: int) -> str:
    """SELECT a table's rows from files of lines of JSON; no rows without files.

    A value that does not fit its type becomes null: one odd value must not stop a flush.
    """
    columns = [*table.columns, SEQUENCE]
    if lines is None:
        nulls = (f"NULL::{column.type} AS {quoted(column.name)}" for column in columns)
        return f"SELECT {', '.join(nulls)} WHERE false"
    members = dict.fromkeys(
        "body" if column.field else column.member or column.name for column in table.columns
    )
    shape = ", ".join(
        f"{quoted(member)}: '{JSON if member in ('body', 'custom') else 'VARCHAR'}'"
        for member in members
    )
    fields = [column.field for column in table.columns if column.field]
    values = [f"{_value(column, fields)} AS {quoted(column.name)}" for column in table.columns]
    values.append(f"{sequence}::{SEQUENCE.type} AS {SEQUENCE.name}")
    return (
        f"SELECT {', '.join(values)} FROM (SELECT *{_extracted(fields)} "  # noqa: S608
        f"FROM read_json({literal(str(lines))}, format = 'newline_delimited', "
        f"columns = {{{shape}}}, maximum_object_size = {_OBJECT_BYTES}))"
    )


def file_rows(connection: "Connection", table: LakeTable, paths: Sequence[str]) -> str:
    """SELECT the rows of files with every declared column: null where files lack it, cast where
    files of an earlier version have another type."""
    files = f"read_parquet({listed(paths)}, union_by_name = true)"
    described = connection.execute(f"DESCRIBE SELECT * FROM {files}").fetchall()  # noqa: S608
    types = {name: kind for name, kind, *_ in described}

    def value(column: LakeColumn) -> str:
        if column.name not in types:
            return f"NULL::{column.type} AS {column.name}"
        if column.type != REF or types[column.name] == REF:
            return column.name
        return f"TRY_CAST({column.name} AS {REF}) AS {column.name}"

    return f"SELECT {', '.join(map(value, (*table.columns, SEQUENCE)))} FROM {files}"  # noqa: S608


def changed_refs(paths: Sequence[str]) -> str:
    """SELECT (ref, sequence) of the files of outdated refs, which were text in earlier versions."""
    files = f"read_parquet({listed(paths)}, union_by_name = true)"
    return f"SELECT ref::{REF} AS ref, lake_sequence AS sequence FROM {files}"  # noqa: S608


def merged_rows(lines: Path | None) -> str:
    """SELECT the merges (guest, survivor) from files of lines of JSON."""
    if lines is None:
        return f"SELECT NULL::{REF} AS ref, NULL::{REF} AS survivor_ref WHERE false"
    return (
        f"SELECT ref, survivor_ref FROM read_json({literal(str(lines))}, "  # noqa: S608
        "format = 'newline_delimited', columns = {ref: 'UUID', survivor_ref: 'UUID'})"
    )


def _value(column: LakeColumn, fields: Sequence[str]) -> str:
    if not column.field:
        source = quoted(column.member or column.name)
        return source if column.type == JSON else f"TRY_CAST({source} AS {column.type})"
    number = fields.index(column.field) + 1
    if column.type == JSON:
        return f"parts[{number}]"
    whole = column.type.endswith("[]")
    return f"TRY_CAST({'parts' if whole else 'texts'}[{number}] AS {column.type})"


def _extracted(fields: Sequence[str]) -> str:
    """All fields of a body, as JSON and as text, parsed by two readers.

    One expression per field would keep one parsed body each: a gigabyte for long records.
    """
    if not fields:
        return ""
    paths = ", ".join(literal(f"$.{quoted(field)}") for field in fields)
    parts, texts = (f"{what}(body, [{paths}])" for what in ("json_extract", "json_extract_string"))
    return f", {parts} AS parts, {texts} AS texts"
