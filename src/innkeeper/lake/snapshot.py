"""Open the lake: files, tail and merges of one moment, held until the query ends."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from innkeeper.lake import engines
from innkeeper.lake.change_feed import FEED, MERGED, REQUESTED_GUESTS, Lines, copy_lines
from innkeeper.lake.files import storage
from innkeeper.lake.flush import flush_all
from innkeeper.lake.locks import FLUSH, lock_number, readers_lock
from innkeeper.lake.session import LakeSession, Snapshot
from innkeeper.lake.tables import BY_NAME, CHANGES, GUESTS, ORDERS, TABLES
from innkeeper.settings import DUCKDB
from innkeeper.store.temp_files import temporary
from innkeeper.store.work import Row, Work

if TYPE_CHECKING:
    from sqlglot import exp

Result = TypeVar("Result")

_INTERRUPT_SECONDS: Final = 0.2
"""Seconds after which a query that is still running is interrupted again."""
MOST_GUESTS: Final = 200
MOST_ORDERS: Final = 10_000
"""Number of guests, and of their orders, above which a query reads files rather than the store."""
LONG_TAIL: Final = 20_000
"""Number of pending changes at which a query flushes first: files are faster than a long tail."""


@dataclass
class Lake:
    """The lake at one moment."""

    snapshot: Snapshot
    session: LakeSession
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def rows(
        self, question: "exp.Query", seconds: float | None = None
    ) -> list[tuple[Any, ...]]:
        """Run one query, built as a syntax tree."""
        limit = seconds or self.snapshot.settings.lake_query_seconds
        return await self.run(lambda session: session.rows(question, limit))

    async def run(self, act: Callable[[LakeSession], Result]) -> Result:
        """Run a function with the session in a thread; interrupts its query when cancelled."""
        async with self._turn:
            running = asyncio.ensure_future(asyncio.to_thread(act, self.session))
            try:
                return await asyncio.shield(running)
            except asyncio.CancelledError:
                # Between two queries an interruption has no effect.
                while not running.done():
                    self.session.interrupt()
                    await asyncio.wait({running}, timeout=_INTERRUPT_SECONDS)
                if not running.cancelled():
                    running.exception()
                raise


@asynccontextmanager
async def opened(work: Work, engine: str | None = None) -> AsyncIterator[Lake]:
    """Open the lake as of now; its files remain until the block ends. `engine` replaces the engine
    of the settings."""
    async with work.in_slot(work.limits.questions):
        held = work.in_transaction
        if not held and (await _state(work))["waiting"] >= LONG_TAIL:
            await flush_all(work)
        with temporary(work.settings, "tail") as folder:
            async with work.apart(), work.transaction():
                if held:
                    # Its statements have snapshots of their own: exclude flushes between them.
                    await work.one("lake.hold", lock=lock_number(work, FLUSH))
                else:
                    await work.run("lake.repeatable_read")
                async with _session(await _snapshot(work, folder), engine) as lake:
                    yield lake


@asynccontextmanager
async def opened_for(
    work: Work, lake: Lake, guests: Sequence[str], names: Collection[str]
) -> AsyncIterator[Lake]:
    """Open the same moment with the rows of some guests alone, which the store has by index, for a
    query of the tables `names`; `lake` itself where these rows are many or long to find."""
    tables = tuple(name for name in names if name in BY_NAME)
    kinds = {BY_NAME[name].kind for name in tables}
    params = {"guests": list(guests)}
    if len(guests) > MOST_GUESTS or kinds - {GUESTS.kind, ORDERS.kind}:
        yield lake
        return
    if ORDERS.kind in kinds:
        parts = {"changes": [REQUESTED_GUESTS]}
        row = await work.row("lake.count_orders", parts=parts, most=MOST_ORDERS, **params)
        if row["orders"] == MOST_ORDERS:
            yield lake
            return
    with temporary(work.settings, "guests") as folder:
        tail = await copy_lines(work, REQUESTED_GUESTS, folder, tables, **params)
        merged = lake.snapshot.tail.paths.get(MERGED)
        if merged is not None:
            tail.paths[MERGED] = merged
        snapshot = replace(lake.snapshot, files={}, old={}, tail=tail)
        async with _session(snapshot, DUCKDB) as few:
            yield few


@asynccontextmanager
async def _session(snapshot: Snapshot, engine: str | None) -> AsyncIterator[Lake]:
    session = await asyncio.to_thread(engines.session, snapshot, engine)
    try:
        yield Lake(snapshot, session)
    finally:
        await asyncio.to_thread(session.close)


async def _snapshot(work: Work, folder: Path) -> Snapshot:
    state = await _state(work)
    # Between the snapshot and the lock a compaction may drop files; they stay for a minute.
    await work.one("lake.hold", lock=readers_lock(work, state["generation"]))
    files: dict[str, list[str]] = {}
    old: dict[str, list[str]] = {}
    for row in await work.all("lake.files"):
        if row["name"] == CHANGES:
            old.setdefault(row["kind"], []).append(row["path"])
        else:
            files.setdefault(row["name"], []).append(row["path"])
    names: Iterable[str] = (MERGED,) if state["merged"] else ()
    if state["waiting"]:
        names = (*names, CHANGES, *(table.name for table in TABLES))
    tail = await copy_lines(work, FEED, folder, tuple(names)) if names else Lines(folder)
    return Snapshot(
        workspace=work.workspace,
        settings=work.settings,
        location=storage(work.settings),
        sequence=state["sequence"],
        token=state["snapshot"],
        taken_at=state["now"],
        files=files,
        old=old,
        tail=tail,
        merged=state["merged"],
    )


async def _state(work: Work) -> Row:
    return await work.row("lake.state", most=LONG_TAIL)
