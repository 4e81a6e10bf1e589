"""S4: users' SQL runs in a child process whose memory, processor time and time are limited."""

import asyncio
import os
import resource
from pathlib import Path

import pytest

from innkeeper.actions.audiences import audience_exports, segment_questions, segments
from innkeeper.actions.records import guests
from innkeeper.errors import Invalid, Unavailable
from innkeeper.lake import sql_process
from innkeeper.lake.flush import flush
from innkeeper.lake.segment_members import Question, find_members
from innkeeper.lake.snapshot import opened
from innkeeper.lake.sql_child import run
from innkeeper.lake.sql_jobs import LONGEST, Job
from innkeeper.lake.sql_process import check_sql, environment, find_sql_members
from innkeeper.store.limiter import Limiter
from innkeeper.store.process_limits import limit_memory
from innkeeper.store.work import Work

PLAIN = "SELECT guest_ref FROM guests"


def doubling(levels: int) -> str:
    """Columns that double with every level: 555 characters are 65,536 times the guests' columns."""
    parts = ["a0 AS (SELECT * FROM guests)"]
    parts += [f"a{n} AS (SELECT * FROM a{n - 1} x, a{n - 1} y)" for n in range(1, levels)]
    return f"WITH {', '.join(parts)} SELECT guest_ref FROM a{levels - 1}"


def replacing(levels: int) -> str:
    """A text that is 1,000 times as long with every level."""
    letters = f"'{'x' * 1000}'"
    text = letters
    for _ in range(levels):
        text = f"replace({text}, 'x', {letters})"
    return f"SELECT {text} AS guest_ref FROM guests"


@pytest.fixture(autouse=True)
def _nothing_checked() -> None:
    sql_process._checked.clear()


async def test_s4_nested_queries_cannot_take_long_to_save(
    work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The text that took 48 s and 1.3 GB to save is refused, and this process parsed none of it."""
    text = doubling(16)
    assert len(text) < 600
    monkeypatch.setattr(sql_process, "CHECK_CPU_SECONDS", 2)
    before = resource.getrusage(resource.RUSAGE_SELF)
    with pytest.raises(Invalid, match="too complex"):
        await segments.create(work, {"name": "Doubling", "definition": {"sql": text}})
    after = resource.getrusage(resource.RUSAGE_SELF)
    # The child's own time is counted apart; here there is only the waiting for it.
    assert after.ru_utime - before.ru_utime < sql_process.CHECK_CPU_SECONDS
    assert await segments.list_all(work) == []


def children_left() -> list[str]:
    """Children of this process that run SQL."""
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    return [each for each in children if b"sql_child" in Path(f"/proc/{each}/cmdline").read_bytes()]


async def test_s4_the_kill_timer_ends_a_child_that_does_not_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sql_process, "START_SECONDS", 0.0)
    monkeypatch.setattr(sql_process, "CHECK_CPU_SECONDS", 1)
    with pytest.raises(Unavailable, match="too busy"):
        await check_sql(doubling(16))
    assert sql_process._checked == {}
    assert children_left() == []


async def test_s4_memory_has_a_limit(work: Work, tmp_path: Path) -> None:
    """Nested `replace` took 8.5 GB against a limit of 1,024 MB."""
    await guests.create(work, {"guest_type": "visitor"})
    async with opened(work) as lake:
        with pytest.raises(Invalid, match="needs more than 128 MB"):
            await find_sql_members(lake.snapshot, replacing(3), tmp_path, 30)
    most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    assert most < 1024 + sql_process.MORE_MEMORY_MB + 100


def test_s4_the_limit_of_memory_counts_what_is_allocated(tmp_path: Path) -> None:
    """Of a process that allocates more, in one that is thrown away."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        limit_memory(64)
        try:
            locked = bytearray(128 * 2**20)
            os.write(write, b"%d" % len(locked))
        except MemoryError:
            os.write(write, b"MemoryError")
        os._exit(0)
    os.close(write)
    assert os.read(read, 100) == b"MemoryError"
    os.waitpid(child, 0)
    os.close(read)


@pytest.mark.long
async def test_s4_the_answer_holds_refs_of_guests_alone(work: Work, tmp_path: Path) -> None:
    """Whatever a text returns, the answer is no longer than the list of guests."""
    guest = [await guests.create(work, {"guest_type": "customer"}) for _ in range(3)]
    await flush(work)
    cases = [
        ("SELECT guest_ref FROM guests UNION ALL SELECT guest_ref FROM guests", 3),
        ("SELECT upper(guest_ref) AS guest_ref FROM guests", 0),
        ("SELECT 1 AS guest_ref FROM guests a, guests b, guests c", 0),
    ]
    async with opened(work) as lake:
        for text, size in cases:
            path, rows = await find_sql_members(lake.snapshot, text, tmp_path, 10)
            assert (rows, len(path.read_text().split())) == (size, size)
        result = await find_members(lake, Question.of({"sql": PLAIN}, {}))
    assert result == sorted(str(each["ref"]) for each in guest)


@pytest.mark.long
async def test_s4_a_few_texts_are_checked_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two run, two wait, the fifth is 503; nothing is left when they have ended."""
    running, most = 0, 0
    started = asyncio.create_subprocess_exec

    async def counted(*words: object, **more: object) -> asyncio.subprocess.Process:
        nonlocal running, most
        running += 1
        most = max(most, running)
        process = await started(*words, **more)
        waited = process.communicate

        async def communicate(payload: bytes) -> tuple[bytes, bytes]:
            nonlocal running
            try:
                return await waited(payload)
            finally:
                running -= 1

        process.communicate = communicate
        return process

    monkeypatch.setattr(asyncio, "create_subprocess_exec", counted)
    limiter = Limiter("checks of SQL", at_once=2, waiting=2, wait_seconds=120)
    monkeypatch.setattr(sql_process, "CHECKS", limiter)
    texts = [f"{PLAIN} WHERE core_city = '{number}'" for number in range(5)]
    outcomes = await asyncio.gather(*map(check_sql, texts), return_exceptions=True)
    assert [type(each) for each in outcomes if each is not None] == [Unavailable]
    assert most == 2
    assert limiter.queued == 0


async def test_s4_a_text_is_checked_once(monkeypatch: pytest.MonkeyPatch, work: Work) -> None:
    """Before a connection is taken; the action that saves it finds the outcome, good or bad."""
    for text, wrong in ((PLAIN, None), ("SELECT guest_ref FROM nowhere", Invalid)):
        await segment_questions.check_sql_early({"sql": text})
        with monkeypatch.context() as patched:
            patched.delattr(asyncio, "create_subprocess_exec")
            if wrong is None:
                await segment_questions.check_definition(work, {"sql": text})
            else:
                with pytest.raises(wrong, match="must read only"):
                    await segment_questions.check_definition(work, {"sql": text})


@pytest.mark.long
async def test_s4_what_was_saved_is_not_checked_again(
    monkeypatch: pytest.MonkeyPatch, work: Work
) -> None:
    """A change holds a transaction: no child is started in it for a definition that stays."""
    row = await segments.create(work, {"name": "All", "definition": {"sql": PLAIN}})
    shape = {"columns": ["ref"], "filter": {"sql": PLAIN}, "format": "CSV"}
    body = {"name": "All", "segment": str(row["ref"]), **shape}
    export = await audience_exports.create(work, body)
    sql_process._checked.clear()
    monkeypatch.delattr(asyncio, "create_subprocess_exec")
    assert (await segments.change(work, row["ref"], {"name": "Everybody"}))["name"] == "Everybody"
    assert (await audience_exports.change(work, export["ref"], {"name": "X"}))["name"] == "X"


async def test_s4_a_long_text_starts_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(asyncio, "create_subprocess_exec")
    with pytest.raises(Invalid, match="longer than"):
        await check_sql(PLAIN + " " * LONGEST)


def test_s4_a_child_knows_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the server's variables it gets those of object storage at most."""
    monkeypatch.setenv("INNKEEPER_SETTINGS_JSON", "postgresql://u:p@h/d")
    monkeypatch.setenv("PGPASSWORD", "p")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "k")
    assert not {"INNKEEPER_SETTINGS_JSON", "PGPASSWORD"} & set(environment(is_local=False))
    assert environment(is_local=False)["AWS_SECRET_ACCESS_KEY"] == "k"  # noqa: S105
    assert "AWS_SECRET_ACCESS_KEY" not in environment(is_local=True)


ESCAPES = [
    # A name that WITH gives later is none yet: the engine would read its own catalogue.
    "WITH a AS (SELECT * FROM duckdb_views), duckdb_views AS (SELECT 1 AS guest_ref) "
    "SELECT sql AS guest_ref FROM a",
    "WITH a AS (SELECT * FROM sqlite_master), b AS (WITH sqlite_master AS (SELECT 1) SELECT 1), "
    "sqlite_master AS (SELECT 1 AS guest_ref) SELECT sql AS guest_ref FROM a",
    "WITH duckdb_views AS (SELECT * FROM duckdb_views) SELECT sql AS guest_ref FROM duckdb_views",
    "WITH RECURSIVE a AS (SELECT * FROM duckdb_tables), duckdb_tables AS (SELECT 1 AS guest_ref) "
    "SELECT sql AS guest_ref FROM a",
    # Python lowers the Kelvin sign to k, the engine does not.
    'WITH "duc\u212adb_views" AS (SELECT 1 AS guest_ref) SELECT sql AS guest_ref FROM duckdb_views',
    'WITH duckdb_views AS (SELECT 1 AS guest_ref) SELECT sql AS guest_ref FROM "duc\u212adb_views"',
]
IN_SCOPE = [
    "WITH a AS (SELECT guest_ref FROM guests), b AS (SELECT * FROM a) SELECT guest_ref FROM b",
    "WITH A AS (SELECT guest_ref FROM guests) SELECT a.guest_ref FROM a JOIN a b USING (guest_ref)",
    "WITH duckdb_views AS (SELECT guest_ref FROM guests) SELECT guest_ref FROM duckdb_views",
    "WITH a AS (WITH b AS (SELECT guest_ref FROM guests) SELECT * FROM b) SELECT guest_ref FROM a",
    "WITH a AS (SELECT guest_ref FROM guests) SELECT guest_ref FROM guests "
    "WHERE guest_ref IN (WITH a AS (SELECT guest_ref FROM orders) SELECT guest_ref FROM a)",
    "WITH RECURSIVE t AS (SELECT guest_ref, 1 AS n FROM guests UNION ALL "
    "SELECT t.guest_ref, n + 1 FROM t WHERE n < 3) SELECT guest_ref FROM t",
]


def job(text: str) -> Job:
    """A check inside this process."""
    return Job(text, os.getpid(), cpu_seconds=60, memory_mb=65536)


@pytest.mark.parametrize("text", ESCAPES)
def test_s7_only_names_in_scope_are_read(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("innkeeper.lake.sql_child.limit_memory", lambda _: None)
    assert "must read only" in run(job(text)).reason


@pytest.mark.parametrize("text", IN_SCOPE)
def test_s7_names_in_scope_are_read(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("innkeeper.lake.sql_child.limit_memory", lambda _: None)
    assert run(job(text)).reason == ""
