"""Which workers live: each holds a lock in the database; the jobs of who is gone are taken back.

The lock belongs to a connection, which ends with its process: the database frees it at once when
a worker is killed, and keeps it however busy one that lives is. A worker is gone when its lock is
free and it has told nothing for some seconds. One that lost its connection and gets no other ends
itself before that, so that no job of a live worker is taken.
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
"""A worker whose lock is free is gone once it has told nothing for so long, as we saw ourselves."""
FENCE_SECONDS: Final = 5.0
"""So long after its lock was lost a worker ends; it notices and tries to connect within 4 more."""
LOCKS: Final = 1_481_909
"""The number that keeps these advisory locks apart from all others."""
# A connection to a machine that is gone is noticed by both ends: by us first.
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
    """Tells that the workers of this process live, from a thread that no job holds up.

    `lost` is called from it when this process may be taken for gone: it must end.
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
        self._silent = silent_seconds
        self._queries = Queries(None)
        self._workers: dict[int, bool] = {}
        """Our workers, and whether this connection holds their locks."""
        self._seen: dict[int, tuple[datetime, float]] = {}
        self._connection: psycopg.Connection | None = None
        self._alone_since: float | None = None
        self._ended = threading.Event()
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._run, name="presence", daemon=True)

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
        """A worker of this process, from now on."""
        self._workers[worker] = False
        self._wake.set()

    def beat(self) -> None:
        """Hold our locks, tell that we live, take back the jobs of who is gone.

        Raises psycopg.Error.
        """
        connection = self._connected()
        for worker, held in list(self._workers.items()):
            if not held:
                answer = self._all("jobs.hold", locks=LOCKS, worker=worker)
                self._workers[worker] = bool(answer[0][0])
        connection.execute(self._queries.text("jobs.beat"), {"workers": list(self._workers)})
        self._take_back(connection)

    def close(self) -> None:
        """Let go of the locks."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _run(self) -> None:
        while not self._ended.is_set():
            try:
                self.beat()
                self._alone_since = None
            except psycopg.Error as error:
                log.warning("cannot tell that this worker lives: %s", error)
                self._fence()
            self._wake.wait(BEAT_SECONDS)
            self._wake.clear()

    def _fence(self) -> None:
        """End before others take us for gone. With the connection up the lock is held still."""
        if self._connection is not None and not self._connection.closed:
            return
        self.close()
        now = time.monotonic()
        self._alone_since = self._alone_since or now
        if self._workers and now - self._alone_since >= FENCE_SECONDS:
            log.error("the database cannot be reached: this worker ends, its jobs run again")
            self._lost()

    def _take_back(self, connection: psycopg.Connection) -> None:
        """Queue again what workers that are gone were at; nobody else does so at the same time."""
        now = time.monotonic()
        silent = dict(self._all("jobs.unheld", locks=LOCKS))
        self._seen = {
            worker: seen if (seen := self._seen.get(worker)) and seen[0] == at else (at, now)
            for worker, at in silent.items()
        }
        for worker, (at, since) in self._seen.items():
            if worker in self._workers or now - since < self._silent:
                continue
            with connection.transaction():
                if self._all("jobs.gone", locks=LOCKS, worker=worker, at=at):
                    self._retry(worker)
                    connection.execute(self._queries.text("jobs.forget_worker"), {"worker": worker})
        with connection.transaction():
            self._retry(None)

    def _retry(self, worker: int | None) -> None:
        for job, task, _ in self._all("jobs.take_back", worker=worker):
            log.warning("job %s (%s) was cut off and runs again", job, task)

    def _all(self, query: str, **params: Any) -> list[tuple[Any, ...]]:
        return self._connected().execute(self._queries.text(query), params).fetchall()

    def _connected(self) -> psycopg.Connection:
        if self._connection is None or self._connection.closed:
            self._workers = dict.fromkeys(self._workers, False)
            self._connection = psycopg.connect(self._dsn, autocommit=True)
        return self._connection
