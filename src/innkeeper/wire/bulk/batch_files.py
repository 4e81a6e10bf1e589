"""Files of records: how the file of a batch or import is read into entries."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, Final

from innkeeper.actions.bulk.engine import CHUNK
from innkeeper.errors import OperatorError
from innkeeper.rules import batch as rules
from innkeeper.rules.batch import BatchRecord, Operation, RecordRejected
from innkeeper.rules.spreadsheets import unguarded
from innkeeper.store.readers import (
    Chunk,
    check_gzip,
    chunks,
    expanded,
    is_gzip,
    lines,
    unzipped,
)
from innkeeper.store.tables import csv_rows, parquet_columns, parquet_rows
from innkeeper.wire.bulk import batch_records
from innkeeper.wire.bulk.damage import refuse_damaged
from innkeeper.wire.bulk.mapping import ColumnMapping, Unfit, by_name, mapping_of

FORMATS: Final = ("ndjson", "csv", "parquet")
ENDINGS: Final[Mapping[str, str]] = {
    **dict.fromkeys((".ndjson", ".jsonl", ".json"), "ndjson"),
    **dict.fromkeys((".csv", ".tsv", ".txt"), "csv"),
    **dict.fromkeys((".parquet", ".pq"), "parquet"),
}
READERS: Final[Mapping[str, Callable[[dict[str, Any]], Operation]]] = {
    "guests": refuse_damaged(batch_records.own_guest),
    "orders": refuse_damaged(batch_records.any_order),
    "events": refuse_damaged(batch_records.event),
}
"""What reads the values of an import."""


@dataclass(frozen=True, slots=True)
class Layout:
    """How a file of records is made."""

    holds: str
    format: str = "ndjson"
    compressed: bool = True
    """What the sender says; only of a batch it is believed (batch-api.md 4 and 6)."""
    mapping: ColumnMapping | None = None
    tracking: bool = False
    """Whether a batch may hold records of the schema `tracking`."""

    @classmethod
    def of(cls, batch: Mapping[str, Any], *, tracking: bool) -> "Layout":
        """The layout that is kept with a batch or import."""
        about, holds = batch["about"], batch["holds"]
        if holds == "batch":
            return cls(holds, tracking=tracking)
        columns = about.get("mapping")
        mapping = None if columns is None else mapping_of(holds, columns)
        return cls(holds, about["format"], about["compressed"], mapping)

    def about(self) -> dict[str, Any]:
        """What is kept with an import."""
        return {
            "format": self.format,
            "compressed": self.compressed,
            "mapping": None if self.mapping is None else self.mapping.plain(),
        }

    def check(self, path: Path, most: int) -> None:
        """Read a compressed file to its end; raises `Unreadable`, also past `most` bytes."""
        if self.format == "parquet":
            return
        with path.open("rb") as stream:
            if self.holds == "batch" or is_gzip(stream):
                check_gzip(stream, most)

    @contextmanager
    def opened(self, path: Path) -> Iterator[IO[bytes] | Path]:
        """A file as `chunks` takes it."""
        if self.format == "parquet":
            yield path
            return
        with path.open("rb") as stream:
            yield stream

    def chunks(self, source: IO[bytes] | Path, after: int = 0) -> Iterator[Chunk[BatchRecord]]:
        """The records past a line or row, a Parquet file's from its path; raises `Unreadable`
        while it is read, OperatorError for columns that nothing maps."""
        if self.format == "parquet":
            if not isinstance(source, Path):
                raise OperatorError("A Parquet file is read from a path, not from a stream.")
            return self._parquet(source, after)
        if isinstance(source, Path):
            raise OperatorError("Only Parquet files are read from a path.")
        stream = unzipped(source) if self.holds == "batch" else expanded(source)
        if self.format == "csv":
            return self._csv(stream, after)
        return chunks(lines(stream, after), self.entry, CHUNK)

    def entry(self, number: int, text: bytes) -> BatchRecord:
        """The record of a line of JSON."""
        if self.holds == "batch":
            return batch_records.entry(number, text, tracking=self.tracking)
        return self._line(number, text)

    def _csv(self, stream: IO[bytes], after: int) -> Iterator[Chunk[BatchRecord]]:
        given = self.mapping
        options = (
            {} if given is None else {"encoding": given.encoding, "delimiter": given.delimiter}
        )
        mapping = given

        def read(number: int, row: dict[str, Any]) -> BatchRecord:
            nonlocal mapping
            if mapping is None or not (mapping.columns or mapping.constants):
                named = by_name(self.holds, row)
                mapping = replace(mapping, columns=named.columns) if mapping else named
            if mapping.guarded:
                row = {n: unguarded(cell) if n else cell for n, cell in row.items()}
            if row.get(""):
                return BatchRecord(
                    number, None, rules.invalid("row: has more cells than the header")
                )
            return self._mapped(number, row, mapping)

        return chunks(csv_rows(stream, after, **options), read, CHUNK)

    def _parquet(self, path: Path, after: int) -> Iterator[Chunk[BatchRecord]]:
        mapping = self.mapping or by_name(self.holds, parquet_columns(path))

        def read(number: int, text: bytes) -> BatchRecord:
            row = batch_records.json_value(text)
            return self._mapped(number, row, mapping)

        return chunks(parquet_rows(path, after), read, CHUNK)

    def _mapped(self, number: int, row: Mapping[str, Any], mapping: ColumnMapping) -> BatchRecord:
        try:
            value = mapping.value(self.holds, row)
        except Unfit as unfit:
            return BatchRecord(number, None, rules.invalid(str(unfit)))
        read = batch_records.order_row if mapping.is_of_lines else READERS[self.holds]
        return batch_records.entry_of(number, value, read)

    def _line(self, number: int, text: bytes) -> BatchRecord:
        """A line that holds a value alone, or one in a batch's envelope."""
        try:
            value = batch_records.json_of(text)
        except RecordRejected as refused:
            return BatchRecord(number, None, refused.fault)
        if "schema" in value and "value" in value:
            return batch_records.entry(number, text, tracking=True, imported=True)
        if self.mapping is not None:
            return self._mapped(number, value, self.mapping)
        return batch_records.entry_of(number, value, READERS[self.holds])


def guessed_format(name: str) -> tuple[str | None, bool]:
    """The format that a file's name tells, and whether it is gzip."""
    path = Path(name.lower())
    compressed = path.suffix == ".gz"
    return ENDINGS.get(Path(path.stem).suffix if compressed else path.suffix), compressed
