"""`innkeeper import-sources`: files elsewhere that are imported again, on a schedule."""

from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer

from innkeeper.cli.import_files import local_name
from innkeeper.cli.imports import What
from innkeeper.cli.options import CommandContext, Json, command
from innkeeper.errors import Invalid, OperatorError

app = typer.Typer(
    help="Files elsewhere that are imported again, on a schedule.", no_args_is_help=True
)

Workspace = Annotated[str, typer.Option(help="Workspace to import into.")]
Source = Annotated[str, typer.Argument(metavar="SOURCE", help="Ref or name.", show_default=False)]


@command(app, "create")
def sources_create(
    context: CommandContext,
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
    workspace: Workspace = "live",
) -> None:
    """Create an import source, which may read any address."""
    from innkeeper.actions.bulk import import_sources
    from innkeeper.wire.bulk.batch_files import Layout, guessed_format
    from innkeeper.wire.bulk.mapping import read_mapping

    columns = None
    if mapping is not None:
        columns = read_mapping(entity, mapping.read_text(encoding="utf-8"), str(mapping))[1]
        if mark_column and columns.group:
            raise OperatorError("--mark-column is not for orders of several rows.")
    if "://" not in address and not address.startswith("/"):
        address = f"{Path(address).resolve()}{'/' if address.endswith('/') else ''}"
    form, compressed = guessed_format(local_name(address))
    options = Layout(entity, form or "csv", compressed, columns).file_options()
    values = {"name": name, "address": address, "entity": str(entity)}
    values |= {"mark_column": mark_column or "", "schedule": schedule or ""}
    try:
        row = context.run(
            workspace, lambda work: import_sources.create(work, values, options, is_free=True)
        )
    except Invalid as invalid:
        raise OperatorError("; ".join(each.message for each in invalid.problems) + ".") from invalid
    next_at = f"It is read next at {row['next_at']:%Y-%m-%d %H:%M} UTC." if row["next_at"] else ""
    print(f"{name} was created. {next_at}".strip())


@command(app, "list")
def sources_list(
    context: CommandContext, workspace: Workspace = "live", json: Json = False
) -> None:
    """List import sources, with the reason where one cannot be read."""
    from innkeeper.actions.bulk import import_sources
    from innkeeper.cli.output import print_rows

    rows = context.run(workspace, import_sources.list_all)
    columns = "name entity address schedule next_at read_at error next_attempt_at ref"
    print_rows(rows, json, *columns.split())


@command(app, "run")
def sources_run(context: CommandContext, source: Source, workspace: Workspace = "live") -> None:
    """Read an import source now; the server does it."""
    from innkeeper.actions.bulk import import_sources

    row = context.run(workspace, lambda work: import_sources.start(work, _key(source)))
    print(f"{row['name']} is being read.")


@command(app, "delete")
def sources_delete(context: CommandContext, source: Source, workspace: Workspace = "live") -> None:
    """Delete an import source; what it imported stays."""
    from innkeeper.actions.bulk import import_sources

    context.run(workspace, lambda work: import_sources.delete(work, _key(source)))
    print(f"{source} is deleted.")


def _key(source: str) -> UUID | str:
    from innkeeper.resources.values import ref_in

    return ref_in(source) or source
