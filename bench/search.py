"""Guest search: how long each kind takes, beside reading one row by its key."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from typing import Any
from uuid import uuid4

from bench import people
from bench.people import FilledGuest
from bench.report import Bench
from innkeeper.actions.console import search
from innkeeper.store.database import Database
from innkeeper.store.work import Work

ROUNDS = 200


def measure(bench: Bench) -> Iterator[str]:
    """A table of p50 and p99 by kind of search."""
    number = people.FULL if bench.full else people.SMALL
    result = asyncio.run(_measured(bench.ours.dsn, number))
    yield f"{number:,} guests; milliseconds in the process, without HTTP and rendering.\n"
    yield "| Search by | p50 | p99 |"
    yield "|---|---|---|"
    for kind, times in result.items():
        ranked = sorted(times)
        p50, p99 = ranked[len(ranked) // 2], ranked[int(len(ranked) * 0.99)]
        yield f"| {kind} | {p50 * 1000:.1f} | {p99 * 1000:.1f} |"


async def _measured(dsn: str, number: int) -> dict[str, list[float]]:
    guests = await people.filled(dsn, number)
    async with (
        Database(dsn, pool_size=1, statement_timeout_ms=0) as database,
        database.work(people.WORKSPACE) as work,
    ):
        return await _timed(work, guests)


async def _timed(work: Work, existing: list[FilledGuest]) -> dict[str, list[float]]:
    chance = random.Random(2)

    def one() -> FilledGuest:
        return chance.choice(existing)

    def names() -> tuple[str, str]:
        person = one()
        return person.first, person.last

    frequent = Counter(one.last for one in existing).most_common(1)[0][0]
    asks: dict[str, Callable[[], str]] = {
        "ref": lambda: str(one().ref),
        "e-mail": lambda: one().email,
        "phone": lambda: one().phone,
        "identifier": lambda: one().crm,
        "no match": lambda: f"order {uuid4()}",
        "first and last name": lambda: " ".join(names()),
        "both with a typo": lambda: " ".join(_slip(chance, each) for each in names()),
        "last name": lambda: one().last,
        "the most frequent last name": lambda: frequent,
        "first three letters": lambda: one().last[:3],
        "nothing: the first page": lambda: "",
    }

    async def by_key() -> Any:
        return await work.one("guests.fetch", ref=one().ref)

    params = {"(floor) one row by its key": await _rounds(by_key)}
    for kind, ask in asks.items():

        async def once(ask: Callable[[], str] = ask) -> Any:
            return await search.find_guests(work, ask())

        params[kind] = await _rounds(once)
    return params


async def _rounds(act: Callable[[], Awaitable[Any]]) -> list[float]:
    times = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        await act()
        times.append(time.perf_counter() - began)
    return times


def _slip(chance: random.Random, word: str) -> str:
    """A word with two letters swapped, one missing, or one wrong."""
    at = chance.randrange(1, len(word) - 1)
    kind = chance.randrange(3)
    if kind == 0:
        return word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    return word[:at] + ("" if kind == 1 else "x") + word[at + 1 :]
