"""The job queue: its schema, queueing in a transaction, running, what a killed worker left."""

import asyncio
import subprocess
import sys

import psycopg
import pytest
from psycopg import AsyncConnection, sql
from waiting import until

from innkeeper.actions.admin.background import defer, list_jobs
from innkeeper.jobs import worker, worker_locks
from innkeeper.jobs.registry import scheduled, task
from innkeeper.jobs.worker import jobs_path, work_jobs
from innkeeper.jobs.worker_locks import WorkerLock
from innkeeper.settings import Settings
from innkeeper.store.migrate import migrate
from innkeeper.store.work import Work

seen: list[tuple[str, str]] = []


@task("tests.note")
async def note(work: Work, word: str) -> None:
    seen.append((work.workspace, word))


@task("tests.fail_once")
async def fail_once(work: Work, word: str) -> None:
    seen.append((work.workspace, word))
    if seen.count((work.workspace, word)) == 1:
        raise RuntimeError("the first run fails")


@task("tests.slow")
async def slow(work: Work, word: str) -> None:
    await asyncio.sleep(0.4)
    await defer(work, "tests.note", word=f"{word}, then this")
    seen.append((work.workspace, word))


async def _note_unless_live(work: Work) -> None:
    seen.append((work.workspace, "scheduled"))
    if work.workspace == "live":
        raise LookupError("live has none")


# Neither is due while tests run, but for some hours of the first of January.
scheduled("* 3 1 1 *", "tests.often")(_note_unless_live)
scheduled("3 3 1 1 *", "tests.yearly")(_note_unless_live)


@pytest.fixture(autouse=True)
def _forget() -> None:
    seen.clear()


async def test_a_job_queued_in_a_transaction_runs_in_its_workspace(dsn: str, work: Work) -> None:
    async with work.transaction():
        assert await defer(work, "tests.note", word="hello") is not None

    await work_jobs(Settings.load(database=dsn, environment={}, config=""), once=True)

    assert seen == [("live", "hello")]
    (job,) = [job for job in await list_jobs(work) if job["task"] == "tests.note"]
    assert (job["status"], job["workspace"]) == ("succeeded", "live")


async def test_a_job_of_a_rolled_back_transaction_does_not_exist(dsn: str, work: Work) -> None:
    with pytest.raises(LookupError):
        async with work.transaction():
            await defer(work, "tests.note", word="never")
            raise LookupError

    await work_jobs(Settings.load(database=dsn, environment={}, config=""), once=True)

    assert seen == []


async def test_a_job_that_failed_runs_again(dsn: str, work: Work) -> None:
    await defer(work, "tests.fail_once", word="again")

    settings = Settings.load(database=dsn, environment={}, config="")
    await work_jobs(settings, once=True)
    (job,) = [job for job in await list_jobs(work) if job["task"] == "tests.fail_once"]

    assert (job["status"], job["attempts"]) == ("todo", 1)
    assert job["scheduled_at"] is not None


@pytest.mark.parametrize(
    ("name", "again"), [("tests.often", "succeeded"), ("tests.yearly", "todo")]
)
async def test_f2_a_workspace_that_fails_holds_up_no_other(
    dsn: str, work: Work, name: str, again: str
) -> None:
    """`live` comes first. A task that comes again soon anyhow is not in the way of its next tick;
    one that comes once a year is tried again."""
    await work.connection.execute(
        "INSERT INTO jobs.procrastinate_jobs (queue_name, task_name, args, lock, queueing_lock) "
        "VALUES ('default', %s, '{\"timestamp\": 0}', %s, %s)",
        [name] * 3,
    )
    await work_jobs(Settings.load(database=dsn, environment={}, config=""), once=True)
    assert seen == [("live", "scheduled"), ("live_sandbox", "scheduled")]
    (job,) = [job for job in await list_jobs(work) if job["task"] == name]
    assert (job["status"], job["attempts"]) == (again, 1)


async def test_migrating_twice_leaves_the_queue_alone(dsn: str) -> None:
    await migrate(dsn)
    async with await AsyncConnection.connect(dsn) as connection:
        cursor = await connection.execute(
            "SELECT count(*) FROM innkeeper.migrations WHERE scope = 'jobs'"
        )
        assert await cursor.fetchone() == (1,)


async def test_once_runs_what_waits_behind_a_lock_and_what_comes_of_it(
    dsn: str, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Issue 6: it ends when nothing is due, and cuts nothing off."""
    monkeypatch.setattr(worker, "_CANCEL_SHARE", 0.001)
    for word in ("one", "two"):
        await defer(work, "tests.slow", lock="theirs", word=word)

    await work_jobs(Settings.load(database=dsn, environment={}, config=""), once=True)

    assert [word for _, word in seen if "then" not in word] == ["one", "two"]
    assert {word for _, word in seen} >= {"one, then this", "two, then this"}
    jobs = [job for job in await list_jobs(work) if job["task"].startswith("tests.")]
    assert [job["status"] for job in jobs] == ["succeeded"] * 4


async def doing(connection: AsyncConnection, worker: int, **columns: str | None) -> int:
    """A job that a worker is at; its id."""
    options = {"task_name": "tests.note", "lock": None, "queueing_lock": None, **columns}
    cursor = await connection.execute(
        "INSERT INTO jobs.procrastinate_jobs "
        "(queue_name, task_name, lock, queueing_lock, args, status, worker_id) VALUES "
        "('default', %s, %s, %s, '{}', 'doing', %s) RETURNING id",
        [*options.values(), worker],
    )
    row = await cursor.fetchone()
    assert row is not None
    return int(row[0])


async def statuses(work: Work) -> dict[int, str]:
    return {job["id"]: job["status"] for job in await list_jobs(work)}


async def test_only_the_jobs_of_dead_workers_are_requeued(dsn: str, work: Work) -> None:
    """Issue 6: a job of a live worker never is, however long it has been silent."""
    async with await AsyncConnection.connect(
        dsn, autocommit=True, options="-c search_path=jobs"
    ) as connection:
        cursor = await connection.execute(
            "INSERT INTO jobs.procrastinate_workers (last_heartbeat) "
            "SELECT now() - interval '1 day' FROM generate_series(1, 2) RETURNING id"
        )
        (living,), (dead,) = await cursor.fetchall()
        await connection.execute("SELECT pg_advisory_lock(%s, %s)", [worker_locks.LOCKS, living])
        stored, outcome = [await doing(connection, each) for each in (living, dead)]
        # Of a scheduled task whose next run waits already, which held up all others once.
        scheduled = await doing(connection, dead, lock="tick", queueing_lock="tick")
        await connection.execute(
            "INSERT INTO jobs.procrastinate_jobs (queue_name, task_name, lock, queueing_lock) "
            "VALUES ('default', 'tests.note', 'tick', 'tick')"
        )
        other = WorkerLock(jobs_path(dsn), silent_seconds=0.2)
        other.beat()
        assert (await statuses(work))[outcome] == "doing", "not before it was silent for so long"
        await asyncio.sleep(0.25)
        for _ in range(2):
            other.beat()
            result = await statuses(work)
            assert (result[stored], result[outcome], result[scheduled]) == (
                "doing",
                "todo",
                "aborted",
            )
            await asyncio.sleep(0.25)
        await connection.execute("SELECT pg_advisory_unlock_all()")
        other.beat()
        await asyncio.sleep(0.25)
        other.beat()
        assert (await statuses(work))[stored] == "todo"
        other.close()


WORKER = """
import asyncio, sys
from innkeeper.jobs import worker_locks
from innkeeper.jobs.worker_locks import WorkerLock

worker_locks.BEAT_SECONDS, worker_locks.FENCE_SECONDS = 0.1, float("inf")
with WorkerLock(sys.argv[1], lambda: print("lost", flush=True)) as own:
    own.add(int(sys.argv[2]))
    print("here", flush=True)
    sys.stdin.readline()
    worker_locks.FENCE_SECONDS = 0.0
    sys.stdin.read()
"""


def test_a_worker_whose_connection_is_cut_gets_another_or_ends(server: str, dsn: str) -> None:
    """Issue 6: no worker goes on that others may take for gone."""
    address = jobs_path(dsn)
    with psycopg.connect(address, autocommit=True) as connection:
        row = connection.execute("SELECT * FROM procrastinate_register_worker_v1()").fetchone()
        assert row is not None
        text = "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND classid = %s"

        def holder(without: int = 0) -> int:
            def look() -> list[int]:
                rows = connection.execute(text, [worker_locks.LOCKS]).fetchall()
                return [int(pid) for (pid,) in rows if pid != without]

            return until("a session that holds the worker's lock", look)[0]

        words = [sys.executable, "-c", WORKER, address, str(row[0])]
        with subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            assert process.stdin is not None
            first = holder()
            connection.execute("SELECT pg_terminate_backend(%s)", [first])
            second = holder(without=first)
            assert process.stdout.readline() == "here\n"
            name = sql.Identifier(connection.info.dbname)
            allow = sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}")
            with psycopg.connect(server, autocommit=True) as admin:
                admin.execute(allow.format(name, sql.SQL("false")))
                connection.execute("SELECT pg_terminate_backend(%s)", [second])
                process.stdin.write("it must end at once now\n")
                process.stdin.flush()
                assert process.stdout.readline() == "lost\n"
                admin.execute(allow.format(name, sql.SQL("true")))
            holder()
            process.kill()
            # Freed by the kill itself, not by a time that passes.
            until(
                "the lock to be free",
                lambda: not connection.execute(text, [worker_locks.LOCKS]).fetchall(),
            )
