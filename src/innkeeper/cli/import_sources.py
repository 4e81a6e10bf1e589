"""`innkeeper import-sources`: files elsewhere that are imported again, on a schedule."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from innkeeper.actions.bulk import import_sources
from innkeeper.cli.import_files import local_name
from innkeeper.cli.imports import What
from innkeeper.cli.options import Act, command
from innkeeper.errors import Invalid, OperatorError, Problem
from innkeeper.store.work import Work
from innkeeper.wire.bulk.batch_files import Layout
from innkeeper.wire.bulk.file_formats import guessed_format
from innkeeper.wire.bulk.import_sources import changed_values
from innkeeper.wire.bulk.mapping import read_mapping

app = typer.Typer()
Source = Annotated[str, typer.Argument(metavar="SOURCE", help="Ref or name.", show_default=False)]


@command(app, "create")
def sources_create(
    name: Annotated[str, typer.Argument(metavar="NAME", show_default=False)],
    address: Annotated[
        str,
        typer.Argument(
            metavar="ADDRESS",
            help="Absolute path, or http, https or s3 URL; with a slash at the end, every file "
            "below it that is new.",
            show_default=False,
        ),
    ],
    entity: Annotated[What, typer.Option(help="What the file holds.")],
    mapping: Annotated[Path | None, typer.Option(help="File that maps columns to fields.")] = None,
    mark_column: Annotated[
        str | None,
        typer.Option(help="Column of which only values greater than those before are imported."),
    ] = None,
    schedule: Annotated[
        str | None, typer.Option(help="DAILY, WEEKLY or a cron line, in UTC.")
    ] = None,
) -> Act[str]:
    """Create an import source, which may read any address."""
    columns = None
    if mapping is not None:
        columns = read_mapping(entity, mapping.read_text(encoding="utf-8"), str(mapping))[1]
        if mark_column and columns.group:
            raise OperatorError("--mark-column is not for orders of several rows.")
    address = _absolute(address)
    form, compressed = guessed_format(local_name(address))
    options = Layout(entity, form or "csv", compressed, columns).file_options()
    values = {"name": name, "address": address, "entity": str(entity)}
    values |= {"mark_column": mark_column or "", "schedule": schedule or ""}

    async def act(work: Work) -> str:
        with _operator_errors():
            row = await import_sources.create(work, values, options, is_free=True)
        next_at = (
            f"It is read next at {row['next_at']:%Y-%m-%d %H:%M} UTC." if row["next_at"] else ""
        )
        return f"{name} was created. {next_at}".strip()

    return act


@command(app, "change")
async def sources_change(
    work: Work,
    source: Source,
    name: Annotated[str | None, typer.Option(help="Another name.")] = None,
    address: Annotated[
        str | None, typer.Option(help="Another address; it is read from its start.")
    ] = None,
    mapping: Annotated[Path | None, typer.Option(help="File that maps columns to fields.")] = None,
    mark_column: Annotated[
        str | None,
        typer.Option(help="Another column of marks, read from the start; empty for none."),
    ] = None,
    schedule: Annotated[
        str | None, typer.Option(help="DAILY, WEEKLY or a cron line, in UTC; empty for none.")
    ] = None,
) -> str:
    """Change an import source, which may read any address."""
    options = {
        **{"name": name, "address": address and _absolute(address)},
        **{"markColumn": mark_column, "schedule": schedule},
    }
    body: dict[str, Any] = {
        member: value or None for member, value in options.items() if value is not None
    }

    def read(row: dict[str, Any], problems: list[Problem]) -> tuple[Any, Any]:
        if mapping is not None:
            text = mapping.read_text(encoding="utf-8")
            body["mapping"] = read_mapping(row["entity"], text, str(mapping))[1].plain()
        return changed_values(row, body, problems)

    with _operator_errors():
        row = await import_sources.change(work, source, read, is_free=True)
    return f"{row['name']} is changed."


def _absolute(address: str) -> str:
    if "://" in address or address.startswith("/"):
        return address
    return f"{Path(address).resolve()}{'/' if address.endswith('/') else ''}"


@contextmanager
def _operator_errors() -> Iterator[None]:
    """Raise every problem of a source as one sentence of a command."""
    try:
        yield
    except Invalid as invalid:
        raise OperatorError("; ".join(each.message for each in invalid.problems) + ".") from invalid


@command(
    app, "list", columns="name entity address schedule next_at read_at error next_attempt_at ref"
)
async def sources_list(work: Work) -> Any:
    """List import sources, with the reason where one cannot be read."""
    return await import_sources.list_all(work)


@command(app, "run")
async def sources_run(work: Work, source: Source) -> str:
    """Read an import source now; the server does it."""
    row = await import_sources.start(work, source)
    return f"{row['name']} is being read."


@command(app, "delete")
async def sources_delete(work: Work, source: Source) -> str:
    """Delete an import source; what it imported stays."""
    await import_sources.delete(work, source)
    return f"{source} is deleted."
