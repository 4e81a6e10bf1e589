"""The command `innkeeper`: its groups of commands, `serve`, `settings` and `version`."""

from functools import cached_property
from importlib import import_module
from typing import Annotated, Any, Final

import typer
from typer.core import TyperGroup

from innkeeper import __version__
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

RUN: Final = "Run"
DATA: Final = "Import and export"
PEOPLE: Final = "Guests and audiences"
CONFIGURE: Final = "Configuration and maintenance"
GROUPS: Final = (
    (DATA, "audience-exports", "exports_audience.app", "Audience exports and their OAuth clients."),
    (DATA, "webhooks", "webhooks.app", "Webhooks of segments and exports."),
    (DATA, "import-sources", "import_sources.app", "Files that are imported again, on a schedule."),
    (
        *(DATA, "quarantine", "stream.quarantine"),
        "Events that could not be attached to a guest or session.",
    ),
    (PEOPLE, "identity", "identity.app", "Identity rules, merges and their undo."),
    (PEOPLE, "segments", "segments.app", "Segments."),
    (PEOPLE, "guests", "guests.app", "Search guests."),
    (PEOPLE, "guest-views", "guests.views", "Views of the list of guests."),
    (PEOPLE, "dashboards", "dashboards.app", "Reports that users pinned to their dashboard."),
    (PEOPLE, "sql", "sql.app", "SQL for segments: views, times, saved queries."),
    (PEOPLE, "static-lists", "static_lists.app", "Static lists of guests."),
    (PEOPLE, "privacy", "privacy.app", "Erasure, subject access, the block list."),
    (CONFIGURE, "workspaces", "workspaces.app", "Workspaces and their sandboxes."),
    (CONFIGURE, "keys", "keys.app", "API keys."),
    (CONFIGURE, "users", "users.app", "People who may log in to the screens."),
    (
        *(CONFIGURE, "points-of-sale", "stream.points_of_sale"),
        "Points of sale, and when their sessions end.",
    ),
    (
        *(CONFIGURE, "aliases", "stream.aliases"),
        "Aliases of client keys (context ids) and of points of sale (sites), for the edge paths.",
    ),
    (CONFIGURE, "audit-log", "audit_log.app", "Who changed what."),
    (CONFIGURE, "secrets", "secrets.app", "The encryption of secrets in the database."),
    (CONFIGURE, "db", "db.app", "The database: migrations, dumps."),
    (CONFIGURE, "lake", "lake.app", "The lake's files."),
    (CONFIGURE, "jobs", "jobs.app", "Background jobs."),
)
"""Panel of the help, name, module and variable, and help of each group."""


class _Group(TyperGroup):
    """A group whose module is imported when one of its commands is used, not by `--help`."""

    def __init__(self, panel: str, name: str, path: str, text: str) -> None:
        self._path = path
        super().__init__(name=name, help=text, rich_help_panel=panel, no_args_is_help=True)

    @cached_property
    def _commands(self) -> dict[str, Any]:
        module, _, variable = self._path.partition(".")
        group = getattr(import_module(f"innkeeper.cli.{module}"), variable)
        return dict(typer.main.get_group(group).commands)

    @property
    def commands(self) -> dict[str, Any]:
        """The commands of the group, by name."""
        return self._commands

    @commands.setter
    def commands(self, _: object) -> None:
        """Ignore the empty dict of the base class."""


class _Root(TyperGroup):
    """The command, with the groups after the commands."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        for group in GROUPS:
            self.add_command(_Group(*group))


app = typer.Typer(
    cls=_Root,
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
app.command(rich_help_panel=PEOPLE)(report)
