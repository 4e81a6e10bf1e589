"""The worker: the process that runs background jobs, started by `serve` or by hand."""

import asyncio
import logging
import os
import signal
import threading
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Final

import procrastinate
from procrastinate.signals import on_stop
from procrastinate.worker import Worker

from innkeeper.actions.admin.background import DELIVERIES
from innkeeper.actions.audiences import workspace_share
from innkeeper.jobs.registry import BOARD, DATABASE
from innkeeper.jobs.worker_locks import WorkerLock
from innkeeper.settings import Settings
from innkeeper.store.database import Database, with_options
from innkeeper.store.memory import collect_seldom
from innkeeper.store.processes import follow_parent
from innkeeper.store.work import Work
from innkeeper.web.observability import configure_logs

MODULES: Final = (
    "innkeeper.jobs.maintenance",
    "innkeeper.jobs.requeue",
    "innkeeper.jobs.identity",
    "innkeeper.jobs.stream",
    "innkeeper.jobs.batches",
    "innkeeper.jobs.lake",
    "innkeeper.jobs.privacy",
)
"""Every module that registers tasks."""
CONCURRENCY: Final = 4
"""Jobs that run at once in one worker, beside deliveries."""
_CANCEL_SHARE: Final = 0.4
_END_SHARE: Final = 0.5
"""Shares of `stop_seconds` after which jobs under way are cancelled and queued again, and after
which the process ends whatever its threads wait for."""
LOST: Final = 75
"""The exit status of a worker that must not go on: others take its jobs for left behind."""
_CONNECTIONS: Final = 4
"""For deliveries, which hold one for a moment only, and for upkeep."""
_LOOK_SECONDS: Final = 0.05
_POLL_SECONDS: Final = 5.0
_POLL_SECONDS_ONCE: Final = 0.2
_PRUNE_SECONDS: Final = 7 * 86400.0
"""Longer than any silence: `presence` decides who is gone."""


def queue_of(dsn: str) -> procrastinate.App:
    """The queue in the database, with every task registered."""
    for module in MODULES:
        import_module(module)
    connector = procrastinate.PsycopgConnector(conninfo=jobs_path(dsn), min_size=1, max_size=6)
    app = procrastinate.App(connector=connector)
    app.add_tasks_from(BOARD, namespace="")
    return app


def jobs_path(dsn: str) -> str:
    """The address for connections that find the queue's tables without their schema."""
    from psycopg.conninfo import conninfo_to_dict, make_conninfo  # noqa: PLC0415

    dsn = with_options(dsn)
    options = str(conninfo_to_dict(dsn).get("options") or "")
    return make_conninfo(dsn, options=f"{options} -c search_path=jobs")


async def work_jobs(
    settings: Settings, *, once: bool = False, lost: Callable[[], None] = lambda: None
) -> None:
    """Run jobs until told to stop; with `once`, until nothing is due that was not scheduled since.

    `lost` is called, from another thread, when the database is out of reach for so long that
    another worker may begin the jobs of this one again.
    """
    database = Database(settings.database, CONCURRENCY + 1 + _CONNECTIONS, 0, settings)
    await database.open()
    try:
        async with queue_of(settings.database).open_async() as queue:
            with WorkerLock(jobs_path(settings.database), lost) as presence:
                await _run(queue, database, presence, once=once)
    finally:
        await database.close()


async def _run(
    queue: procrastinate.App, database: Database, presence: WorkerLock, *, once: bool
) -> None:
    lanes = {"default": CONCURRENCY, DELIVERIES: workspace_share.SLOTS}
    workers = [_worker(queue, name, slots, database, once=once) for name, slots in lanes.items()]

    def stop() -> None:
        for worker in workers:
            worker.stop()  # type: ignore[no-untyped-call]

    def stop_in_time() -> None:
        seconds = database.settings.stop_seconds * _END_SHARE
        last = threading.Timer(seconds, os._exit, (0,))
        last.daemon = True
        last.start()
        stop()

    async with database.control("jobs") as work:
        last = await work.one("jobs.last")
    with on_stop(stop_in_time):
        running = [asyncio.create_task(_ended(worker)) for worker in workers]
        ids = [await _registered(each, task) for each, task in zip(workers, running, strict=True)]
        for each in ids:
            presence.add(each)
        if once and last is not None:
            async with database.control("jobs") as work:
                await _until_idle(work, ids, last["id"], running)
            stop()
        # One that ends for a fault of its own ends all: whoever started us starts us anew.
        await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
        stop()
        await asyncio.gather(*running)


def _worker(
    queue: procrastinate.App, name: str, slots: int, database: Database, *, once: bool
) -> Worker:
    return Worker(
        queue,
        queues=[name],
        concurrency=slots,
        fetch_job_polling_interval=_POLL_SECONDS_ONCE if once else _POLL_SECONDS,
        delete_jobs="never",
        shutdown_graceful_timeout=database.settings.stop_seconds * _CANCEL_SHARE,
        stalled_worker_timeout=_PRUNE_SECONDS,
        install_signal_handlers=False,
        additional_context={DATABASE: database},
    )


async def _ended(worker: Worker) -> None:
    """Run a worker to its end."""
    await worker.run()  # type: ignore[no-untyped-call]


async def _registered(worker: Worker, running: asyncio.Task[None]) -> int:
    """The id that a worker got."""
    while worker.worker_id is None:
        if running.done():
            await running
            raise RuntimeError("a worker ended before it began")
        await asyncio.sleep(0.001)
    return worker.worker_id


async def _until_idle(
    work: Work, workers: Sequence[int], last: int, running: Sequence[asyncio.Task[None]]
) -> None:
    """Wait until nothing is due and nothing is under way here, or a worker has ended."""
    while not any(task.done() for task in running):
        found = await work.one("jobs.left", workers=workers, last=last)
        if found is not None and not found["any"]:
            return
        await asyncio.sleep(_LOOK_SECONDS)


def end_at_once() -> None:
    """End this process without another step."""
    os._exit(LOST)


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
    collect_seldom()
    asyncio.run(work_jobs(settings, lost=end_at_once))
