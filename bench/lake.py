"""The lake: twenty segments beside hand-written DuckDB, flush, compaction, export, freshness.

`python -m bench.lake` is small; `--full` is 1,000,000 guests, 10,000,000 events, 1,000,000 orders.
"""

import argparse
import asyncio
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import duckdb

from bench.filling import fill
from bench.segments import TWENTY, Question, midnight
from innkeeper import clock
from innkeeper.actions.audiences import audience_exports, export_runs, segments
from innkeeper.actions.records import guests
from innkeeper.lake.compaction import compact
from innkeeper.lake.flush import flush_all
from innkeeper.lake.segment_members import Question as Asked
from innkeeper.lake.snapshot import Lake, opened
from innkeeper.rules.traits import Traits
from innkeeper.settings import Settings
from innkeeper.store.database import Database
from innkeeper.store.embedded import EmbeddedServer
from innkeeper.store.migrate import migrate
from innkeeper.store.work import Work

ROUNDS = 3


def by_hand(lake: Lake) -> Any:
    """A connection with the files as views, as somebody would have it open."""
    connection = duckdb.connect(config={"memory_limit": "1024MB"})
    connection.execute("SET TimeZone = 'UTC'")
    for name, paths in lake.snapshot.files.items():
        full = [lake.snapshot.place.full(path) for path in paths]
        connection.execute(f"CREATE VIEW {name} AS SELECT * FROM read_parquet({full})")
    return connection


def timed(act: Callable[[], Any]) -> tuple[float, Any]:
    """Milliseconds, the median of some rounds, and what came of the last."""
    taken, found = [], None
    for _ in range(ROUNDS):
        started = time.perf_counter()
        found = act()
        taken.append((time.perf_counter() - started) * 1000)
    return median(taken), found


def measure(lake: Lake, connection: Any, question: Question) -> str:
    """One line: both count the same guests over the same files."""
    now = lake.snapshot.taken_at
    asked = Asked.of(question.definition, Traits())

    def ours() -> int:
        tree = asked.tree(now).subquery("m")
        from sqlglot import exp

        count = exp.select(exp.Count(this=exp.Star())).from_(tree)
        return int(lake.session.rows(count, 300)[0][0])

    sql = question.sql.format(day=midnight(now))
    hand = f"SELECT count(*) FROM ({sql})"
    ours_ms, found = timed(ours)
    hand_ms, wanted = timed(lambda: connection.execute(hand).fetchall()[0][0])
    same = "" if found == wanted else f" **{wanted:,} by hand**"
    return (
        f"| {question.name} | {found:,}{same} | {ours_ms:.0f} | {hand_ms:.0f} "
        f"| {ours_ms / hand_ms:.2f} |"
    )


async def freshness(work: Work, rounds: int) -> str:
    """From the answer of a write until a question has seen it."""
    taken = []
    asked = Asked.of(
        {
            "filterGroups": [
                {
                    "entity": "guest",
                    "rules": [
                        {"field": "city", "comparator": "is equal to", "values": ["Nowhere"]}
                    ],
                }
            ]
        },
        Traits(),
    )
    for number in range(rounds):
        await guests.create(work, {"guest_type": "visitor", "city": "Nowhere"})
        started = time.perf_counter()
        async with opened(work) as lake:
            rows = await lake.rows(asked.tree(lake.snapshot.taken_at))
        assert len(rows) == number + 1
        taken.append((time.perf_counter() - started) * 1000)
    taken.sort()
    return f"p50 {median(taken):.0f} ms, p99 {taken[int(len(taken) * 0.99)]:.0f} ms"


async def run(dsn: str, data: Path, size: tuple[int, int, int], flushed: int) -> None:
    await migrate(dsn)
    database = Database(dsn, settings=Settings(database=dsn, data=data), statement_timeout_ms=0)
    await database.open()
    try:
        async with database.work("live") as work:
            started = time.perf_counter()
            total = await fill(work, clock.now(), *size)
            print(
                f"{size[0]:,} guests, {size[1]:,} events, {size[2]:,} orders: {total >> 20} MB "
                f"of Parquet, written in {time.perf_counter() - started:.0f} s\n"
            )
            print("| Segment | guests | ms | by hand ms | ratio |\n|---|---:|---:|---:|---:|")
            async with opened(work) as lake:
                connection = by_hand(lake)
                for question in TWENTY:
                    line = await asyncio.to_thread(measure, lake, connection, question)
                    print(line, flush=True)
                connection.close()
            print(f"\nFreshness on demand: {await freshness(work, 50)}.")
            await costs(work, flushed)
    finally:
        await database.close()


async def costs(work: Work, flushed: int) -> None:
    """Flush, compaction and an export of a third of the guests."""
    await work.connection.execute(
        "INSERT INTO ws_live.guests (ref, guest_type, body, first_seen, last_seen, created_at, "
        "modified_at) SELECT gen_random_uuid(), 'visitor', '{\"city\": \"Ennis\"}', now(), now(), "
        f"now(), now() FROM generate_series(1, {flushed})"
    )
    started = time.perf_counter()
    taken = await flush_all(work)
    seconds = time.perf_counter() - started
    print(f"Flush: {taken:,} changes in {seconds:.1f} s, {taken / seconds:,.0f} a second.")
    started = time.perf_counter()
    done = await compact(work, everything=True)
    assert done is not None
    print(
        f"Compaction: {done.read} files became {done.written} "
        f"in {time.perf_counter() - started:.1f} s."
    )
    rules = [{"field": "email", "comparator": "ends with", "values": ["@example.com"]}]
    definition = {"filterGroups": [{"entity": "guest", "type": "customer", "rules": rules}]}
    segment = await segments.create(work, {"name": "bench", "definition": definition})
    body = {"name": "bench", "segment": str(segment["ref"]), "columns": ["ref", "email", "city"]}
    export = await audience_exports.create(work, body)
    execution = await audience_exports.start(work, export["ref"])
    started = time.perf_counter()
    ended = await export_runs.run(work, execution["ref"])
    assert ended is not None
    print(f"Export: {ended['total']:,} guests as CSV in {time.perf_counter() - started:.1f} s.")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"Largest resident memory of the process, hand-written queries included: {peak:,.0f} MB.")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="a million guests")
    asked = parser.parse_args()
    size = (1_000_000, 10_000_000, 1_000_000) if asked.full else (20_000, 200_000, 20_000)
    with tempfile.TemporaryDirectory(prefix="innkeeper-bench-lake-") as folder:
        Path(folder).chmod(0o711)
        server = EmbeddedServer(Path(folder))
        try:
            asyncio.run(run(server.start(), Path(folder), size, size[0] // 10))
        finally:
            server.stop()


if __name__ == "__main__":
    main()
