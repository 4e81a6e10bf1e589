"""Guest search: how long each kind takes, beside reading one row by its key."""

import asyncio
import json
import random
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg

from bench.report import Bench
from innkeeper.actions.admin import workspaces
from innkeeper.actions.console import search
from innkeeper.rules.keys import email_key, identifier_key
from innkeeper.store.database import Database
from innkeeper.store.work import Work

WORKSPACE = "bench_search"
SMALL, FULL = 20_000, 1_000_000
ROUNDS = 200
BATCH = 20_000
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
_SYLLABLES = str.split(
    "ba be bo da de di do fa fe ga go ha he ja ka ki ko la le li lo ma me mi mo na ne ni no pa pe "
    "ra re ri ro sa se si so ta te ti to va ve vi wa we wi za"
)


def measure(bench: Bench) -> Iterator[str]:
    """A table of p50 and p99 by kind of search."""
    number = FULL if bench.full else SMALL
    found = asyncio.run(_measured(bench.ours.dsn, number))
    yield f"{number:,} guests; milliseconds in the process, HTTP and page not included.\n"
    yield "| Search by | p50 | p99 |"
    yield "|---|---|---|"
    for kind, times in found.items():
        ranked = sorted(times)
        p50, p99 = ranked[len(ranked) // 2], ranked[int(len(ranked) * 0.99)]
        yield f"| {kind} | {p50 * 1000:.1f} | {p99 * 1000:.1f} |"


async def _measured(dsn: str, number: int) -> dict[str, list[float]]:
    database = Database(dsn, pool_size=1, statement_timeout_ms=0)
    await database.open()
    try:
        async with database.control() as work:
            known = {row["name"] for row in await workspaces.list_all(work)}
            if WORKSPACE not in known:
                await workspaces.create(work, WORKSPACE)
        people = _people(number)
        async with database.work(WORKSPACE) as work:
            if (await work.one("guests.count_all") or {})["total"] < number:
                await _fill(dsn, people)
            return await _timed(work, people)
    finally:
        await database.close()


def _people(number: int) -> list[tuple[UUID, str, str, int]]:
    """Refs, names and phone numbers; few names are frequent and many are rare."""
    chance = random.Random(1)
    first = _names(chance, 3_000, 2)
    last = _names(chance, 60_000, 3)
    weights = [1 / (rank + 20) for rank in range(len(last))]
    lasts = chance.choices(last, weights, k=number)
    firsts = chance.choices(first, weights[: len(first)], k=number)
    return [
        (UUID(int=chance.getrandbits(128), version=4), one, other, 353_860_000_000 + at)
        for at, (one, other) in enumerate(zip(firsts, lasts, strict=True))
    ]


def _names(chance: random.Random, number: int, syllables: int) -> list[str]:
    found: set[str] = set()
    while len(found) < number:
        length = syllables + (chance.random() < 0.4)
        found.add("".join(chance.choices(_SYLLABLES, k=length)).capitalize())
    return sorted(found, key=lambda name: chance.random())


async def _fill(dsn: str, people: list[tuple[UUID, str, str, int]]) -> None:
    connection = await psycopg.AsyncConnection.connect(dsn, autocommit=True)
    schema = f"ws_{WORKSPACE}"
    async with connection:
        await connection.execute("SET synchronous_commit = off")
        for start in range(0, len(people), BATCH):
            part = people[start : start + BATCH]
            async with connection.transaction(), connection.cursor() as cursor:
                async with cursor.copy(
                    f"COPY {schema}.guests (ref, guest_type, body, first_seen, last_seen, "
                    "created_at, modified_at) FROM STDIN"
                ) as copy:
                    for at, person in enumerate(part, start):
                        now = BEGAN + timedelta(seconds=at)
                        await copy.write_row(
                            (person[0], "customer", _body(at, person), now, now, now, now)
                        )
                async with cursor.copy(f"COPY {schema}.guest_keys FROM STDIN") as copy:
                    for at, person in enumerate(part, start):
                        await copy.write_row((email_key(f"g{at}@example.com"), person[0]))
                        await copy.write_row((identifier_key("CRM", f"C-{at}"), person[0]))
            print(f"  {start + len(part):,} guests", file=sys.stderr, end="\r")
        await connection.execute(f"ANALYZE {schema}.guests, {schema}.guest_words")


def _body(at: int, person: tuple[UUID, str, str, int]) -> str:
    _, first, last, phone = person
    return json.dumps(
        {
            "first_name": first,
            "last_name": last,
            "email": f"g{at}@example.com",
            "phone_numbers": [f"+{phone}"],
            "identifiers": [{"provider": "CRM", "id": f"C-{at}"}],
        }
    )


async def _timed(work: Work, people: list[tuple[UUID, str, str, int]]) -> dict[str, list[float]]:
    chance = random.Random(2)

    def some() -> int:
        return chance.randrange(len(people))

    frequent = max((person[2] for person in people[:1000]), key=[p[2] for p in people].count)
    asks: dict[str, Callable[[], str]] = {
        "ref": lambda: str(people[some()][0]),
        "e-mail": lambda: f"g{some()}@example.com",
        "phone": lambda: f"+{people[some()][3]}",
        "identifier": lambda: f"C-{some()}",
        "no such thing": lambda: f"order {uuid4()}",
        "first and last name": lambda: " ".join(people[some()][1:3]),
        "both with a slip": lambda: " ".join(_slip(chance, each) for each in people[some()][1:3]),
        "last name": lambda: people[some()][2],
        "the most frequent last name": lambda: frequent,
        "first three letters": lambda: people[some()][2][:3],
        "nothing: the first page": lambda: "",
    }

    async def by_key() -> Any:
        return await work.one("guests.fetch", ref=people[some()][0])

    found = {"(floor) one row by its key": await _rounds(by_key)}
    for kind, ask in asks.items():

        async def once(ask: Callable[[], str] = ask) -> Any:
            return await search.guests_by(work, ask())

        found[kind] = await _rounds(once)
    return found


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
