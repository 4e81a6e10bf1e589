"""Options that several commands share, and how a command gets at the database."""

import inspect
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

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

Result = TypeVar("Result")
Act = Callable[[Work], Awaitable[Result]]


@dataclass(frozen=True)
class CommandContext:
    """Where a command works: what `--data`, `--database` and `--config` say."""

    settings: Settings
    command: str
    """Its words, such as `keys create`, for whoever waits for it."""

    def run(self, workspace: str, act: Act[Result]) -> Result:
        """Do something with a workspace; raises OperatorError when something named is not there."""
        return self._run(act, workspace)

    def control(self, act: Act[Result]) -> Result:
        """Do something with what belongs to no workspace, such as keys and users."""
        return self._run(act, None)

    @contextmanager
    def database(self, *, makes: bool = False, restores: bool = False) -> Iterator[str]:
        """The address of the database, which runs at least that long.

        A command that `makes` one makes it where there is none, one that `restores` only in an
        empty folder; any other is refused there.
        """
        from innkeeper.cli.database import FolderCreation, reached

        how = FolderCreation.A_DATABASE if makes else FolderCreation.NOTHING
        if restores:
            how = FolderCreation.A_DATABASE_WHERE_EMPTY
        with reached(self.settings, self.command, how) as dsn:
            yield dsn

    def _run(self, act: Act[Result], workspace: str | None) -> Result:
        from innkeeper.cli.database import run

        try:
            return run(self.settings, self.command, act, workspace)
        except Unknown as error:
            stands = f": {error.survivor} stands for it" if error.survivor else ""
            raise OperatorError(f"There is no {error.what.lower()} {error.ref}{stands}.") from error


_DATABASE_OPTIONS: Final = {"data": Data, "database": Database, "config": Config}
_CONTEXT: Final = inspect.Parameter(
    "context", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context
)


def command(app: typer.Typer, name: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Make a `placed` function a command of a group."""
    return lambda act: app.command(name)(placed(act))


def placed(act: Callable[..., None]) -> Callable[..., None]:
    """Give a function whose first parameter is a `Here` the options that say where that is."""
    own = list(inspect.signature(act, eval_str=True).parameters.values())[1:]
    place = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=kind)
        for name, kind in _DATABASE_OPTIONS.items()
    ]

    @wraps(act)
    def run(context: typer.Context, **options: Any) -> None:
        chosen = settings(**{name: options.pop(name) for name in _DATABASE_OPTIONS})
        act(CommandContext(chosen, context.command_path.partition(" ")[2]), **options)

    run.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [_CONTEXT, *(one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in own), *place]
    )
    return run


def settings(config: Path | None, **overrides: Any) -> Settings:
    """The settings of a command, logging set up for a person's terminal."""
    import logging

    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    return Settings.load(config=config, **overrides)
