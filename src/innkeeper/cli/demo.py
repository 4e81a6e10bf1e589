"""`innkeeper demo`: fill a workspace with the data of a realistic shop."""

import multiprocessing
import os
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, wait
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from innkeeper.cli.demo_work import add_work
from innkeeper.cli.options import CommandContext, Json, takes_database
from innkeeper.settings import Settings

if TYPE_CHECKING:
    from innkeeper.store.database import Database

MOST_PROCESSES: Final = 4
"""More processes would only wait for the database."""
MAKE_FOLDER: Final = Path(".data")
"""The data folder of `make serve` and `make demo`."""
GUESTS_PER_VISITOR: Final = 125
"""Guests for each visitor of the last hour."""
GUESTS_PER_PROCESS_MIN: Final = 500
"""Fewest guests that are worth starting another process."""


@dataclass(frozen=True, slots=True)
class DemoPlan:
    """What a process needs to write its part of the demo."""

    dsn: str
    settings: Settings
    workspace: str
    guests: int
    seed: int
    now: datetime


@takes_database
def demo(
    context: CommandContext,
    guests: Annotated[int, typer.Option(min=1, help="Number of people who visit the shop.")] = 5000,
    workspace: Annotated[str, typer.Option(help="Empty workspace to fill.")] = "live",
    seed: Annotated[int, typer.Option(help="Seed of the random data.")] = 1,
    only_guests: Annotated[
        bool, typer.Option(help="Create no segments, traits, exports and imports.")
    ] = False,
    json: Json = False,
) -> None:
    """Fill a workspace with demo data of a shop: guests, duplicates, 18 months of orders.

    It also has segments, traits, exports and imports with some failed records.
    """
    import uvloop
    from rich.progress import Progress

    from innkeeper.cli.output import show

    chosen = context.settings
    with context.database(creates=True) as dsn:
        now = uvloop.run(_prepared(dsn, chosen, workspace))
        with Progress(transient=True, disable=json) as bar:
            task = bar.add_task("Creating guests", total=guests)
            plan = DemoPlan(dsn, chosen, workspace, guests, seed, now)
            counts = _write_guests(plan, lambda done: bar.update(task, completed=done))
        link = uvloop.run(_finished(dsn, chosen, workspace, guests))
        if not only_guests:
            add_work(replace(context, settings=replace(chosen, database=dsn)), workspace, guests)
        if json:
            show(counts)
            return
        summary = ", ".join(f"{count:,} {what}" for what, count in counts.items())
        print(f"{workspace} now contains a demo shop: {summary}.")
        _print_where(chosen, link)


def _print_where(chosen: Settings, link: str | None) -> None:
    """Print which database was filled, the address of the screens, and how to start a server."""
    import sys

    from innkeeper.cli.database import find_folder
    from innkeeper.cli.startup_message import save_link, screens_address, server_url
    from innkeeper.store.data_folder import DataFolder

    if chosen.database:
        print("It was written to the database named by --database.")
        return
    data = find_folder(chosen)
    announced = DataFolder(data).announced()
    print(f"Data folder: {data.resolve()}")
    if announced is None and not chosen.port:
        print(f"Screens: the server prints their address. Start it: {_start_command(data)}")
        return
    url = server_url(chosen.host, chosen.port) if announced is None else announced.url
    if announced is None and link is not None:
        save_link(data, url, link)
    print(f"Screens: {screens_address(data, url, link, terminal=sys.stdout.isatty())}")
    if announced is None:
        print(f"They open once the server runs. Start it: {_start_command(data)}")


def _start_command(data: Path) -> str:
    """Return the command that starts the server of a data folder: `make serve` under make."""
    import shlex

    from innkeeper.cli.startup_message import command_name

    if "MAKELEVEL" in os.environ:
        return shlex.join(
            [
                "make",
                "serve",
                *([] if data.resolve() == MAKE_FOLDER.resolve() else [f"DATA={data}"]),
            ]
        )
    return shlex.join([command_name(), "serve", "--data", str(data)])


async def _prepared(dsn: str, chosen: Settings, workspace: str) -> datetime:
    from innkeeper.actions.console import demo as stories
    from innkeeper.actions.identity.rekeying import upgrade

    await upgrade(dsn)
    async with _database(dsn, chosen) as database:
        return await stories.prepare(database, workspace)


async def _finished(dsn: str, chosen: Settings, workspace: str, guests: int) -> str | None:
    """Finish the demo; return the token of a link to the screens if there are no users yet."""
    from innkeeper.actions.admin import users
    from innkeeper.actions.console import demo as stories
    from innkeeper.cli.database import find_folder
    from innkeeper.cli.startup_message import saved_link

    async with _database(dsn, chosen) as database:
        await stories.finish(database, workspace, guests // GUESTS_PER_VISITOR)
        if chosen.database:
            return None
        async with database.control("operator") as work:
            return await users.first_owner_link(work, saved_link(find_folder(chosen)))


def _write_guests(plan: DemoPlan, progress: Callable[[int], None]) -> dict[str, int]:
    """Write all guests in as many processes as there are cores; return kind of row -> count."""
    most = plan.guests // GUESTS_PER_PROCESS_MIN
    processes = max(1, min(MOST_PROCESSES, os.cpu_count() or 1, most))
    if processes == 1:
        return _write_range(plan, range(plan.guests), progress)
    fresh = multiprocessing.get_context("spawn")
    done = fresh.Value("i", 0)
    with ProcessPoolExecutor(processes, fresh, _share, (done,)) as pool:
        parts = [
            pool.submit(_write_part, plan, range(first, plan.guests, processes))
            for first in range(processes)
        ]
        while wait(parts, 0.2).not_done:
            progress(done.value)
        counts: Counter[str] = Counter()
        for part in parts:
            counts.update(part.result())
    return dict(counts)


_done: Any = None


def _share(done: Any) -> None:
    """Set, in each process of the pool, the shared counter of finished guests."""
    global _done  # noqa: PLW0603 - the only way to pass it to the processes of a pool
    _done = done


def _write_part(plan: DemoPlan, numbers: range) -> dict[str, int]:
    def count(_: int) -> None:
        with _done.get_lock():
            _done.value += 1

    return _write_range(plan, numbers, count)


def _write_range(plan: DemoPlan, numbers: range, progress: Callable[[int], None]) -> dict[str, int]:
    import uvloop

    from innkeeper.actions.console import demo as stories

    async def write() -> dict[str, int]:
        async with _database(plan.dsn, plan.settings) as database:
            return await stories.write_stories(
                database, plan.workspace, numbers, plan.seed, plan.now, progress
            )

    return uvloop.run(write())


def _database(dsn: str, chosen: Settings) -> "Database":
    from innkeeper.store.database import Database

    return Database(dsn, pool_size=6, statement_timeout_ms=0, settings=chosen)
