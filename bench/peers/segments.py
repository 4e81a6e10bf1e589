"""The twenty segments of `make bench`, beside ClickHouse's engine over the same rows."""

import asyncio
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from sqlglot import exp

from bench.filling import fill_compacted
from bench.peers.clickhouse import ClickHouse
from bench.peers.packages import add_chdb
from bench.segments import TWENTY, Question, generated
from innkeeper import clock
from innkeeper.lake.segment_members import Question as GuestQuery
from innkeeper.lake.snapshot import Lake, opened
from innkeeper.rules.traits import Traits
from innkeeper.settings import Settings
from innkeeper.store.database import Database
from innkeeper.store.embedded import EmbeddedServer
from innkeeper.store.migrate import migrate

ROUNDS = 3


def measure(size: tuple[int, int, int]) -> Iterator[str]:
    """A table: each segment, in turns."""
    add_chdb()
    with tempfile.TemporaryDirectory(prefix="innkeeper-peers-") as scratch:
        folder = Path(scratch)
        folder.chmod(0o711)
        with asyncio.Runner() as runner, _filled(runner, folder, size) as lake:
            started = time.perf_counter()
            peer = ClickHouse(str(folder / "chdb"))
            try:
                peer.load(lake)
                yield (
                    f"{size[0]:,} guests, {size[1]:,} events, {size[2]:,} orders; loaded into "
                    f"ClickHouse's engine in {time.perf_counter() - started:.0f} s. "
                    f"Median of {ROUNDS}.\n"
                )
                yield "| Segment | guests | Innkeeper ms | ClickHouse ms | ratio |"
                yield "|---|---:|---:|---:|---:|"
                for question in TWENTY:
                    yield _row(lake, peer, question)
            finally:
                peer.close()


@contextmanager
def _filled(runner: asyncio.Runner, folder: Path, size: tuple[int, int, int]) -> Iterator[Lake]:
    """A lake of an embedded server, filled."""
    server = EmbeddedServer(folder)
    dsn = server.start()
    database = Database(dsn, settings=Settings(database=dsn, data=folder), statement_timeout_ms=0)
    try:
        runner.run(migrate(dsn))
        runner.run(database.open())
        lent = database.work("live")
        work = runner.run(lent.__aenter__())
        runner.run(fill_compacted(work, generated(clock.now(), *size)))
        opening = opened(work)
        try:
            yield runner.run(opening.__aenter__())
        finally:
            runner.run(opening.__aexit__(None, None, None))
            runner.run(lent.__aexit__(None, None, None))
    finally:
        runner.run(database.close())
        server.stop()


def _row(lake: Lake, peer: ClickHouse, question: Question) -> str:
    query = GuestQuery.of(question.definition, Traits())

    def ours() -> int:
        tree = query.tree(lake.snapshot.taken_at)
        count = exp.select(exp.Count(this=exp.Star())).from_(tree.subquery("m"))
        return int(lake.session.rows(count, 300)[0][0])

    acts: list[Callable[[], int]] = [ours, lambda: peer.count(question, lake)]
    rounds: list[list[Any]] = [[_timed(act) for act in acts] for _ in range(ROUNDS)]
    (ms, counted), (peer_ms, result) = (
        (median(spent for spent, _ in turns), turns[-1][1]) for turns in zip(*rounds, strict=True)
    )
    same = "" if counted == result else f" **{result:,} by ClickHouse**"
    return (
        f"| {question.name} | {counted:,}{same} | {ms:.0f} | {peer_ms:.0f} | {ms / peer_ms:.2f} |"
    )


def _timed(act: Callable[[], int]) -> tuple[float, int]:
    """Milliseconds, and what was found."""
    started = time.perf_counter()
    result = act()
    return (time.perf_counter() - started) * 1000, result
