"""Options that several commands share."""

from pathlib import Path
from typing import Annotated, Any

import typer

from innkeeper.settings import Settings

Config = Annotated[
    Path | None, typer.Option(help="TOML file with settings.", envvar="INNKEEPER_CONFIG")
]
Data = Annotated[Path | None, typer.Option(help="Folder of the embedded database.")]
Database = Annotated[
    str | None, typer.Option(help="PostgreSQL server to use instead of the embedded one.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def settings(config: Path | None, **overrides: Any) -> Settings:
    """The settings of a command, logging set up for a person's terminal."""
    import logging

    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    return Settings.load(config=config, **overrides)
