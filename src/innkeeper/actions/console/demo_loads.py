"""Load the demo data into a sandbox by a background job with progress."""

from typing import Final
from uuid import UUID, uuid4

from innkeeper import clock
from innkeeper.actions.admin import audit, background
from innkeeper.actions.console import demo, demo_settings
from innkeeper.errors import Conflict
from innkeeper.resources.base import Record
from innkeeper.rules.access import SANDBOX
from innkeeper.store.database import Database
from innkeeper.store.work import Work

TASK: Final = "demo.load"
GUESTS: Final = 500
MOST_GUESTS: Final = 5000
_CHUNK: Final = 20
"""Guests that are written between two updates of the progress."""


async def start(work: Work, guests: int = GUESTS) -> Record:
    """Queue a load; raises `Conflict` unless the workspace is a sandbox without guests in which no
    other load runs."""
    if not work.workspace.endswith(SANDBOX):
        raise Conflict("Demo data is loaded only into a sandbox.")
    async with work.transaction():
        counted = await work.one("guests.count_all")
        if counted and counted["total"]:
            raise Conflict("The sandbox has guests. Empty it first.")
        ref, now = uuid4(), clock.now()
        load = await work.one("long_jobs.start_demo", ref=ref, total=guests, now=now)
        if load is None:
            raise Conflict("Demo data is being loaded already.")
        await background.defer(work, TASK, load=str(ref))
        await audit.note(work, "demo.load")
    return load


async def run(database: Database, workspace: str, load: UUID) -> None:
    """Write the demo shop and its settings. A load that was interrupted fails: its rows cannot
    be distinguished from other data."""
    async with database.work(workspace, "demo") as work:
        started = await work.one("long_jobs.begin_demo", ref=load)
    error: str | None = "The load was interrupted. Empty the sandbox and load again."
    try:
        if started:
            await _write(database, workspace, load, started["total"])
            error = None
    except Exception as fault:
        error = background.operator_message(fault)
        raise
    finally:
        async with database.work(workspace, "demo") as work:
            await work.run("long_jobs.end_demo", ref=load, error=error)


async def _write(database: Database, workspace: str, load: UUID, total: int) -> None:
    now = await demo.prepare(database, workspace)
    for first in range(0, total, _CHUNK):
        numbers = range(first, min(first + _CHUNK, total))
        await demo.write_stories(database, workspace, numbers, 1, now)
        async with database.work(workspace, "demo") as work:
            await work.run("long_jobs.count_demo", ref=load, done=numbers.stop)
    await demo.finish(database, workspace)
    async with database.work(workspace, "demo") as work:
        await demo_settings.create_settings(work)
