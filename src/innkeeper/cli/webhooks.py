"""`innkeeper webhooks`: list the webhooks of segments and exports, and test them."""

from dataclasses import asdict
from typing import Annotated, Any

import typer

from innkeeper.actions.audiences import subscriptions, webhook_trials
from innkeeper.cli.options import CommandContext, Json, Workspace, command
from innkeeper.cli.output import show
from innkeeper.store.work import Work

app = typer.Typer()


@command(app, "list", columns="kind friendly_id url waiting sent failed error")
async def webhooks_list(work: Work) -> Any:
    """List webhooks and how many of their messages arrived."""
    return await subscriptions.list_all(work)


@command(app, "test")
def webhooks_test(
    context: CommandContext,
    kind: Annotated[str, typer.Argument(metavar="segment|export", show_default=False)],
    friendly_id: Annotated[
        str,
        typer.Argument(metavar="FRIENDLY_ID", help="Of the segment or export.", show_default=False),
    ],
    workspace: Workspace = "live",
    json: Json = False,
) -> None:
    """Send a signed test message and print the response; the exit status is 1 unless it is 2xx."""
    answer = context.run(
        workspace, lambda work: webhook_trials.send_test_message(work, kind, friendly_id)
    )
    if json:
        show(asdict(answer))
    elif answer.error:
        print(f"{answer.url} {answer.error}.")
    else:
        print(f"{answer.url} answered {answer.status} in {answer.milliseconds} ms.")
        print(*(f"{name}: {value}" for name, value in answer.headers.items()), sep="\n")
        print("", answer.body + ("…" if answer.is_cut else ""), sep="\n")
    if not answer.is_accepted:
        raise typer.Exit(1)
