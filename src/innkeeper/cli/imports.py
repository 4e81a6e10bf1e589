"""`innkeeper import`: records out of files into a workspace."""

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any

import typer

from innkeeper.cli.options import CommandContext, Json, placed
from innkeeper.errors import OperatorError
from innkeeper.rules.spreadsheets import MAPPING_SUFFIX

if TYPE_CHECKING:
    from innkeeper.actions.bulk.outcomes import Outcomes
    from innkeeper.rules.batch import BatchRecord, Failure
    from innkeeper.store.work import Row, Work
    from innkeeper.wire.bulk.batch_files import Layout

STDIN = "-"
SUGGESTED = MAPPING_SUFFIX
REJECTS = ".rejects.ndjson"
_SAMPLE = 200


class What(StrEnum):
    """What a file holds."""

    GUESTS = "guests"
    ORDERS = "orders"
    EVENTS = "events"


@dataclass
class Sum:
    """What became of all records of a command's files."""

    records: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    failed: int = 0
    unreadable: list[str] = field(default_factory=list)
    """Files that were not imported to their end."""

    def summary(self) -> dict[str, Any]:
        return {
            "records": self.records,
            **dict(sorted(self.outcomes.items())),
            "failed": self.failed,
        }


@dataclass(frozen=True)
class ImportOptions:
    """A command as it was given."""

    here: CommandContext
    workspace: str
    what: What
    form: str | None
    mapping: Path | None
    rejects: Path | None
    again: bool
    rehearse: bool
    quiet: bool


Entity = Annotated[What, typer.Argument(help="What the files hold.", show_default=False)]
Paths = Annotated[
    list[str],
    typer.Argument(metavar="FILE…", help="Paths; - is standard input.", show_default=False),
]
MappingFile = Annotated[
    Path | None,
    typer.Option(help="Which column is which field; FILE.mapping.toml when it is there."),
]
Suggest = Annotated[
    bool, typer.Option("--suggest", help="Write FILE.mapping.toml to edit, and import nothing.")
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Check everything and tell what would be done.")
]
RejectsFile = Annotated[
    Path | None,
    typer.Option(help="File for records that fail, with line and reason; FILE.rejects.ndjson."),
]
Form = Annotated[
    str | None,
    typer.Option("--format", help="ndjson, csv or parquet, where the name does not tell."),
]
Restart = Annotated[
    bool, typer.Option("--restart", help="Begin again with a file that was cut off.")
]
Workspace = Annotated[str, typer.Option(help="Workspace to import into.")]


@placed
def import_(
    here: CommandContext,
    what: Entity,
    files: Paths,
    mapping: MappingFile = None,
    suggest: Suggest = False,
    dry_run: DryRun = False,
    rejects: RejectsFile = None,
    form: Form = None,
    again: Restart = False,
    workspace: Workspace = "live",
    json: Json = False,
) -> None:
    """Import guests, orders or events from CSV, NDJSON or Parquet files, plain or gzip.

    A file that was cut off goes on where it stopped when it is imported again.
    """
    from innkeeper.wire.bulk.batch_files import FORMATS

    if form is not None and form not in FORMATS:
        raise OperatorError(f"--format must be one of {', '.join(FORMATS)}.")
    quiet = json or not sys.stderr.isatty()
    asked = ImportOptions(here, workspace, what, form, mapping, rejects, again, dry_run, quiet)
    if suggest:
        for name in files:
            _suggest(asked, name)
        return
    total = _run(asked, files)
    from innkeeper.cli.output import show, table

    if len(total.unreadable) == len(files):
        raise typer.Exit(1)
    if json:
        show(total.summary())
    else:
        table([total.summary()], *total.summary())
    if total.unreadable or total.failed:
        raise typer.Exit(1 if total.unreadable else 2)


def _run(options: ImportOptions, files: Sequence[str]) -> Sum:
    from innkeeper.store.memory import collect_seldom

    total = Sum()

    async def act(work: "Work") -> None:
        collect_seldom()
        for name in files:
            try:
                await _one(work, options, name, total)
            except OperatorError as error:
                # The other files are imported all the same.
                print(f"innkeeper: {error}", file=sys.stderr)
                total.unreadable.append(name)

    options.here.run(options.workspace, act)
    return total


async def _one(work: "Work", options: ImportOptions, name: str, total: Sum) -> None:
    from innkeeper.store.readers import Unreadable

    layout = _layout(options, name)
    with ExitStack() as stack:
        source = stack.enter_context(_opened(name, layout))
        rejects = _rejects(options, name)
        bar = stack.enter_context(_progress(options, name, source))
        try:
            if options.rehearse:
                await _rehearse(work, layout, source, rejects, bar, total)
            else:
                await _apply(work, options, name, layout, source, rejects, bar, total)
        except Unreadable as error:
            raise OperatorError(f"{name} cannot be read: {error}.") from error


async def _apply(
    work: "Work",
    options: ImportOptions,
    name: str,
    layout: "Layout",
    source: IO[bytes] | Path,
    rejects: Path,
    bar: Callable[[int], None],
    total: Sum,
) -> None:
    from innkeeper.actions.bulk import imports
    from innkeeper.store.readers import ahead

    known = _fingerprint(name, layout)
    begun = imports.begun(work, options.what.value, known, layout.about(), again=options.again)
    async with begun as batch:
        if batch["line"]:
            print(f"innkeeper: going on after line {batch['line']}", file=sys.stderr)

        def told(row: "Row") -> None:
            bar(row["records"])

        done = await imports.apply(work, batch, ahead(layout.chunks(source, batch["line"])), told)
    total.records += done["records"]
    total.outcomes.update(done["outcomes"])
    total.failed += done["failed"]
    if done["failed"]:
        await _write_rejects(work, done, rejects)


async def _rehearse(
    work: "Work",
    layout: "Layout",
    source: IO[bytes] | Path,
    rejects: Path,
    bar: Callable[[int], None],
    total: Sum,
) -> None:
    from innkeeper.actions.bulk import imports
    from innkeeper.store.readers import ahead

    with _Rejects(rejects) as file:

        async def told(outcomes: "Outcomes", entries: Sequence["BatchRecord"]) -> None:
            total.records += len(entries)
            total.outcomes.update(outcomes.outcomes)
            total.failed += len(outcomes.failures)
            for failure in sorted(outcomes.failures, key=lambda one: one.line):
                file.add(failure)
            bar(total.records)

        await imports.rehearse(work, ahead(layout.chunks(source)), told)


async def _write_rejects(work: "Work", batch: "Row", rejects: Path) -> None:
    from innkeeper.actions.bulk import batches
    from innkeeper.rules.batch import Failure, RecordError

    with _Rejects(rejects) as file:
        async for row in batches.failures(work, batch["ref"]):
            fault = RecordError(row["code"], row["message"], tuple(row["errors"]))
            file.add(Failure(row["line"], row["ref"], fault))


class _Rejects:
    """A file of failed records, made with the first of them."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[bytes] | None = None

    def __enter__(self) -> "_Rejects":
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()
            print(f"innkeeper: what failed is in {self._path}", file=sys.stderr)

    def add(self, failure: "Failure") -> None:
        from innkeeper.wire.json_text import encode

        if self._file is None:
            self._file = self._path.open("wb")
        line: dict[str, Any] = {
            "line": failure.line,
            "ref": failure.ref,
            "code": failure.fault.code,
            "message": failure.fault.message,
            "errors": list(failure.fault.errors),
        }
        self._file.write(encode(line) + b"\n")


def _layout(options: ImportOptions, name: str) -> "Layout":
    """How a file is made, by its name and its mapping; raises OperatorError."""
    from innkeeper.wire.bulk.batch_files import Layout, guessed_format
    from innkeeper.wire.bulk.mapping import read_mapping

    guessed, compressed = guessed_format(name)
    form = options.form or guessed
    if form is None:
        raise OperatorError(f"Nothing tells what {name} is: say --format ndjson, csv or parquet.")
    path = options.mapping
    beside = Path(name + SUGGESTED)
    if path is None and name != STDIN and beside.is_file():
        path = beside
    mapping = None
    if path is not None:
        try:
            text = path.read_text(encoding="utf-8")
        except OSError as error:
            raise OperatorError(f"{path} cannot be read: {error.strerror}.") from error
        mapping = read_mapping(options.what.value, text, str(path))
    return Layout(options.what.value, form, compressed, mapping)


@contextmanager
def _opened(name: str, layout: "Layout") -> Iterator[IO[bytes] | Path]:
    if layout.format == "parquet":
        if name == STDIN:
            raise OperatorError("A Parquet file is read from a path, not from standard input.")
        yield Path(name)
        return
    if name == STDIN:
        yield sys.stdin.buffer
        return
    try:
        stream = Path(name).open("rb")  # noqa: SIM115 - closed below, where errors are others'
    except OSError as error:
        raise OperatorError(f"{name} cannot be read: {error.strerror}.") from error
    with stream:
        yield stream


def _fingerprint(name: str, layout: "Layout") -> Any:
    """What tells a file from any other, so that a cut-off import of it goes on."""
    if name == STDIN:
        return None
    path = Path(name).resolve()
    stat = path.stat()
    return [str(path), stat.st_size, stat.st_mtime_ns, layout.about()]


def _rejects(options: ImportOptions, name: str) -> Path:
    if options.rejects is not None:
        return options.rejects
    return Path("stdin" + REJECTS if name == STDIN else name + REJECTS)


@contextmanager
def _progress(
    options: ImportOptions, name: str, source: IO[bytes] | Path
) -> Iterator[Callable[[int], None]]:
    """A bar that follows the file's bytes: records, their rate, the time that remains."""
    if options.quiet:
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeRemainingColumn,
    )

    size = Path(name).stat().st_size if name != STDIN and not isinstance(source, Path) else None
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[records]:,} records, {task.fields[rate]:,.0f}/s"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(name, total=size, records=0, rate=0.0)
        first: int | None = None

        def follow(records: int) -> None:
            nonlocal first
            first = records if first is None else first
            elapsed = bar.tasks[0].elapsed or 0.0
            rate = (records - first) / elapsed if elapsed else 0.0
            told = source.tell() if size is not None and not isinstance(source, Path) else 0
            bar.update(task, completed=told, records=records, rate=rate)

        yield follow


def _suggest(options: ImportOptions, name: str) -> None:
    """Write a mapping beside a file."""
    from itertools import islice

    from innkeeper.store.readers import expanded
    from innkeeper.store.tables import csv_rows, parquet_columns, parquet_rows
    from innkeeper.wire.bulk.batch_files import guessed_format
    from innkeeper.wire.bulk.batch_records import json_value
    from innkeeper.wire.bulk.suggestion import suggested

    guessed, _ = guessed_format(name)
    form = options.form or guessed
    if form not in ("csv", "parquet") or name == STDIN:
        raise OperatorError("A mapping is suggested for CSV and Parquet files.")
    if form == "parquet":
        columns = parquet_columns(Path(name))
        rows = [json_value(text) for _, text in islice(parquet_rows(Path(name)), _SAMPLE)]
    else:
        with Path(name).open("rb") as file:
            rows = [row for _, row in islice(csv_rows(expanded(file)), _SAMPLE)]
            columns = list(rows[0]) if rows else []
    path = options.mapping or Path(name + SUGGESTED)
    if path.exists():
        raise OperatorError(f"{path} is there already: remove it for another suggestion.")
    path.write_text(suggested(options.what.value, columns, rows), encoding="utf-8")
    print(f"{path}: edit it, then import {name} again.")
