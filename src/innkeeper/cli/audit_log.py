"""`innkeeper audit-log`: who changed what."""

from datetime import UTC, datetime
from typing import Annotated, Any, Final

import typer

from innkeeper.actions.admin import audit
from innkeeper.actions.paging import PageRequest
from innkeeper.cli.options import CommandContext, Json, command
from innkeeper.cli.output import print_rows
from innkeeper.wire.administration.audit_log import as_table
from innkeeper.wire.audiences.reports import as_csv

app = typer.Typer()
Time = Annotated[
    datetime | None,
    typer.Option(formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"], help="Day or time in UTC."),
]
_COLUMNS: Final = ("at", "actor", "action", "subject", "changes", "details")


@command(app, "list")
def audit_log_list(
    context: CommandContext,
    workspace: Annotated[str, typer.Option(help="Workspace of the log.")] = "live",
    actor: Annotated[str, typer.Option(help="Who changed something.")] = "",
    action: Annotated[str, typer.Option(help="For example guest.edit.")] = "",
    subject: Annotated[str, typer.Option(help="Ref of a guest.")] = "",
    since: Time = None,
    until: Time = None,
    limit: Annotated[int, typer.Option(help="Maximum number of rows.", min=1)] = 100,
    json: Json = False,
    csv: Annotated[bool, typer.Option("--csv", help="Print CSV, a line for each change.")] = False,
) -> None:
    """List the audit log, newest first."""
    times = {"since": since, "until": until}
    filters: dict[str, Any] = {
        **{name: at and at.replace(tzinfo=UTC) for name, at in times.items()},
        **{"actor": actor or None, "action": action or None, "subject": subject or None},
    }
    page = PageRequest(limit=limit)
    rows = context.run(
        workspace, lambda work: audit.list_(work, page, workspace=workspace, **filters)
    ).items
    if csv:
        print(as_csv(as_table(rows)).decode(), end="")
    else:
        print_rows([{name: row[name] for name in _COLUMNS} for row in rows], json, *_COLUMNS)
