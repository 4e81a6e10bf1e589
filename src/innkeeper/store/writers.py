"""Write records to files in constant memory: NDJSON, CSV, Parquet; plain, gzip or zstd."""

import csv
import io
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final

import msgspec

from innkeeper.store.readers import ZSTD, zstd

Put = Callable[[Sequence[Mapping[str, Any]]], None]
"""Writes some records: values as JSON has them."""

_encode: Final = msgspec.json.Encoder(decimal_format="number").encode
_MEMORY: Final = "256MB"


@contextmanager
def writer(
    form: str,
    stream: IO[bytes],
    columns: Mapping[str, str],
    *,
    compression: str,
    mark: Callable[[str], str] = str,
    label: Callable[[str, str], str] = lambda name, _: name,
) -> Iterator[Put]:
    """A writer of records to a stream in one format.

    `compression` is gzip, zstd or an empty text. `columns` are those of CSV and Parquet, each with
    its SQL type. `mark` converts a text to a CSV cell, `label` gives the name of a column with its
    type. Columns of the type JSON contain JSON in their cells, and have such names in Parquet too.
    """
    if form == "parquet":
        with _parquet(stream, columns, label) as put:
            yield put
        return
    with _compressed(stream, compression) as out:
        yield _ndjson(out) if form == "ndjson" else _csv(out, columns, mark, label)
        out.flush()


@contextmanager
def _compressed(stream: IO[bytes], compression: str) -> Iterator[Any]:
    if not compression:
        yield stream
        return
    opener: Any
    if compression == ZSTD:
        opener = zstd().ZstdFile
    else:
        from isal import igzip  # noqa: PLC0415 - most processes write no files

        opener = igzip.open
    with opener(stream, "wb") as out:
        yield out


def _ndjson(out: IO[bytes]) -> Put:
    def put(records: Sequence[Mapping[str, Any]]) -> None:
        out.write(b"".join(_encode(record) + b"\n" for record in records))

    return put


def _csv(
    out: IO[bytes],
    columns: Mapping[str, str],
    mark: Callable[[str], str],
    label: Callable[[str, str], str],
) -> Put:
    buffer = io.StringIO()
    rows = csv.writer(buffer)
    rows.writerow([label(name, kind) for name, kind in columns.items()])

    def cell_of(value: Any, kind: str) -> str:
        if kind == "JSON" and value is not None:
            return _encode(value).decode()
        return mark(value) if isinstance(value, str) else _cell(value)

    def put(records: Sequence[Mapping[str, Any]]) -> None:
        for record in records:
            rows.writerow([cell_of(record.get(name), kind) for name, kind in columns.items()])
        out.write(buffer.getvalue().encode())
        buffer.seek(0)
        buffer.truncate()

    put([])
    return put


def _cell(value: Any) -> str:
    if value is None:
        return ""
    # UUIDs and instants are strings in JSON.
    text = value if isinstance(value, str) else _encode(value).decode()
    return text[1:-1] if text is not value and text[:1] == '"' else text


@contextmanager
def _parquet(
    stream: IO[bytes], columns: Mapping[str, str], label: Callable[[str, str], str]
) -> Iterator[Put]:
    # Imported here since it is slow to import, and most processes do not need it.
    import duckdb  # noqa: PLC0415

    # Parquet has types of its own, but none for values of several types.
    names = {name: label(name, kind) if kind == "JSON" else name for name, kind in columns.items()}
    types = {names[name]: kind.replace("JSON", "VARCHAR") for name, kind in columns.items()}
    with tempfile.TemporaryDirectory(prefix="innkeeper-") as folder:
        lines, written = Path(folder, "rows.ndjson"), Path(folder, "rows.parquet")
        with lines.open("wb") as out:

            def put(records: Sequence[Mapping[str, Any]]) -> None:
                out.write(
                    b"".join(_encode(_flat(record, columns, names)) + b"\n" for record in records)
                )

            yield put
        with duckdb.connect(config={"memory_limit": _MEMORY, "threads": 1}) as connection:
            connection.execute("SET preserve_insertion_order = true")
            source = connection.read_json(str(lines), columns=types, format="newline_delimited")
            source.write_parquet(str(written), compression="zstd")
        with written.open("rb") as finished:
            while piece := finished.read(1 << 20):
                stream.write(piece)
        os.truncate(lines, 0)


def _flat(
    record: Mapping[str, Any], columns: Mapping[str, str], names: Mapping[str, str]
) -> dict[str, Any]:
    """A record by column name, with its lists, objects and values of mixed types as text."""
    return {
        names[name]: _encode(value).decode()
        if columns[name] == "JSON"
        else _cell(value)
        if isinstance(value, list | dict)
        else value
        for name, value in record.items()
        if name in columns
    }
