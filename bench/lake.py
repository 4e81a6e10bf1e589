"""The lake: twenty segments beside hand-written DuckDB, flush, compaction, export, freshness.

A server of its own, whose lake is filled with files as flushes would have left them. Freshness is
measured last, over HTTP, from the answer to an event until a question, or a Live segment's stored
membership, has it.
"""

import asyncio
import os
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import duckdb
from sqlglot import exp

from bench.filling import fill_compacted
from bench.freshness import freshness
from bench.report import Bench
from bench.segments import TWENTY, Question, generated, midnight
from bench.servers import innkeeper
from innkeeper import clock
from innkeeper.actions.audiences import audience_exports, export_runs, segments
from innkeeper.lake.compaction import compact
from innkeeper.lake.flush import flush_all
from innkeeper.lake.segment_members import Question as GuestQuery
from innkeeper.lake.snapshot import Lake, opened
from innkeeper.rules.traits import Traits
from innkeeper.settings import Settings
from innkeeper.store.database import Database
from innkeeper.store.embedded import EmbeddedServer
from innkeeper.store.migrate import migrate
from innkeeper.store.work import Work

FULL = (1_000_000, 10_000_000, 1_000_000)
SMALL = (20_000, 200_000, 20_000)
"""Guests, events, orders."""
ROUNDS = 3
PART = 0.305
"""Of the guests, who are exported: 300,000 of those left of a million."""


def measure(bench: Bench) -> Iterator[str]:
    """How large it is, the table of segments, then what upkeep costs and how fresh it is."""
    size = FULL if bench.full else SMALL
    with tempfile.TemporaryDirectory(prefix="innkeeper-bench-lake-") as scratch:
        folder = Path(scratch)
        folder.chmod(0o711)
        server = EmbeddedServer(folder)
        try:
            yield from _asked(server.start(), folder, size)
        finally:
            server.stop()
        with innkeeper(folder) as ours:
            yield from freshness(ours, bench.full)
    yield f"- Load average of the machine at the end: {os.getloadavg()[0]:.1f}."


def _asked(dsn: str, folder: Path, size: tuple[int, int, int]) -> Iterator[str]:
    settings = Settings(database=dsn, data=folder)
    database = Database(dsn, settings=settings, statement_timeout_ms=0)

    async def work(act: Callable[[Work], Any]) -> Any:
        async with database.work("live") as lent:
            return await act(lent)

    with asyncio.Runner() as runner:
        runner.run(migrate(dsn))
        runner.run(database.open())
        try:
            started = time.perf_counter()
            total = runner.run(work(partial(_filled, size)))
            yield (
                f"{size[0]:,} guests, {size[1]:,} events, {size[2]:,} orders: {total >> 20} MB of "
                f"Parquet, written in {time.perf_counter() - started:.0f} s. Each query: "
                f"median of {ROUNDS}, minimum of CPU time. By hand: the same query as DuckDB SQL "
                "over the same files.\n"
            )
            yield "| Segment | guests | ms | by hand ms | ratio | of CPU time |"
            yield "|---|---:|---:|---:|---:|---:|"
            for question in TWENTY:
                yield runner.run(work(partial(_question, question)))
            yield ""
            for act in (_flush, _compaction, _export):
                yield runner.run(work(partial(act, size[0])))
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            yield f"- Peak memory of this process, queries by hand included: {peak:,.0f} MB."
        finally:
            runner.run(database.close())


async def _filled(size: tuple[int, int, int], work: Work) -> int:
    return await fill_compacted(work, generated(clock.now(), *size))


async def _question(question: Question, work: Work) -> str:
    async with opened(work) as lake:
        return await asyncio.to_thread(_beside, lake, question)


def _beside(lake: Lake, question: Question) -> str:
    """One line: both count the same guests over the same files."""
    now = lake.snapshot.taken_at
    query = GuestQuery.of(question.definition, Traits())

    def ours() -> int:
        count = exp.select(exp.Count(this=exp.Star())).from_(query.tree(now).subquery("m"))
        return int(lake.session.rows(count, 300)[0][0])

    sql = f"SELECT count(*) FROM ({question.sql.format(day=midnight(now))})"
    with _by_hand(lake) as connection:
        acts = (ours, lambda: int(connection.execute(sql).fetchall()[0][0]))
        # In turns, so that whoever else uses the machine slows both.
        rounds = [[_timed(act) for act in acts] for _ in range(ROUNDS)]
    (ms, cpu, counted), (hand, hand_cpu, result) = (
        (median(times), min(cpus), counts[-1])
        for times, cpus, counts in (zip(*turns, strict=True) for turns in zip(*rounds, strict=True))
    )
    same = "" if counted == result else f" **{result:,} by hand**"
    return (
        f"| {question.name} | {counted:,}{same} | {ms:.0f} | {hand:.0f} | {ms / hand:.2f} "
        f"| {cpu / hand_cpu:.2f} |"
    )


def _timed(act: Callable[[], int]) -> tuple[float, float, int]:
    """Milliseconds, those of the processors on every thread, and what was found."""
    started, used = time.perf_counter(), time.process_time()
    result = act()
    return (time.perf_counter() - started) * 1000, (time.process_time() - used) * 1000, result


def _by_hand(lake: Lake) -> Any:
    """A connection with the files as views, as somebody would have it open."""
    connection = duckdb.connect(config={"memory_limit": "1024MB"})
    connection.execute("SET TimeZone = 'UTC'")
    for name, paths in lake.snapshot.files.items():
        full = [lake.snapshot.location.full(path) for path in paths]
        connection.execute(f"CREATE VIEW {name} AS SELECT * FROM read_parquet({full})")
    return connection


async def _flush(guests: int, work: Work) -> str:
    await work.connection.execute(
        "INSERT INTO ws_live.guests (ref, guest_type, body, first_seen, last_seen, created_at, "
        "modified_at) SELECT gen_random_uuid(), 'visitor', '{\"city\": \"Ennis\"}', now(), now(), "
        f"now(), now() FROM generate_series(1, {guests // 10})"
    )
    started = time.perf_counter()
    outcome = await flush_all(work)
    seconds = time.perf_counter() - started
    return f"- Flush: {outcome:,} new guests in {seconds:.1f} s, {outcome / seconds:,.0f} a second."


async def _compaction(guests: int, work: Work) -> str:
    """Of what a hundredth of the guests left behind when they were erased."""
    await work.connection.execute(
        "INSERT INTO ws_live.lake_changes (kind, ref, fresh) SELECT 'guest', md5('g' || i)::uuid, "
        f"false FROM generate_series(0, {guests - 1}, 100) AS i"
    )
    await flush_all(work)
    rows = await work.all("lake.files")
    started = time.perf_counter()
    done = await compact(work, everything=True)
    seconds = time.perf_counter() - started
    files = f"{done.read} files became {done.written}" if done else "nothing to do"
    return (
        f"- Compaction, {guests // 100:,} guests erased: of {len(rows)} files {files}, "
        f"in {seconds:.1f} s."
    )


async def _export(guests: int, work: Work) -> str:
    hexadecimal = f"{round(PART * 0xFFFF):04x}"
    sql = f"SELECT guest_ref FROM guests WHERE substr(md5(core_email), 1, 4) < '{hexadecimal}'"
    segment = await segments.create(work, {"name": "bench", "definition": {"sql": sql}})
    body = {"name": "bench", "segment": str(segment["ref"]), "columns": ["ref", "email", "city"]}
    export = await audience_exports.create(work, body)
    execution = await audience_exports.start(work, export["ref"])
    started = time.perf_counter()
    ended = await export_runs.run(work, execution["ref"])
    seconds = time.perf_counter() - started
    assert ended is not None
    return f"- Export: {ended['total']:,} guests as gzipped CSV in {seconds:.1f} s."
