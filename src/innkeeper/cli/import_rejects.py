"""Refused records of `innkeeper import`: as JSON lines, as the table they came from, by reason."""

import json
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from innkeeper.rules.batch import Failure
    from innkeeper.wire.bulk.batch_files import Layout
    from innkeeper.wire.bulk.rejected_rows import ReasonCounts, Refusal

_PAGE: Final = 1000
_TABLES: Final = ("csv", "parquet", "spreadsheet")
_SHOWN: Final = 10
"""Most reasons that a command prints."""


class RejectsFile:
    """A file of failed records, created with the first of them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: IO[bytes] | None = None

    def __enter__(self) -> "RejectsFile":
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()
            print(f"innkeeper: failed records are in {self.path}", file=sys.stderr)

    def add(self, failure: "Failure") -> None:
        """Append one failed record."""
        from innkeeper.wire.json_text import encode

        if self._file is None:
            self._file = self.path.open("wb")
        line: dict[str, Any] = {
            "line": failure.line,
            "ref": failure.ref,
            "code": failure.fault.code,
            "message": failure.fault.message,
            "errors": list(failure.fault.errors),
        }
        self._file.write(encode(line) + b"\n")


def report_rejects(
    rejects: Path, layout: "Layout", path: Path, *, quiet: bool
) -> list[dict[str, Any]]:
    """Return the reasons of failed records with their counts; print them unless `quiet`.

    Of a table, its refused rows are also written as CSV with the reason, to be corrected and
    imported again.
    """
    from innkeeper.wire.bulk.rejected_rows import ReasonCounts

    counts = ReasonCounts()
    if layout.form is not None and layout.form.format in _TABLES:
        counts = _write_rows(rejects, layout, path)
    else:
        for refusal in _refusals(rejects):
            counts.add(refusal, {}, None)
    reasons = counts.listed()
    if not quiet:
        for one in reasons[:_SHOWN]:
            example = f"line {one['line']}" + (f": {one['value']}" if "value" in one else "")
            print(f"  {one['count']} × {one['reason']} ({example[:200]})", file=sys.stderr)
        if len(reasons) > _SHOWN:
            print(f"  and {len(reasons) - _SHOWN} more reasons", file=sys.stderr)
    return reasons


def _write_rows(rejects: Path, layout: "Layout", path: Path) -> "ReasonCounts":
    from innkeeper.wire.bulk.rejected_rows import RejectedRowsWriter

    table = rejects.with_suffix(".csv") if rejects.suffix == ".ndjson" else Path(f"{rejects}.csv")
    columns = layout.column_names(path)
    with layout.opened(path) as source, table.open("w", newline="", encoding="utf-8") as out:
        writer = RejectedRowsWriter(layout, columns, source, out)
        writer.write_header()
        refusals = _refusals(rejects)
        while page := list(islice(refusals, _PAGE)):
            writer.write(page)
    print(f"innkeeper: their rows, with the reason, are in {table}", file=sys.stderr)
    return writer.counts


def _refusals(rejects: Path) -> Iterator["Refusal"]:
    """The lines and reasons of a file of failed records."""
    with rejects.open("rb") as file:
        for text in file:
            failure = json.loads(text)
            yield failure["line"], failure["errors"] or [failure["message"]]
