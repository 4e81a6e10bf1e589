"""`innkeeper export`: write guests, orders or events to a file."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated

import typer

from innkeeper.cli.import_files import STDIN
from innkeeper.cli.imports import What
from innkeeper.cli.options import CommandContext, takes_database
from innkeeper.errors import OperatorError
from innkeeper.rules.spreadsheets import MAPPING_SUFFIX

if TYPE_CHECKING:
    from innkeeper.store.work import Work


@takes_database
def export(
    context: CommandContext,
    what: Annotated[What, typer.Argument(help="What to export.", show_default=False)],
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="Path; - is standard output.", show_default=False)
    ],
    form: Annotated[
        str | None,
        typer.Option("--format", help="ndjson, csv or parquet; by default from the file's name."),
    ] = None,
    workspace: Annotated[str, typer.Option(help="Workspace to export.")] = "live",
    is_guarded: Annotated[
        bool,
        typer.Option(
            "--guarded",
            help="Mark texts in CSV that a spreadsheet would run as formulas. The mapping written "
            "beside the file makes import remove the marks.",
        ),
    ] = False,
) -> None:
    """Export guests, orders or events to NDJSON, CSV or Parquet.

    The file can be imported again, is compressed if its name ends in .gz or .zst, and shows the
    data as of the start of the export.
    """
    from innkeeper.actions.bulk import file_exports
    from innkeeper.wire.bulk.export_files import write
    from innkeeper.wire.bulk.file_formats import FORMATS, guessed_compression, guessed_format

    chosen = form or guessed_format(file)[0]
    if chosen not in FORMATS:
        raise OperatorError(f"--format must be one of {', '.join(FORMATS)}.")
    if is_guarded and (chosen != "csv" or file == STDIN):
        raise OperatorError("--guarded needs a CSV file, because it writes a mapping beside it.")
    _record_marks(file, what.value, is_guarded=is_guarded)

    async def act(work: "Work") -> int:
        total = await file_exports.estimate_total(work, what.value)
        with _opened(file) as stream, _progress(file, total) as progress:
            return await write(
                *(work, what.value, chosen, stream),
                compression=guessed_compression(file),
                is_guarded=is_guarded,
                report=progress,
            )

    written = context.run(workspace, act)
    print(f"innkeeper: {written} {what.value} in {file}", file=sys.stderr)


def _record_marks(file: str, entity: str, *, is_guarded: bool) -> None:
    """Write the mapping that declares guarded cells, or delete that of an earlier export.

    Raises OperatorError if there is a mapping that an export did not write.
    """
    from innkeeper.rules.spreadsheets import MAPPING

    beside = Path(file + MAPPING_SUFFIX)
    ours = MAPPING.partition("\n")[0]
    try:
        is_ours = not beside.exists() or beside.read_text(encoding="utf-8").startswith(ours)
        if is_guarded and not is_ours:
            raise OperatorError(f"{beside} was not written by an export: move or rename it first.")
        if is_guarded:
            beside.write_text(MAPPING.format(entity=entity), encoding="utf-8")
        elif is_ours and file != STDIN:
            beside.unlink(missing_ok=True)
    except OSError as error:
        raise OperatorError(f"{beside} cannot be written: {error.strerror}.") from error


@contextmanager
def _opened(name: str) -> Iterator[IO[bytes]]:
    """Open a file that appears under its name only when it is complete."""
    if name == STDIN:
        yield sys.stdout.buffer
        return
    part = Path(name + ".part")
    try:
        stream = part.open("wb")
    except OSError as error:
        raise OperatorError(f"{name} cannot be written: {error.strerror}.") from error
    try:
        with stream:
            yield stream
        part.replace(name)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def _progress(name: str, total: int) -> Iterator[Callable[[int], None]]:
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True)) as bar:
        task = bar.add_task(name, total=total or None)
        yield lambda written: bar.update(task, completed=written)
