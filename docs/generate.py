"""Write the reference pages that code knows best: settings, commands, errors.

`make docs` runs it; a test fails when a page is not what it would write.
"""

import inspect
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from innkeeper import errors
from innkeeper.cli.app import app
from innkeeper.settings import Settings
from innkeeper.wire.openapi import description

FOLDER = Path(__file__).parent
SHARED = {"help", "data", "database", "config", "json"}
NOTE = "<!-- Written by `make docs`; edit the code instead. -->"


def pages() -> dict[str, str]:
    """File name to text of every generated page."""
    return {
        "settings.md": _page("Settings", _settings()),
        "commands.md": _page("Commands", _commands()),
        "errors.md": _page("Errors", _errors()),
        "openapi.json": _openapi(),
    }


def _page(title: str, lines: Iterator[str]) -> str:
    return "\n".join([f"# {title}", "", NOTE, "", *lines]).rstrip() + "\n"


def _openapi() -> str:
    """The API description of the vendor's official dialect, an operation or component a line, so
    that a change shows as the lines it changes."""
    members = {**description("official", ""), "paths": {}, "components": {}}
    whole = description("official", "")
    paths = ",\n".join(
        f"{json.dumps(path)}: {json.dumps(item)}" for path, item in whole["paths"].items()
    )
    components = ",\n".join(
        f"{json.dumps(kind)}: {{\n"
        + ",\n".join(f"{json.dumps(name)}: {json.dumps(one)}" for name, one in named.items())
        + "\n}"
        for kind, named in whole["components"].items()
    )
    return (
        json.dumps(members)
        .replace('"paths": {}', f'"paths": {{\n{paths}\n}}')
        .replace('"components": {}', f'"components": {{\n{components}\n}}')
        + "\n"
    )


def _settings() -> Iterator[str]:
    yield "Each setting comes from its default, then a TOML file (`--config`, `INNKEEPER_CONFIG`,"
    yield "or `innkeeper.toml` in the user's configuration folder), then the environment, then an"
    yield "option of the command. `innkeeper settings` shows the values in force."
    yield ""
    yield "| Setting | Environment | Default | Meaning |"
    yield "|---|---|---|---|"
    for item in Settings.declarations():
        # The default folder depends on who asks and where.
        default = "the platform's data folder" if item.name == "data" else f"`{item.default}`"
        if item.default == "":
            default = "empty"
        yield f"| `{item.name}` | `{item.environment}` | {default} | {item.help} |"


def _commands() -> Iterator[str]:
    yield "Commands work while the server runs. Every command takes `--help`; most take"
    yield "`--data DIR`, `--database ADDRESS` and `--config FILE`, which name the installation"
    yield "([settings](settings.md)), and those that print data take `--json`."
    command = typer.main.get_command(app)
    yield from _command("innkeeper", command)


def _command(path: str, command: Any) -> Iterator[str]:
    # Typer brings classes of its own for what click calls Command, Group and Argument.
    if hasattr(command, "commands"):
        for name, child in command.commands.items():
            yield from _command(f"{path} {name}", child)
        return
    yield ""
    yield f"## {path}"
    yield ""
    yield (command.help or "").strip()
    rows = [_parameter(parameter) for parameter in command.params if parameter.name not in SHARED]
    if rows:
        yield ""
        yield "| Option | Meaning |"
        yield "|---|---|"
        yield from rows


def _parameter(parameter: Any) -> str:
    text = getattr(parameter, "help", None) or ""
    if parameter.param_type_name == "argument":
        name = parameter.metavar or parameter.name.upper()
    else:
        name = ", ".join([*parameter.opts, *parameter.secondary_opts])
    return f"| `{name}` | {text.strip()} |"


def _errors() -> Iterator[str]:
    yield "Every error of every route has one body: `status`, `code`, `message`, `developerMessage`"
    yield "(not on 401), `moreInfoUrl`, `statusCode` and `errors`, which names every problem found."
    yield ""
    yield "| Status | Error | When |"
    yield "|---:|---|---|"
    classes = [
        member
        for _, member in inspect.getmembers(errors, inspect.isclass)
        if issubclass(member, errors.ApiError) and member is not errors.ApiError
    ]
    for error in sorted(classes, key=lambda error: (error.status, error.__name__)):
        meaning = (inspect.getdoc(error) or "").split("\n\n")[0].replace("\n", " ")
        yield f"| {error.status} | {error.__name__} | {meaning} |"


def main() -> None:
    for name, text in pages().items():
        FOLDER.joinpath(name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
