"""`innkeeper demo`: a believable shop to look at."""

import multiprocessing
import os
from collections import Counter
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ProcessPoolExecutor, wait
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from innkeeper.cli.options import CommandContext, Json, placed
from innkeeper.settings import Settings

if TYPE_CHECKING:
    from innkeeper.store.database import Database as Opened

MOST_PROCESSES: Final = 4
"""More would only wait for the database."""
MADE: Final = Path(".data")
"""The data folder of `make serve` and `make demo`."""
ENOUGH: Final = 500
"""Guests from which a process of its own is worth its start."""


@dataclass(frozen=True, slots=True)
class DemoPlan:
    """What a process has to know to tell its part of the stories."""

    dsn: str
    settings: Settings
    workspace: str
    guests: int
    seed: int
    now: datetime


@placed
def demo(
    here: CommandContext,
    guests: Annotated[int, typer.Option(min=1, help="People who came to the shop.")] = 5000,
    workspace: Annotated[str, typer.Option(help="Empty workspace to fill.")] = "live",
    seed: Annotated[int, typer.Option(help="Another seed tells other stories.")] = 1,
    json: Json = False,
) -> None:
    """Fill a workspace with a shop: guests, 18 months of sessions and orders, duplicates."""
    import uvloop
    from rich.progress import Progress

    from innkeeper.cli.output import show

    chosen = here.settings
    with here.database(makes=True) as dsn:
        now = uvloop.run(_prepared(dsn, chosen, workspace))
        with Progress(transient=True, disable=json) as bar:
            task = bar.add_task("People come and go", total=guests)
            shop = DemoPlan(dsn, chosen, workspace, guests, seed, now)
            told = _write_stories(shop, lambda done: bar.update(task, completed=done))
        link = uvloop.run(_finished(dsn, chosen, workspace))
        if json:
            show(told)
            return
        counts = ", ".join(f"{count:,} {what}" for what, count in told.items())
        print(f"{workspace} holds a shop now: {counts}.")
        _print_where(chosen, link)


def _print_where(chosen: Settings, link: str | None) -> None:
    """Print which database was filled, the address of the screens, and how to start a server."""
    import sys

    from innkeeper.cli.database import find_folder
    from innkeeper.cli.startup_message import save_link, screens_address, server_url
    from innkeeper.store.data_folder import DataFolder

    if chosen.database:
        print("It is in the database that --database names.")
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
    """What starts the server of a data folder, in the way that this command was started."""
    import shlex

    from innkeeper.cli.startup_message import command_name

    if "MAKELEVEL" in os.environ:
        return shlex.join(
            ["make", "serve", *([] if data.resolve() == MADE.resolve() else [f"DATA={data}"])]
        )
    return shlex.join([command_name(), "serve", "--data", str(data)])


async def _prepared(dsn: str, chosen: Settings, workspace: str) -> datetime:
    from innkeeper.actions.console import demo as stories
    from innkeeper.actions.identity.rekeying import upgrade

    await upgrade(dsn)
    async with _opened(dsn, chosen) as database:
        return await stories.prepare(database, workspace)


async def _finished(dsn: str, chosen: Settings, workspace: str) -> str | None:
    """Finish the shop; the token of a link to the screens while nobody has an account."""
    from innkeeper.actions.admin import users
    from innkeeper.actions.console import demo as stories
    from innkeeper.cli.database import find_folder
    from innkeeper.cli.startup_message import saved_link

    async with _opened(dsn, chosen) as database:
        await stories.finish(database, workspace)
        if chosen.database:
            return None
        async with database.control("operator") as work:
            return await users.first_owner_link(work, saved_link(find_folder(chosen)))


def _write_stories(shop: DemoPlan, progress: Callable[[int], None]) -> dict[str, int]:
    """All stories, told by as many processes as there are cores; how many of what."""
    processes = max(1, min(MOST_PROCESSES, os.cpu_count() or 1, shop.guests // ENOUGH))
    if processes == 1:
        return _tell(shop, range(shop.guests), progress)
    fresh = multiprocessing.get_context("spawn")
    done = fresh.Value("i", 0)
    with ProcessPoolExecutor(processes, fresh, _share, (done,)) as pool:
        parts = [
            pool.submit(_tell_part, shop, range(turn, shop.guests, processes))
            for turn in range(processes)
        ]
        while wait(parts, 0.2).not_done:
            progress(done.value)
        told: Counter[str] = Counter()
        for part in parts:
            told.update(part.result())
    return dict(told)


_done: Any = None


def _share(done: Any) -> None:
    """In each process: where it counts the guests it told of, for the bar."""
    global _done  # noqa: PLW0603 - the one way to hand it to a process of a pool
    _done = done


def _tell_part(shop: DemoPlan, numbers: range) -> dict[str, int]:
    def count(told: int) -> None:
        with _done.get_lock():
            _done.value += 1

    return _tell(shop, numbers, count)


def _tell(shop: DemoPlan, numbers: range, progress: Callable[[int], None]) -> dict[str, int]:
    import uvloop

    from innkeeper.actions.console import demo as stories

    async def tell() -> dict[str, int]:
        async with _opened(shop.dsn, shop.settings) as database:
            return await stories.write_stories(
                database, shop.workspace, numbers, shop.seed, shop.now, progress
            )

    return uvloop.run(tell())


@asynccontextmanager
async def _opened(dsn: str, chosen: Settings) -> "AsyncIterator[Opened]":
    from innkeeper.store.database import Database

    database = Database(dsn, pool_size=6, statement_timeout_ms=0, settings=chosen)
    await database.open()
    try:
        yield database
    finally:
        await database.close()
