"""The worker: the process that runs background jobs, started by `serve` or by hand."""

import asyncio
import logging
import os
import signal
from importlib import import_module
from typing import Final

import procrastinate

from innkeeper.jobs.board import BOARD, DATABASE
from innkeeper.settings import Settings
from innkeeper.store.database import Database, with_options
from innkeeper.store.processes import follow_parent
from innkeeper.web.observe import configure_logs

MODULES: Final = (
    "innkeeper.jobs.upkeep",
    "innkeeper.jobs.identity",
    "innkeeper.jobs.stream",
    "innkeeper.jobs.batches",
    "innkeeper.jobs.lake",
    "innkeeper.jobs.privacy",
)
"""Every module that registers tasks."""
CONCURRENCY: Final = 4
"""Jobs that run at once in one worker."""
GRACE_SECONDS: Final = 20.0
"""How long a stop waits for jobs under way; then they are cut off and queued again."""


def queue_of(dsn: str) -> procrastinate.App:
    """The queue in the database, with every task registered."""
    for module in MODULES:
        import_module(module)
    connector = procrastinate.PsycopgConnector(
        conninfo=_with_jobs_path(with_options(dsn)), min_size=1, max_size=4
    )
    app = procrastinate.App(connector=connector)
    app.add_tasks_from(BOARD, namespace="")
    return app


def _with_jobs_path(dsn: str) -> str:
    from psycopg.conninfo import conninfo_to_dict, make_conninfo  # noqa: PLC0415

    options = str(conninfo_to_dict(dsn).get("options") or "")
    return make_conninfo(dsn, options=f"{options} -c search_path=jobs")


async def work_jobs(settings: Settings, *, once: bool = False) -> None:
    """Run jobs until told to stop; with `once`, until none is waiting."""
    database = Database(settings.database, CONCURRENCY + 1, 0, settings)
    await database.open()
    try:
        async with queue_of(settings.database).open_async() as queue:
            await queue.run_worker_async(
                concurrency=CONCURRENCY,
                wait=not once,
                delete_jobs="never",
                shutdown_graceful_timeout=GRACE_SECONDS,
                additional_context={DATABASE: database},
            )
    finally:
        await database.close()


def main() -> None:
    """The process that `serve` starts: settings from the environment, ends with its parent."""
    parent = int(os.environ.get("INNKEEPER_PARENT", "0"))
    follow = follow_parent(signal.SIGTERM, parent) if parent else None
    if follow is not None:
        follow()
    settings = Settings.from_environment()
    configure_logs(settings.log_level, settings.log_format)
    # Two lines a job, with its arguments, are for a developer only.
    logging.getLogger("procrastinate").setLevel(logging.WARNING)
    asyncio.run(work_jobs(settings))
