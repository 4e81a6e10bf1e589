"""The job queue: its schema, queueing in a transaction, running, what a killed worker left."""

import pytest
from psycopg import AsyncConnection

from innkeeper.actions.admin.background import defer, list_jobs
from innkeeper.jobs.board import task
from innkeeper.jobs.worker import work_jobs
from innkeeper.settings import Settings
from innkeeper.store.migrate import migrate
from innkeeper.store.work import Work

pytestmark = pytest.mark.anyio

seen: list[tuple[str, str]] = []


@task("tests.note")
async def note(work: Work, word: str) -> None:
    seen.append((work.workspace, word))


@task("tests.fail_once")
async def fail_once(work: Work, word: str) -> None:
    seen.append((work.workspace, word))
    if seen.count((work.workspace, word)) == 1:
        raise RuntimeError("the first run fails")


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


async def test_migrating_twice_leaves_the_queue_alone(dsn: str) -> None:
    await migrate(dsn)
    async with await AsyncConnection.connect(dsn) as connection:
        cursor = await connection.execute(
            "SELECT count(*) FROM innkeeper.migrations WHERE scope = 'jobs'"
        )
        assert await cursor.fetchone() == (1,)
