"""The command `innkeeper`: its groups of commands, `serve`, `settings` and `version`."""

from typing import Annotated, Final

import typer

from innkeeper import __version__
from innkeeper.cli import (
    db,
    exports_audience,
    identity,
    import_sources,
    jobs,
    keys,
    lake,
    privacy,
    secrets,
    segments,
    sql,
    static_lists,
    stream,
    users,
    webhooks,
    workspaces,
)
from innkeeper.cli.demo import demo
from innkeeper.cli.doctor import doctor
from innkeeper.cli.exports import export
from innkeeper.cli.imports import import_
from innkeeper.cli.options import (
    CommandContext,
    Config,
    Data,
    Database,
    Json,
    settings,
    takes_database,
)
from innkeeper.cli.reports import report

app = typer.Typer(
    name="innkeeper",
    help="A self-hosted customer data platform that implements the Sitecore CDP APIs.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _print_version(is_requested: bool) -> None:
    if is_requested:
        print(__version__)
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version.", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None:
    """A self-hosted customer data platform that implements the Sitecore CDP APIs."""


RUN: Final = "Run"
DATA: Final = "Import and export"
PEOPLE: Final = "Guests and audiences"
CONFIGURE: Final = "Configuration and maintenance"


@app.command(rich_help_panel=RUN)
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0 picks a free one.")] = None,
    data: Data = None,
    database: Database = None,
    workers: Annotated[int | None, typer.Option(help="Processes that serve requests.")] = None,
    config: Config = None,
) -> None:
    """Start the server, with the embedded database unless --database names a server."""
    chosen = settings(config, host=host, port=port, data=data, database=database, workers=workers)
    from innkeeper.cli.serve import serve as run

    run(chosen)


@app.command("settings", rich_help_panel=RUN)
@takes_database
def show_settings(context: CommandContext, json: Json = False) -> None:
    """List every setting: its value, default, environment variable and meaning."""
    from innkeeper.cli.output import print_rows

    chosen = context.settings
    values = chosen.redacted()
    rows = [
        {
            "name": item.name,
            "value": values[item.name],
            "default": str(item.default) if item.name == "data" else item.default,
            "environment": item.environment,
            "help": item.help,
        }
        for item in chosen.declarations()
    ]
    print_rows(rows, json, "name", "value", "environment", "help")


@app.command(rich_help_panel=RUN)
def version(json: Json = False) -> None:
    """Print the version."""
    from innkeeper.cli.output import show

    if json:
        show({"version": __version__})
    else:
        print(__version__)


app.command(rich_help_panel=RUN)(demo)
app.command(rich_help_panel=RUN)(takes_database(doctor))

app.command("import", rich_help_panel=DATA)(import_)
app.command(rich_help_panel=DATA)(export)
app.add_typer(exports_audience.app, name="audience-exports", rich_help_panel=DATA)
app.add_typer(webhooks.app, name="webhooks", rich_help_panel=DATA)
app.add_typer(import_sources.app, name="import-sources", rich_help_panel=DATA)
app.add_typer(stream.quarantine, name="quarantine", rich_help_panel=DATA)

app.add_typer(identity.app, name="identity", rich_help_panel=PEOPLE)
app.add_typer(segments.app, name="segments", rich_help_panel=PEOPLE)
app.add_typer(sql.app, name="sql", rich_help_panel=PEOPLE)
app.add_typer(static_lists.app, name="static-lists", rich_help_panel=PEOPLE)
app.command(rich_help_panel=PEOPLE)(report)
app.add_typer(privacy.app, name="privacy", rich_help_panel=PEOPLE)

app.add_typer(workspaces.app, name="workspaces", rich_help_panel=CONFIGURE)
app.add_typer(keys.app, name="keys", rich_help_panel=CONFIGURE)
app.add_typer(users.app, name="users", rich_help_panel=CONFIGURE)
app.add_typer(stream.points_of_sale, name="points-of-sale", rich_help_panel=CONFIGURE)
app.add_typer(stream.aliases, name="aliases", rich_help_panel=CONFIGURE)
app.add_typer(secrets.app, name="secrets", rich_help_panel=CONFIGURE)
app.add_typer(db.app, name="db", rich_help_panel=CONFIGURE)
app.add_typer(lake.app, name="lake", rich_help_panel=CONFIGURE)
app.add_typer(jobs.app, name="jobs", rich_help_panel=CONFIGURE)
