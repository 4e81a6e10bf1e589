"""`innkeeper audit-log`: who changed what."""

import sys
from contextlib import nullcontext
from datetime import UTC, datetime
from typing import Annotated, Any, Final

import typer

from innkeeper.actions.admin import audit
from innkeeper.actions.paging import PageRequest
from innkeeper.cli.options import CommandContext, Json, Workspace, command
from innkeeper.cli.output import print_rows
from innkeeper.store.work import Work
from innkeeper.wire.administration.audit_log import read_csv

app = typer.Typer()
Time = Annotated[
    datetime | None,
    typer.Option(formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"], help="Day or time in UTC."),
]
_COLUMNS: Final = ("at", "actor", "action", "subject", "changes", "details")


@command(app, "list")
def audit_log_list(
    context: CommandContext,
    workspace: Workspace = "live",
    actor: Annotated[str, typer.Option(help="Who changed something.")] = "",
    action: Annotated[str, typer.Option(help="For example guest.edit.")] = "",
    subject: Annotated[str, typer.Option(help="Ref of a guest.")] = "",
    since: Time = None,
    until: Time = None,
    limit: Annotated[
        int | None, typer.Option(help="Maximum number of rows; by default 100, in CSV all.", min=1)
    ] = None,
    json: Json = False,
    csv: Annotated[bool, typer.Option("--csv", help="Print CSV, a line for each change.")] = False,
) -> None:
    """List the audit log, newest first."""
    times = {"since": since, "until": until}
    filters: dict[str, Any] = {
        **{name: at and at.replace(tzinfo=UTC) for name, at in times.items()},
        **{"actor": actor or None, "action": action or None, "subject": subject or None},
    }
    selected = audit.AuditFilter(workspace, **filters)

    async def print_csv(work: Work) -> None:
        async for block in read_csv(audit.read_all(lambda: nullcontext(work), selected, limit)):
            sys.stdout.buffer.write(block)

    if csv:
        context.run(workspace, print_csv)
        return
    page = PageRequest(limit=limit or 100)
    rows = context.run(workspace, lambda work: audit.list_(work, page, selected)).items
    print_rows([{name: row[name] for name in _COLUMNS} for row in rows], json, *_COLUMNS)
