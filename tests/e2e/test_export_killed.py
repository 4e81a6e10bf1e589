"""kill -9 of the worker in the middle of an audience export: it goes on, and nothing is doubled."""

import gzip
import json
import os
import subprocess
import threading
import time
from collections.abc import Callable
from uuid import uuid4

import psycopg
import pytest
from batching import declared, packed, upsert
from calling import Api, body_of
from idle import RECEIVERS, api, server
from process import COMMAND, Innkeeper
from profiles import LONG
from receiving import Receiver, Receiving
from waiting import PATIENCE_SECONDS, until

from innkeeper.jobs.worker import jobs_path
from innkeeper.jobs.worker_locks import WorkerLock

__all__ = ["api", "server"]

GUESTS = 1100
"""Wait as long as in production until another worker takes back the jobs, and measure how long."""
WITHIN_SECONDS = 20
"""What docs/architecture.md promises; only the long profile, on a quiet machine, holds us to it."""
OWN = "/innkeeper/v1/exports"
EVERYBODY = {
    "filterGroups": [
        {"entity": "guest", "rules": [{"field": "ref", "comparator": "is not null", "values": []}]}
    ]
}


@pytest.fixture
def dsn(server: Innkeeper) -> str:
    return str(json.loads((server.data / "server.json").read_text())["dsn"])


def worker(server: Innkeeper) -> subprocess.Popen[bytes]:
    words = [COMMAND, "jobs", "run", "--data", server.data]
    return subprocess.Popen(words, stderr=subprocess.DEVNULL, env=os.environ | RECEIVERS)


def work(server: Innkeeper, what: str, done: Callable[[], object]) -> None:
    """Let a worker work until something is done."""
    process = worker(server)
    try:
        until(what, done)
    finally:
        process.terminate()
        process.wait(PATIENCE_SECONDS)


def kill(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()


def take_back(dsn: str) -> None:
    """Some seconds pass, in which other workers would see that this one is silent."""
    if LONG:
        return
    presence = WorkerLock(jobs_path(dsn), silent_seconds=0)
    with psycopg.connect(dsn) as connection:
        doing = "SELECT FROM jobs.procrastinate_jobs WHERE status = 'doing'"
        until(
            "the jobs of the killed worker to be queued again",
            lambda: presence.beat() or not connection.execute(doing).fetchall(),
        )
    presence.close()


def everybody(api: Api, server: Innkeeper) -> set[str]:
    """A batch of guests, applied; the refs of all."""
    file = packed([upsert(f"guest{number}@example.com") for number in range(GUESTS)])
    batch = body_of(api.put(f"/v2/batches/{uuid4()}", json=declared(file)))
    assert api.put(batch["location"]["href"], content=file, auth=None).status_code == 200
    path = f"/v2/batches/{batch['ref']}"
    work(server, "the batch", lambda: api.get(path).json()["status"]["code"] == "success")
    dsn = json.loads((server.data / "server.json").read_text())["dsn"]
    with psycopg.connect(dsn) as connection:
        rows = connection.execute("SELECT ref::text FROM ws_live.guests").fetchall()
    assert len(rows) == GUESTS
    return {ref for (ref,) in rows}


class Killing(Receiver):
    """Kills who sends the second batch, before it hears that this one arrived."""

    victim: subprocess.Popen[bytes] | None = None

    def __init__(self) -> None:
        super().__init__()
        self.RequestHandlerClass = KillingHandler


class KillingHandler(Receiving):
    server: Killing

    def do_POST(self) -> None:
        if len(self.server.got) == 1 and self.server.victim is not None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.server.got.append((dict(self.headers), body))
            kill(self.server.victim)
            self.server.victim = None
            self.close_connection = True
            return
        super().do_POST()


@pytest.mark.long
def test_killed_while_it_writes_and_while_it_delivers(
    server: Innkeeper, api: Api, dsn: str
) -> None:
    """Issue 6: an interrupted export resumes, and doubles nothing."""
    refs = everybody(api, server)
    segment = body_of(
        api.post("/innkeeper/v1/segments", json={"name": "A", "definition": EVERYBODY})
    )
    with Killing() as receiver:
        threading.Thread(target=receiver.serve_forever, daemon=True).start()
        body = {
            "name": "Out",
            "segment": segment["ref"],
            "definitionType": "DELTA",
            "format": "NDJSON",
            "columns": ["ref"],
            "destination": {"type": "WEBHOOK", "url": receiver.url},
        }
        export = body_of(api.post(OWN, json=body))
        execution = body_of(api.post(f"{OWN}/{export['ref']}/run"))["executionRef"]
        folder = server.data / "files" / "live" / "exports" / execution
        with psycopg.connect(dsn) as other:
            # It has written its file, and cannot list it.
            other.execute("LOCK TABLE ws_live.export_files IN EXCLUSIVE MODE")
            process = worker(server)
            until("the file of the export", lambda: folder.is_dir() and any(folder.iterdir()))
            kill(process)
        (item,) = api.get(f"{OWN}/{export['ref']}/executions").json()["items"]
        assert item["status"] not in ("SUCCESS", "FAILED")

        take_back(dsn)
        began = time.monotonic()
        receiver.victim = worker(server)
        until("the second batch, which kills its sender", lambda: receiver.victim is None)
        assert not LONG or time.monotonic() - began < WITHIN_SECONDS
        assert len(receiver.got) == 2
        take_back(dsn)
        began = time.monotonic()
        work(server, "all four batches", lambda: len(receiver.got) == 4)
        assert not LONG or time.monotonic() - began < WITHIN_SECONDS
        receiver.shutdown()

    (item,) = api.get(f"{OWN}/{export['ref']}/executions").json()["items"]
    assert (item["status"], item["successAdd"], item["deliveryError"]) == ("SUCCESS", GUESTS, None)
    assert [path.name for path in folder.iterdir()] == ["0000.ndjson.gz"]
    assert refs_in(gzip.decompress(next(folder.iterdir()).read_bytes())) == sorted(refs)
    # The batch that nobody noted came again, under the key that it had.
    batches = {headers["Idempotency-Key"]: body for headers, body in receiver.got}
    assert len(receiver.got) == 4
    assert [key.rpartition("-")[2] for key in batches] == ["0", "500", "1000"]
    assert refs_in(b"".join(batches.values())) == sorted(refs)
    # The baseline was moved once: the next delta has nothing to tell.
    again = body_of(api.post(f"{OWN}/{export['ref']}/run"))["executionRef"]
    path = f"{OWN}/executions/{again}/files"
    work(server, "the second execution", lambda: api.get(path).status_code == 200)
    assert body_of(api.get(path))["exports"] == []


def refs_in(lines: bytes) -> list[str]:
    return sorted(json.loads(line)["ref"] for line in lines.splitlines())
