"""Detect the format of a file by its content: compression, format, encoding and dialect.

This is the only place that decides it. Choices of the caller (a mapping's `encoding`, `delimiter`
and `header`) are not detected; a file's name decides only between formats that look alike.
"""

import codecs
import io
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final, cast

from innkeeper.store.csv_dialect import CsvDialect, find_dialect
from innkeeper.store.encodings import decide_encoding, encoding_of_head
from innkeeper.store.readers import (
    MAX_LINE,
    Unreadable,
    check_length,
    compression_of,
    expanded,
    readable,
)

SAMPLE_BYTES: Final = 1 << 20
"""Number of bytes at the start of the content that decide format and dialect."""
_NESTED_ARRAY: Final = re.compile(rb"^\s*\[\s*[{\]]")
_OBJECT: Final = re.compile(rb"^\s*\{\s*[\"}]")
_WHOLE_OBJECT_LINE: Final = re.compile(rb"^\s*\{.*\}\s*$", re.S)
_PAGE: Final = re.compile(r"^\s*<(?:!doctype|html|head|\?xml|[a-z]+[ >])", re.I)
_CUT_OFF: Final = "it is a damaged zip or XLSX file: it was cut off. Download or copy it again"
_DUMP: Final = re.compile(
    r"(?:--\r?\n)?-- \w+ (?:database )?dump|(?:CREATE|DROP) TABLE |INSERT INTO |/\*!", re.I
)
_TEXTS: Final = (
    (re.compile("BEGIN:VCARD", re.I), "it is a vCard file. Export the contacts as CSV"),
    (re.compile("BEGIN:VCALENDAR", re.I), "it is a calendar, not a table. Export the table as CSV"),
    (re.compile(r"\{\\rtf"), "it is an RTF document, not a table. Export the table as CSV or XLSX"),
    (_DUMP, "it is a dump of a database. Export the table as CSV"),
)
"""Texts that are no tables, and what to do."""
_REFUSED: Final = (
    (b"%PDF", "it is a PDF document, not a table. Export the table as CSV or XLSX"),
    (b"SQLite format 3", "it is an SQLite database. Export the table as CSV"),
    (b"Rar!", "it is an archive. Unpack it, and import the file inside"),
    (b"7z\xbc\xaf", "it is an archive. Unpack it, and import the file inside"),
    (b"BZh", "it is compressed by bzip2. Unpack it, or compress it as gzip or zstd"),
    (b"\xfd7zXZ", "it is compressed by xz. Unpack it, or compress it as gzip or zstd"),
)


@dataclass(frozen=True, slots=True)
class Choices:
    """The caller's choices for a file; empty values are detected."""

    format: str = ""
    """The format by the file's name or option, for content that does not show one."""
    encoding: str = ""
    delimiter: str = ""
    header_line: int = 0


@dataclass(frozen=True, slots=True)
class FileForm:
    """The detected form of a file."""

    format: str = "ndjson"
    """ndjson, json (an array, or values over several lines), csv, parquet or spreadsheet."""
    compression: str = ""
    encoding: str = "utf-8"
    dialect: CsvDialect = field(default_factory=CsvDialect)
    notes: tuple[str, ...] = ()
    """Sentences for the person who imports the file, about decisions that may be wrong."""


def form_of_head(head: bytes, choices: Choices) -> FileForm:
    """Return the form of a text by its first bytes, decompressed; raises `Unreadable`."""
    if not head.strip():
        raise Unreadable("it is empty")
    for start, reason in _REFUSED:
        if head.startswith(start):
            raise Unreadable(reason)
    encoding = choices.encoding or encoding_of_head(head)
    text = _decoded(head, encoding)
    plain = text.lstrip("\ufeff")
    if _PAGE.match(plain):
        raise Unreadable(
            "it is a web page or XML, not a table. The download may have needed a log-in: "
            "download it again, and look at it before you import it"
        )
    for pattern, reason in _TEXTS:
        if pattern.match(plain):
            raise Unreadable(reason)
    form = _text_format(plain.encode(), choices.format)
    if form != "csv":
        return FileForm(form, encoding=encoding)
    lines = plain.splitlines(keepends=True) if "\r" not in plain else _lines(plain)
    if len(head) >= SAMPLE_BYTES and len(lines) > 1:
        del lines[-1]
    dialect = find_dialect(lines, choices.delimiter, choices.header_line)
    header = lines[dialect.header_line - 1]
    if not choices.delimiter and dialect.delimiter not in header and "  " in header.strip():
        raise Unreadable(f"line {dialect.header_line}: spaces separate the columns. Save it as CSV")
    note = dialect.note()
    return FileForm("csv", "", encoding, dialect, (note,) if note else ())


def form_of_stream(stream: IO[bytes], choices: Choices) -> FileForm:
    """Detect the form of a seekable text by its start, which is not consumed; raises like
    `form_of_head`."""
    position = stream.tell()
    with readable():
        head = expanded(stream).read(SAMPLE_BYTES)
    stream.seek(position)
    return form_of_head(head, choices)


def as_utf8(stream: IO[bytes], encoding: str) -> IO[bytes]:
    """Return a text of another encoding as UTF-8."""
    recoder = codecs.getreader(encoding)(stream)
    pieces = iter(lambda: recoder.read(SAMPLE_BYTES, SAMPLE_BYTES).encode(), b"")
    return cast(IO[bytes], io.BufferedReader(_Pieces(pieces), SAMPLE_BYTES))


class _Pieces(io.RawIOBase):
    """A readable stream over an iterator of bytes."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces, self._left = pieces, memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._left:
            self._left = memoryview(next(self._pieces, b""))
        size = min(len(buffer), len(self._left))
        buffer[:size] = self._left[:size]
        self._left = self._left[size:]
        return size


def form_of_file(path: Path, choices: Choices, most: int = 0, budget: int = 0) -> FileForm:
    """Detect the form of a file. A text is decoded to its end, or for `budget` bytes.

    Raises `Unreadable`, also for more than `most` bytes of content, and FileNotFoundError.
    """
    with path.open("rb") as raw:
        start = raw.read(8)
        if not start:
            raise Unreadable("it is empty")
        if start.startswith(b"PAR1"):
            return FileForm("parquet")
        if start.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
            return FileForm(_packed_format(path, start))
        if choices.format == "parquet":
            raise Unreadable("it is not a Parquet file")
        raw.seek(0)
        compression = compression_of(raw)
        with readable():
            head = expanded(raw).read(SAMPLE_BYTES)
        form = form_of_head(head, choices)
        raw.seek(0)
        encoding, note = form.encoding, ""
        if form.format == "ndjson" and encoding == "utf-8":
            # Lines of JSON are decoded one by one: a bad one is refused alone.
            for _ in _all_lines(raw, most if compression else 0, budget):
                pass
        else:
            chosen = bool(choices.encoding)
            lines = _all_lines(raw, most, budget)
            encoding, note = decide_encoding(lines, encoding, is_chosen=chosen, is_whole=not budget)
    notes = (*form.notes, note) if note else form.notes
    return FileForm(form.format, compression, encoding, form.dialect, notes)


def _all_lines(raw: IO[bytes], most: int, budget: int) -> Iterator[bytes]:
    """Yield the content by line, long lines in pieces; raises `Unreadable` after `most` bytes.

    With a `budget` it ends after that many bytes.
    """
    size = 0
    stream = io.BufferedReader(RawStream(expanded(raw)), 1 << 20)
    with readable():
        while line := stream.readline(MAX_LINE):
            size += len(line)
            check_length(size, most)
            yield line
            if 0 < budget < size:
                return


def _lines(text: str) -> list[str]:
    """Split lines as a CSV reader does, at \\n, \\r and \\r\\n only."""
    return io.StringIO(text, newline="").readlines()


def _decoded(head: bytes, encoding: str) -> str:
    try:
        return head.decode(encoding, "replace")
    except UnicodeError as error:
        raise Unreadable(f"line 1: is not valid {encoding}") from error


def _text_format(start: bytes, hint: str) -> str:
    if _NESTED_ARRAY.match(start):
        return "json"
    if _OBJECT.match(start):
        first, end, _ = start.lstrip().partition(b"\n")
        return "json" if end and not _WHOLE_OBJECT_LINE.match(first) else "ndjson"
    return "ndjson" if hint == "ndjson" else "csv"


def _packed_format(path: Path, start: bytes) -> str:
    if not start.startswith(b"PK"):
        return "spreadsheet"
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, NotImplementedError) as error:
        raise Unreadable(_CUT_OFF) from error
    if any(name.startswith("xl/") for name in names) or "content.xml" in names:
        return "spreadsheet"
    raise Unreadable("it is a zip archive. Unpack it, and import the file inside")


class RawStream(io.RawIOBase):
    """Wrap a stream that may not be seekable for `BufferedReader`."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        piece = self._stream.read(len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)
