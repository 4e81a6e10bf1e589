"""`innkeeper import`: import the records of files into a workspace."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from innkeeper.cli.import_files import is_elsewhere, local_name, stored
from innkeeper.cli.import_mappings import (
    MappingOptions,
    SuggestionWriter,
    prepared_layout,
    show_first_rows,
    write_suggestion,
)
from innkeeper.cli.import_output import ImportTotals, show_matches, show_progress
from innkeeper.cli.import_rejects import RejectsFile, report_rejects
from innkeeper.cli.import_undo import UNDO, UndoOptions, undo_import
from innkeeper.cli.options import CommandContext, Json, takes_database
from innkeeper.errors import OperatorError

if TYPE_CHECKING:
    from innkeeper.actions.bulk.creations import CreationTerms
    from innkeeper.actions.bulk.outcomes import Outcomes
    from innkeeper.rules.batch import BatchRecord
    from innkeeper.store.work import Row, Work
    from innkeeper.wire.bulk.batch_files import Layout
    from innkeeper.wire.bulk.reader_start import Process
    from innkeeper.wire.bulk.record_reader import RecordReader

SITECORE = "sitecore"
"""Imports a folder of the vendor's data lake export and batch files (docs/migrate.md)."""
SHOWN_REASONS = 10
"""Most reasons of cells that are left out that a command prints."""
REJECTS_SUFFIX = ".rejects.ndjson"


class What(StrEnum):
    """The kind of records in a file."""

    GUESTS = "guests"
    ORDERS = "orders"
    EVENTS = "events"


class RefuseWhat(StrEnum):
    """What to refuse where a field does not accept a cell: the row, or the cell."""

    ROW = "row"
    CELL = "cell"


@dataclass(frozen=True)
class ImportOptions:
    """The options of one command."""

    context: CommandContext
    workspace: str
    reading: MappingOptions
    rejects: Path | None
    again: bool
    is_dry_run: bool
    quiet: bool
    readers: "list[Process]" = field(default_factory=list)
    """Processes that read files, started before it is known how."""


Paths = Annotated[
    list[str],
    typer.Argument(
        metavar="[guests|orders|events|sitecore] FILE… | undo IMPORT_REF",
        help="What the files hold, unless their columns show it; then paths, http, https or s3 "
        "URLs. - is standard input. "
        "sitecore takes a folder with a data lake export; undo the ref of an import.",
        show_default=False,
    ),
]
MappingFile = Annotated[
    Path | None,
    typer.Option(help="File that maps columns to fields; FILE.mapping.toml if it exists."),
]
Suggest = Annotated[
    bool, typer.Option("--suggest", help="Write FILE.mapping.toml for editing; import nothing.")
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Check all records and show what would be done.")
]
RejectsPath = Annotated[
    Path | None,
    typer.Option(
        help="File for failed records, with line and reason; by default FILE.rejects.ndjson."
    ),
]
Form = Annotated[
    str | None,
    typer.Option(
        "--format",
        help="ndjson, csv, parquet or spreadsheet, where neither content nor name shows it.",
    ),
]
Sheet = Annotated[str, typer.Option(help="Sheet of a workbook to import; by default its first.")]
Refuse = Annotated[
    RefuseWhat | None,
    typer.Option(help="What to refuse where a field does not accept a cell; by default its row."),
]
Restart = Annotated[
    bool, typer.Option("--restart", help="Start over with a file whose import was interrupted.")
]
SkipChanged = Annotated[
    bool,
    typer.Option("--skip-changed", help="With undo: leave what something later depends on."),
]
Workspace = Annotated[str, typer.Option(help="Workspace to import into.")]


@takes_database
def import_(
    context: CommandContext,
    files: Paths,
    mapping: MappingFile = None,
    suggest: Suggest = False,
    dry_run: DryRun = False,
    rejects: RejectsPath = None,
    form: Form = None,
    sheet: Sheet = "",
    refuse: Refuse = None,
    again: Restart = False,
    skip_changed: SkipChanged = False,
    workspace: Workspace = "live",
    json: Json = False,
) -> None:
    """Import guests, orders or events from CSV, JSON, Parquet, Excel or OpenDocument files.

    Without a mapping, columns are recognised by their names and cells, and you are asked about the
    others. An interrupted import continues when the same file is imported again. `innkeeper import
    undo` removes what an import created and restores what it changed; --dry-run shows that only.
    """
    if files[0] == UNDO:
        undo_import(UndoOptions(context, workspace, skip_changed, dry_run, json), files[1:])
        return
    from innkeeper.wire.bulk.file_formats import IMPORT_FORMATS

    if form is not None and form not in IMPORT_FORMATS:
        raise OperatorError(f"--format must be one of {', '.join(IMPORT_FORMATS)}.")
    quiet = json or not sys.stderr.isatty()
    what = files.pop(0) if files[0] in (*What, SITECORE) else None
    if not files:
        raise OperatorError("Name a file to import.")
    is_transfer = what == SITECORE
    reading = MappingOptions(
        None if is_transfer else what, form, sheet, mapping, json, refuse or ""
    )
    options = ImportOptions(context, workspace, reading, rejects, again, dry_run, quiet)
    if is_transfer:
        _import_folder(options, files)
        return
    if suggest or (dry_run and not json):
        for name in files:
            show_first_rows(options.reading, name)
    total = _run(options, files, write_suggestion if suggest else None)
    if suggest:
        if total.unreadable:
            raise typer.Exit(1)
        return
    from innkeeper.cli.output import print_rows

    if len(total.unreadable) == len(files):
        raise typer.Exit(1)
    if total.left_out and not json:
        for reason, count in total.left_out.most_common(SHOWN_REASONS):
            print(f"  left out {count} × {reason}", file=sys.stderr)
    print_rows(total.report() if json else total.summary(), json, *total.summary())
    if total.unreadable or total.failed:
        raise typer.Exit(1 if total.unreadable else 2)


def _import_folder(options: ImportOptions, files: Sequence[str]) -> None:
    from innkeeper.cli.sitecore import import_sitecore

    if len(files) != 1 or options.is_dry_run:
        raise OperatorError("Name one folder: innkeeper import sitecore FOLDER.")

    def import_batches(paths: list[str]) -> None:
        total = _run(options, paths, None)
        print(total.summary(), file=sys.stderr)
        if total.unreadable or total.failed:
            raise typer.Exit(1 if total.unreadable else 2)

    as_json = options.reading.quiet
    folder = Path(files[0])
    import_sitecore(
        *(options.context, options.workspace, folder, import_batches),
        quiet=options.quiet,
        as_json=as_json,
    )


def _run(
    options: ImportOptions, files: Sequence[str], suggest: SuggestionWriter | None
) -> ImportTotals:
    from innkeeper.wire.bulk.reader_start import started_readers

    total = ImportTotals()

    async def act(work: "Work") -> None:
        for name in files:
            try:
                if suggest is None:
                    await import_file(work, replace(options, readers=readers), name, total)
                else:
                    await suggest(work, options.reading, name)
            except OperatorError as error:
                # Continue with the other files.
                print(f"innkeeper: {error}", file=sys.stderr)
                total.unreadable.append(name)

    with started_readers(files if suggest is None else []) as readers:
        options.context.run(options.workspace, act)
    return total


async def import_file(work: "Work", options: ImportOptions, name: str, total: ImportTotals) -> None:
    """Import one file and add its outcomes to `total`; raises OperatorError if it is unreadable."""
    from innkeeper.store.readers import Unreadable

    rejects = _rejects(options, name)
    try:
        async with stored(work, name) as path:
            layout = await prepared_layout(work, options.reading, name, path)
            file = _LocalFile(options, name, layout, path)
            if options.is_dry_run:
                await _dry_run(work, file, rejects, total)
            else:
                await _apply(work, file, rejects, total)
    except Unreadable as error:
        raise OperatorError(f"{name} cannot be read: {error}.") from error
    except (FileNotFoundError, PermissionError, IsADirectoryError) as error:
        raise OperatorError(f"{name} cannot be read: {error.strerror}.") from error


@dataclass(frozen=True)
class _LocalFile:
    """A file that the command imports, with its layout."""

    options: ImportOptions
    name: str
    layout: "Layout"
    path: Path

    @contextmanager
    def reading(
        self, after: int = 0, terms: "CreationTerms | None" = None
    ) -> Iterator[tuple["RecordReader", Callable[[int], None]]]:
        """Yield the reader of the records after a line, and what shows the progress."""
        from innkeeper.wire.bulk.record_reader import RecordReader

        readers = self.options.readers
        process = readers.pop() if readers else None
        reader = RecordReader(self.layout, self.path, after, terms, process=process)
        with show_progress(self.name, reader, quiet=self.options.quiet) as bar:
            yield reader, bar


async def _apply(work: "Work", file: _LocalFile, rejects: Path, total: ImportTotals) -> None:
    from innkeeper.actions.bulk import batches, imports
    from innkeeper.actions.bulk.creation_writer import terms_in_advance
    from innkeeper.store.readers import ahead
    from innkeeper.wire.bulk.mixed_files import mark_mixed

    what: Any = file.layout.entity
    file_options = file.layout.file_options() | {"name": Path(file.name).name}
    fingerprint = _fingerprint(file.name, file.layout)
    again = file.options.again
    async with imports.start_local(work, what, fingerprint, file_options, again=again) as row:
        batch = await mark_mixed(work, row, file.layout, file.path)
        terms = await terms_in_advance(work, batches.source_of(batch))
        with file.reading(batch["line"], terms) as (reader, bar):
            if batch["line"]:
                print(f"innkeeper: continuing after line {batch['line']}", file=sys.stderr)

            def progress(row: "Row") -> None:
                bar(row["records"])

            done = await imports.apply(work, batch, ahead(reader.chunks()), progress)
    if done["undo"] is not None and not file.options.reading.quiet:
        print(f"To undo this: innkeeper import undo {done['ref']}", file=sys.stderr)
    total.records += done["records"]
    total.outcomes.update(done["outcomes"])
    total.failed += done["failed"]
    total.add_left_out(done["left_out"])
    if done["failed"]:
        await _write_rejects(work, done, rejects)
        total.refused += _report(file, rejects)


async def _dry_run(work: "Work", file: _LocalFile, rejects: Path, total: ImportTotals) -> None:
    from innkeeper.actions.bulk import imports
    from innkeeper.actions.bulk.outcomes import MOST_MATCHES
    from innkeeper.store.readers import ahead

    with RejectsFile(rejects) as rejected, file.reading() as (reader, bar):

        async def count(outcomes: "Outcomes", records: Sequence["BatchRecord"]) -> None:
            total.records += len(records)
            total.outcomes.update(outcomes.outcomes)
            total.failed += len(outcomes.failures)
            total.add_left_out(outcomes.count_left_out(records))
            total.matches = [*total.matches, *outcomes.matches][:MOST_MATCHES]
            for failure in sorted(outcomes.failures, key=lambda one: one.line):
                rejected.add(failure)
            bar(total.records)

        failed_before = total.failed
        await imports.dry_run(work, ahead(reader.chunks()), count)
    if not file.options.reading.quiet:
        show_matches(total.matches)
    if total.failed > failed_before:
        total.refused += _report(file, rejects)


def _report(file: _LocalFile, rejects: Path) -> list[dict[str, Any]]:
    quiet = file.options.reading.quiet
    return report_rejects(rejects, file.layout, file.path, quiet=quiet)


async def _write_rejects(work: "Work", batch: "Row", rejects: Path) -> None:
    from innkeeper.actions.bulk import batches
    from innkeeper.rules.batch import Failure, RecordError

    with RejectsFile(rejects) as file:
        async for row in batches.failures(work, batch["ref"]):
            error = RecordError(row["code"], row["message"], tuple(row["errors"]))
            file.add(Failure(row["line"], row["ref"], error))


def _fingerprint(name: str, layout: "Layout") -> Any:
    """Return the identification of a file, by which an interrupted import of it continues."""
    if is_elsewhere(name):
        return None
    path = Path(name).resolve()
    stat = path.stat()
    return [str(path), stat.st_size, stat.st_mtime_ns, layout.file_options()]


def _rejects(options: ImportOptions, name: str) -> Path:
    if options.rejects is not None:
        return options.rejects
    return Path(local_name(name) + REJECTS_SUFFIX)
