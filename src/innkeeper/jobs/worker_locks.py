"""Advisory locks that show which workers are alive; jobs of dead workers are queued again.

A lock belongs to a connection, and the connection to a process. The database releases the lock at
once when a worker is killed, and holds it however busy a live worker is. A worker counts as dead
when its lock is free and its heartbeat has been missing for some seconds. A worker that loses its
connection and cannot reconnect exits before that, so that no job of a live worker is requeued.
"""

import logging
import threading
import time
from collections.abc import Callable
from datetime import datetime
from types import TracebackType
from typing import Any, Final, Self

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from innkeeper.store.queries import Queries

BEAT_SECONDS: Final = 2.0
SILENT_SECONDS: Final = 10.0
"""Seconds without a heartbeat, measured by our own clock, after which a worker whose lock is free
counts as dead."""
FENCE_SECONDS: Final = 5.0
"""Seconds after losing its lock at which a worker exits; noticing and reconnecting takes up to 4
more."""
LOCKS: Final = 1_481_909
"""First key of these advisory locks, which separates them from all others."""
# Both ends detect a connection to a dead machine; our end does so first.
_OURS: Final = {
    "connect_timeout": 2,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
_THEIRS: Final = "-c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=3"

log = logging.getLogger("innkeeper.jobs")


class WorkerLock:
    """Holds the locks of this process's workers and sends heartbeats, in a thread of its own.

    `lost` is called from that thread when other workers may consider this process dead: it must
    exit.
    """

    def __init__(
        self,
        dsn: str,
        lost: Callable[[], None] = lambda: None,
        silent_seconds: float = SILENT_SECONDS,
    ) -> None:
        options = conninfo_to_dict(dsn).get("options") or ""
        self._dsn = make_conninfo(dsn, options=f"{options} {_THEIRS}", **_OURS)
        self._lost = lost
        self._silent_seconds = silent_seconds
        self._queries = Queries(None)
        self._workers: dict[int, bool] = {}
        """Our workers: id -> whether this connection holds its lock."""
        self._silent_workers: dict[int, tuple[datetime, float]] = {}
        """Workers without a lock: id -> last heartbeat, and when we first saw it (monotonic)."""
        self._connection: psycopg.Connection | None = None
        self._disconnected_since: float | None = None
        self._ended = threading.Event()
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._run, name="worker locks", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._wake.set()
        self._thread.join()
        self.close()

    def add(self, worker: int) -> None:
        """Add a worker of this process."""
        self._workers[worker] = False
        self._wake.set()

    def beat(self) -> None:
        """Take our locks, send a heartbeat, and requeue the jobs of dead workers.

        Raises psycopg.Error.
        """
        connection = self._connected()
        for worker, held in list(self._workers.items()):
            if not held:
                rows = self._all("jobs.lock_worker", locks=LOCKS, worker=worker)
                self._workers[worker] = bool(rows[0][0])
        connection.execute(self._queries.text("jobs.beat"), {"workers": list(self._workers)})
        self._requeue_lost_jobs(connection)

    def close(self) -> None:
        """Release the locks by closing the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _run(self) -> None:
        while not self._ended.is_set():
            try:
                self.beat()
                self._disconnected_since = None
            except psycopg.Error as error:
                log.warning("the heartbeat of this worker failed: %s", error)
                self._fence()
            self._wake.wait(BEAT_SECONDS)
            self._wake.clear()

    def _fence(self) -> None:
        """Exit before other workers consider this one dead.

        While the connection is open, the lock is still held and nothing needs to be done.
        """
        if self._connection is not None and not self._connection.closed:
            return
        self.close()
        now = time.monotonic()
        self._disconnected_since = self._disconnected_since or now
        if self._workers and now - self._disconnected_since >= FENCE_SECONDS:
            log.error("the database is unreachable: this worker stops, its jobs run again")
            self._lost()

    def _requeue_lost_jobs(self, connection: psycopg.Connection) -> None:
        """Queue the jobs of dead workers again; the lock lets one worker at a time do so."""
        now = time.monotonic()
        silent = dict(self._all("jobs.list_unlocked_workers", locks=LOCKS))
        self._silent_workers = {
            worker: last
            if (last := self._silent_workers.get(worker)) and last[0] == at
            else (at, now)
            for worker, at in silent.items()
        }
        for worker, (at, since) in self._silent_workers.items():
            if worker in self._workers or now - since < self._silent_seconds:
                continue
            with connection.transaction():
                if self._all("jobs.lock_dead_worker", locks=LOCKS, worker=worker, at=at):
                    self._retry(worker)
                    connection.execute(self._queries.text("jobs.delete_worker"), {"worker": worker})
        with connection.transaction():
            self._retry(None)

    def _retry(self, worker: int | None) -> None:
        for job, task, _ in self._all("jobs.requeue", worker=worker):
            log.warning("job %s (%s) was interrupted and runs again", job, task)

    def _all(self, query: str, **params: Any) -> list[tuple[Any, ...]]:
        return self._connected().execute(self._queries.text(query), params).fetchall()

    def _connected(self) -> psycopg.Connection:
        if self._connection is None or self._connection.closed:
            self._workers = dict.fromkeys(self._workers, False)
            self._connection = psycopg.connect(self._dsn, autocommit=True)
        return self._connection
