"""Fill a workspace by COPY with guests that have keys of four identity rules."""

import json
import random
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any, Final
from uuid import UUID

import psycopg

from bench.servers import Server, basic
from innkeeper.actions.admin import keys, workspaces
from innkeeper.actions.identity import rule_settings, rulebook
from innkeeper.rules.identity_keys import guest_keys
from innkeeper.rules.identity_rules import Condition, IdentityRule, IdentityRules
from innkeeper.store.database import Database
from innkeeper.store.work import Work

WORKSPACE: Final = "bench_people"
SCHEMA: Final = f"ws_{WORKSPACE}"
SMALL, FULL = 20_000, 1_000_000
BATCH: Final = 20_000
BEGAN: Final = datetime(2026, 1, 1, tzinfo=UTC)
BORN: Final = date(1950, 1, 1)
RULES: Final = (
    IdentityRule("crm", (Condition(provider="CRM"),)),
    IdentityRule("e-mail", (Condition(field="email"),)),
    IdentityRule("phone and name", (Condition(field="phone"), Condition(field="last_name"))),
    IdentityRule(
        "names and birth",
        tuple(Condition(field=name) for name in ("first_name", "last_name", "date_of_birth")),
    ),
)
_SYLLABLES: Final = str.split(
    "ba be bo da de di do fa fe ga go ha he ja ka ki ko la le li lo ma me mi mo na ne ni no pa pe "
    "ra re ri ro sa se si so ta te ti to va ve vi wa we wi za"
)


@dataclass(frozen=True, slots=True)
class FilledGuest:
    """A guest, the n-th."""

    number: int
    ref: UUID
    first: str
    last: str

    @property
    def email(self) -> str:
        return f"g{self.number}@example.com"

    @property
    def phone(self) -> str:
        return f"+{353_860_000_000 + self.number}"

    @property
    def crm(self) -> str:
        return f"C-{self.number}"

    @property
    def born(self) -> str:
        return str(BORN + timedelta(days=self.number % 20_000))

    def record(self) -> dict[str, Any]:
        """The guest's body as it is stored."""
        return {
            "first_name": self.first,
            "last_name": self.last,
            "email": self.email,
            "emails": [self.email],
            "phone_numbers": [self.phone],
            "date_of_birth": self.born,
            "identifiers": [{"provider": "CRM", "id": self.crm}],
        }


async def filled(dsn: str, number: int) -> list[FilledGuest]:
    """The guests of the workspace, which is made and filled unless it has exactly these."""
    people = _people(number)
    async with Database(dsn, pool_size=1, statement_timeout_ms=0) as database:
        async with database.control() as work:
            names = {row["name"] for row in await workspaces.list_all(work)}
            if WORKSPACE not in names:
                await workspaces.create(work, WORKSPACE)
        async with database.work(WORKSPACE) as work:
            if not (await work.one("guests.count_all") or {})["total"]:
                await rule_settings.replace_rules(work, RULES)
                _fill(dsn, people, await rulebook.read(work))
            await _check(work, people)
    return people


async def _check(work: Work, people: list[FilledGuest]) -> None:
    """Raise RuntimeError unless the workspace has these guests, of which a thousand are compared.

    Guests that a measurement creates are further ones.
    """
    sample = random.Random(4).sample(people, min(1000, len(people)))
    rows = await work.all("guest_writes.read", refs=[person.ref for person in sample])
    stored = {row["ref"]: row["body"] for row in rows}
    # A measurement adds to guests that it attaches contacts to, but does not rename them.
    names = [(one.ref, one.first, one.last) for one in sample]
    result = [
        (r, (b := stored.get(r, {})).get("first_name"), b.get("last_name")) for r, *_ in names
    ]
    if names != result or (await rulebook.read(work)).rules != RULES:
        raise RuntimeError(f"{WORKSPACE} has other guests or rules: delete it to fill it again")


async def fill_server(server: Server) -> Server:
    """The server as a key of the workspace sees it."""
    async with Database(server.dsn, pool_size=1) as database, database.control() as work:
        key = await keys.create(work, WORKSPACE)
    authorization = basic(key.client_key, key.api_token)
    return Server(
        server.host, server.port, authorization, server.dsn, server.pid, server.ready_after
    )


def _people(number: int) -> list[FilledGuest]:
    """Few names are frequent and many are rare."""
    chance = random.Random(1)
    first = _names(chance, 3_000, 2)
    last = _names(chance, 60_000, 3)
    weights = [1 / (rank + 20) for rank in range(len(last))]
    lasts = chance.choices(last, weights, k=number)
    firsts = chance.choices(first, weights[: len(first)], k=number)
    return [
        FilledGuest(at, UUID(int=chance.getrandbits(128), version=4), one, other)
        for at, (one, other) in enumerate(zip(firsts, lasts, strict=True))
    ]


def _names(chance: random.Random, number: int, syllables: int) -> list[str]:
    # A dict, which has an order: every run makes the same people.
    results: dict[str, None] = {}
    while len(results) < number:
        length = syllables + (chance.random() < 0.4)
        results["".join(chance.choices(_SYLLABLES, k=length)).capitalize()] = None
    return sorted(results, key=lambda name: chance.random())


def _fill(dsn: str, people: list[FilledGuest], book: IdentityRules) -> None:
    """Fill the workspace by a process for each processor: to derive the keys takes longest."""
    parts = [people[start : start + BATCH] for start in range(0, len(people), BATCH)]
    done = 0
    with ProcessPoolExecutor() as pool:
        for number in pool.map(partial(_copy, dsn, book), parts):
            done += number
            print(f"  {done:,} guests", file=sys.stderr, end="\r")
    tables = ", ".join(f"{SCHEMA}.{name}" for name in ("guests", "guest_keys", "guest_words"))
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(f"ANALYZE {tables}")


def _copy(dsn: str, book: IdentityRules, people: list[FilledGuest]) -> int:
    """Store guests with their keys; return their number."""
    rows: list[Sequence[Any]] = []
    keys: list[Sequence[Any]] = []
    for person in people:
        record, now = person.record(), BEGAN + timedelta(seconds=person.number)
        rows.append((person.ref, "customer", json.dumps(record), now, now, now, now))
        keys += [(key, person.ref) for key in guest_keys(record, book.keys(record))]
    guests = (
        f"COPY {SCHEMA}.guests (ref, guest_type, body, first_seen, last_seen, created_at, "
        "modified_at) FROM STDIN"
    )
    with psycopg.connect(dsn) as connection, connection.cursor() as cursor:
        cursor.execute("SET synchronous_commit = off")
        for statement, lines in ((guests, rows), (f"COPY {SCHEMA}.guest_keys FROM STDIN", keys)):
            with cursor.copy(statement) as copy:
                for line in lines:
                    copy.write_row(line)
    return len(people)
