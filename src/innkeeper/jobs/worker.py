"""The worker process that runs background jobs, started by `serve` or by `jobs run`."""

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
from innkeeper.actions.audiences import delivery_slots
from innkeeper.jobs.registry import DATABASE, TASKS
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
    "innkeeper.jobs.bulk_actions",
    "innkeeper.jobs.import_sources",
    "innkeeper.jobs.lake",
    "innkeeper.jobs.privacy",
    "innkeeper.jobs.demo",
    "innkeeper.jobs.mails",
)
"""Every module that registers tasks."""
CONCURRENCY: Final = 4
"""Jobs that run at once in one worker, in addition to deliveries."""
_CANCEL_SHARE: Final = 0.4
_END_SHARE: Final = 0.5
"""Shares of `stop_seconds` after which running jobs are cancelled and queued again, and after
which the process exits even if threads still wait."""
LOST: Final = 75
"""Exit status of a worker that must stop because other workers may requeue its jobs."""
_CONNECTIONS: Final = 4
"""Pool connections for deliveries, which hold one only briefly, and for maintenance."""
_IDLE_CHECK_SECONDS: Final = 0.05
_POLL_SECONDS: Final = 5.0
_POLL_SECONDS_ONCE: Final = 0.2
_PRUNE_SECONDS: Final = 7 * 86400.0
"""Longer than any outage, so that `worker_locks` alone decides which workers are dead."""


def queue_of(dsn: str) -> procrastinate.App:
    """Return the job queue of a database, with every task registered."""
    for module in MODULES:
        import_module(module)
    connector = procrastinate.PsycopgConnector(conninfo=jobs_path(dsn), min_size=1, max_size=6)
    app = procrastinate.App(connector=connector)
    app.add_tasks_from(TASKS, namespace="")
    return app


def jobs_path(dsn: str) -> str:
    """Return the database address with the queue's schema as search path."""
    from psycopg.conninfo import conninfo_to_dict, make_conninfo  # noqa: PLC0415

    dsn = with_options(dsn)
    options = str(conninfo_to_dict(dsn).get("options") or "")
    return make_conninfo(dsn, options=f"{options} -c search_path=jobs")


async def work_jobs(
    settings: Settings, *, once: bool = False, lost: Callable[[], None] = lambda: None
) -> None:
    """Run jobs until a stop signal; with `once`, until no job is due, except scheduled ones that
    were added meanwhile.

    `lost` is called from another thread when the database has been unreachable for so long that
    another worker may requeue the jobs of this one.
    """
    async with (
        Database(settings.database, CONCURRENCY + 1 + _CONNECTIONS, 0, settings) as database,
        queue_of(settings.database).open_async() as queue,
    ):
        with WorkerLock(jobs_path(settings.database), lost) as lock:
            await _run(queue, database, lock, once=once)


async def _run(
    queue: procrastinate.App, database: Database, lock: WorkerLock, *, once: bool
) -> None:
    lanes = {"default": CONCURRENCY, DELIVERIES: delivery_slots.CONCURRENCY}
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
        running = [asyncio.create_task(_run_worker(worker)) for worker in workers]
        ids = [await _worker_id(each, task) for each, task in zip(workers, running, strict=True)]
        for each in ids:
            lock.add(each)
        if once and last is not None:
            async with database.control("jobs") as work:
                await _until_idle(work, ids, last["id"], running)
            stop()
        # If one worker fails, all of them stop: the parent process starts a new process.
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


async def _run_worker(worker: Worker) -> None:
    """Run a worker until it stops."""
    await worker.run()  # type: ignore[no-untyped-call]


async def _worker_id(worker: Worker, running: asyncio.Task[None]) -> int:
    """Wait until a worker is registered and return its id."""
    while worker.worker_id is None:
        if running.done():
            await running
            raise RuntimeError("a worker ended before it was registered")
        await asyncio.sleep(0.001)
    return worker.worker_id


async def _until_idle(
    work: Work, workers: Sequence[int], last: int, running: Sequence[asyncio.Task[None]]
) -> None:
    """Wait until no job is due or running here, or a worker has ended."""
    while not any(task.done() for task in running):
        row = await work.one("jobs.left", workers=workers, last=last)
        if row is not None and not row["any"]:
            return
        await asyncio.sleep(_IDLE_CHECK_SECONDS)


def end_at_once() -> None:
    """Exit this process immediately, without cleanup."""
    os._exit(LOST)


def main() -> None:
    """Run the worker that `serve` starts: settings from the environment, ends with its parent."""
    parent = int(os.environ.get("INNKEEPER_PARENT", "0"))
    follow = follow_parent(signal.SIGTERM, parent) if parent else None
    if follow is not None:
        follow()
    settings = Settings.from_environment()
    configure_logs(settings.log_level, settings.log_format)
    # The queue logs two lines a job, with its arguments: useful to developers only.
    logging.getLogger("procrastinate").setLevel(logging.WARNING)
    collect_seldom()
    asyncio.run(work_jobs(settings, lost=end_at_once))
