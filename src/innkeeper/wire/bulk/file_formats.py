"""Formats of files of records, by name, and how much of a file is examined."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from innkeeper.store.readers import GZIP, ZSTD

FORMATS: Final = ("ndjson", "csv", "parquet")
ENDINGS: Final[Mapping[str, str]] = {
    **dict.fromkeys((".ndjson", ".jsonl", ".json"), "ndjson"),
    **dict.fromkeys((".csv", ".tsv", ".txt"), "csv"),
    **dict.fromkeys((".parquet", ".pq"), "parquet"),
    **dict.fromkeys((".xlsx", ".xlsm", ".xlsb", ".xls", ".ods"), "spreadsheet"),
}
TABLES: Final = ("csv", "parquet", "spreadsheet")
PACKED: Final = ("parquet", "spreadsheet")
"""Formats that are read from a path, not from a stream."""
IMPORT_FORMATS: Final = (*FORMATS, "spreadsheet")
MOST_EXPANSION: Final = 100
"""Largest size of a decompressed file, as a multiple of the largest upload."""


@dataclass(frozen=True, slots=True)
class LookLimit:
    """Limits of the examined part of a file; 0 for none."""

    rows: int = 0
    size: int = 0
    """Bytes of text, decompressed."""


WHOLE_FILE: Final = LookLimit()
FIRST_LOOK: Final = LookLimit(rows=20_000, size=8 << 20)
"""The part of a file that is examined to suggest a mapping; an import reads the whole file
first."""


def guessed_format(name: str) -> tuple[str | None, bool]:
    """Return the format that a file's name shows, and whether the file is compressed."""
    path, compressed = Path(name.lower()), bool(guessed_compression(name))
    return ENDINGS.get(Path(path.stem).suffix if compressed else path.suffix), compressed


def guessed_compression(name: str) -> str:
    """Return the compression that a file's name shows: gzip, zstd or an empty text."""
    return {".gz": GZIP, ".zst": ZSTD, ".zstd": ZSTD}.get(Path(name.lower()).suffix, "")
