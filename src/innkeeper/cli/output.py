"""Output of commands: tables for people, JSON with camelCase names for programs."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec

from innkeeper.actions.admin.keys import NewKey
from innkeeper.resources.naming import camel
from innkeeper.resources.values import plain
from innkeeper.rules.scopes import in_order


def show(value: Any) -> None:
    """Print a value as JSON."""
    print(
        msgspec.json.format(msgspec.json.encode(plain(value, camel)), indent=2).decode(), flush=True
    )


def key_row(key: NewKey) -> dict[str, Any]:
    """Return a new key and its token as a row."""
    return {
        "client_key": key.client_key,
        "api_token": key.api_token,
        "compatibility": key.compatibility,
        "scopes": [str(scope) for scope in in_order(key.scopes)],
    }


def print_rows(rows: Sequence[dict[str, Any]] | dict[str, Any], json: bool, *columns: str) -> None:
    """Print rows, or a single one, as JSON or as a table of `columns`."""
    if json:
        show(rows)
    else:
        table([rows] if isinstance(rows, dict) else rows, *columns)


def table(rows: Sequence[dict[str, Any]], *columns: str) -> None:
    """Print rows as a table, or a sentence if there are none.

    Values are never truncated, so that keys can be copied.
    """
    from rich.console import Console
    from rich.table import Table

    if not rows:
        print("Nothing is listed here.")
        return
    drawn = Table(box=None, pad_edge=False)
    for column in columns:
        drawn.add_column(column.replace("_", " "), overflow="fold")
    for row in rows:
        texts = plain(row)
        drawn.add_row(*(_text(texts[column]) for column in columns))
    console = Console(highlight=False, markup=False)
    if console.is_terminal:
        console.print(drawn)
        return
    console.width = 1000
    with console.capture() as captured:
        console.print(drawn)
    print("\n".join(line.rstrip() for line in captured.get().splitlines()))


@contextmanager
def progress_bar(*, silent: bool = False) -> Iterator[Callable[[Mapping[str, Any]], None]]:
    """Show a progress bar on a terminal's error stream; yields what updates it with
    {state, done, total}."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, disable=silent or not console.is_terminal) as bar:
        task = bar.add_task("", total=None)

        def update(row: Mapping[str, Any]) -> None:
            total = row["total"] or None
            bar.update(task, description=row["state"], completed=row["done"], total=total)

        yield update


def _text(value: Any) -> str:
    if value is None:
        return "-"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
