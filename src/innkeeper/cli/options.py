"""Options that commands share, and the context that gives a command its database."""

import inspect
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar
from uuid import UUID

import typer

from innkeeper.errors import OperatorError, Unknown
from innkeeper.settings import Settings
from innkeeper.store.work import Work

Config = Annotated[
    Path | None, typer.Option(help="TOML file with settings.", envvar="INNKEEPER_CONFIG")
]
Data = Annotated[Path | None, typer.Option(help="Folder of the embedded database.")]
Database = Annotated[
    str | None, typer.Option(help="PostgreSQL server to use instead of the embedded one.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Workspace = Annotated[str, typer.Option(help="Workspace to work in.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")]
Name = Annotated[str, typer.Argument(metavar="NAME", show_default=False)]
GuestRef = Annotated[UUID, typer.Argument(metavar="GUEST_REF", show_default=False)]

Result = TypeVar("Result")
Act = Callable[[Work], Awaitable[Result]]


@dataclass(frozen=True)
class CommandContext:
    """The settings of a command, from `--data`, `--database` and `--config`, and its database."""

    settings: Settings
    command: str
    """The command's words, such as `keys create`, shown to commands that wait for this one."""

    def control(self, act: Act[Result]) -> Result:
        """Run `act` on the tables outside workspaces, such as keys and users."""
        return self.run(None, act)

    @contextmanager
    def database(self, *, creates: bool = False, restores: bool = False) -> Iterator[str]:
        """Yield the address of the database, which runs at least as long as the context.

        If there is none, it is created for a command that `creates` one, and for one that
        `restores` into an empty folder; otherwise OperatorError is raised.
        """
        from innkeeper.cli.database import FolderCreation, running_database

        creation = FolderCreation.A_DATABASE if creates else FolderCreation.NOTHING
        if restores:
            creation = FolderCreation.A_DATABASE_WHERE_EMPTY
        with running_database(self.settings, self.command, creation) as dsn:
            yield dsn

    def run(self, workspace: str | None, act: Act[Result]) -> Result:
        """Run `act` in a workspace, or without one on the tables outside workspaces.

        Raises OperatorError if the workspace or a resource does not exist.
        """
        from innkeeper.cli.database import run

        try:
            return run(self.settings, self.command, act, workspace)
        except Unknown as error:
            merged = f": it was merged into guest {error.survivor}" if error.survivor else ""
            raise OperatorError(f"There is no {error.what.lower()} {error.ref}{merged}.") from error


_DATABASE_OPTIONS: Final = {"data": Data, "database": Database, "config": Config}
# Named unlike the CommandContext of commands, whose annotation typer would read otherwise.
_CONTEXT: Final = inspect.Parameter(
    "typer_context", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context
)


def command(
    app: typer.Typer,
    name: str,
    *,
    columns: str = "",
    text: Callable[[Any], None] | None = None,
    control: bool = False,
) -> Callable[[Callable[..., Any]], Callable[..., None]]:
    """Register a function as a command of a group, with the options of `takes_database`.

    A coroutine function is an operation on the database. Its parameters are a `Work` and its own
    options. A function without a CommandContext checks its options, before a database is opened,
    and returns the operation. An operation returns a sentence to print, or rows for a table of
    `columns` (names separated by spaces), or a value that `text` prints; `--json` prints rows and
    values as JSON. A `control` operation uses the tables outside workspaces, and has no
    `--workspace`.
    """

    def register(act: Callable[..., Any]) -> Callable[..., None]:
        if next(iter(inspect.signature(act).parameters)) != "context":
            act = _operation(act, columns, text, control=control)
        return app.command(name)(takes_database(act))

    return register


def _operation(
    act: Callable[..., Any], columns: str, text: Callable[[Any], None] | None, *, control: bool
) -> Callable[..., None]:
    """Return the command of an operation, with the options `--workspace` and `--json`."""
    own = list(inspect.signature(act, eval_str=True).parameters.values())
    is_checked = not inspect.iscoroutinefunction(act)
    if not is_checked:
        del own[0]
    shared: dict[str, tuple[Any, Any]] = {}
    if not control:
        shared["workspace"] = (Workspace, "live")
    if columns or text is not None:
        shared["json"] = (Json, False)
    keyword = inspect.Parameter.KEYWORD_ONLY
    own = [each.replace(kind=keyword) for each in own] + [
        inspect.Parameter(name, keyword, default=default, annotation=kind)
        for name, (kind, default) in shared.items()
    ]

    @wraps(act)
    def run(context: CommandContext, **options: Any) -> None:
        values = {name: options.pop(name) for name in shared}
        operation = act(**options) if is_checked else lambda work: act(work, **options)
        result = context.run(values.get("workspace"), operation)
        _print(result, columns, text, json=values.get("json", False))

    context = inspect.Parameter("context", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    run.__signature__ = inspect.Signature([context, *own])  # type: ignore[attr-defined]
    return run


def _print(result: Any, columns: str, text: Callable[[Any], None] | None, *, json: bool) -> None:
    from innkeeper.cli.output import print_rows, show

    if columns:
        print_rows(result, json, *columns.split())
    elif json:
        show(result)
    else:
        (text or print)(result)


def takes_database(act: Callable[..., None]) -> Callable[..., None]:
    """Replace a function's first parameter, a CommandContext, by the options that it is made of."""
    own = list(inspect.signature(act, eval_str=True).parameters.values())[1:]
    database_options = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=kind)
        for name, kind in _DATABASE_OPTIONS.items()
    ]

    @wraps(act)
    def run(typer_context: typer.Context, **options: Any) -> None:
        chosen = settings(**{name: options.pop(name) for name in _DATABASE_OPTIONS})
        act(CommandContext(chosen, typer_context.command_path.partition(" ")[2]), **options)

    run.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [
            _CONTEXT,
            *(one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in own),
            *database_options,
        ]
    )
    return run


def settings(config: Path | None, **overrides: Any) -> Settings:
    """Load the settings of a command, and set up logging for a terminal."""
    import logging

    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    return Settings.load(config=config, **overrides)
