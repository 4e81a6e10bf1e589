"""Numbered SQL migrations: of the control schema, and of the schema of every workspace.

The first migration of each is the schema of 0.1.0, whole. Functions and triggers are no part of the
migrations (store/functions.py): they are replaced after them.
"""

import hashlib
import logging
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Final

import psycopg
from psycopg.rows import DictRow, dict_row

from innkeeper.errors import OperatorError
from innkeeper.settings import masked
from innkeeper.store import functions
from innkeeper.store.database import with_options
from innkeeper.store.job_schema import apply_job_schema
from innkeeper.store.queries import schema_of

log = logging.getLogger(__name__)

# One number for every process: the holder of this lock migrates or changes workspaces.
LOCK: Final = 0x696E6E6B65657072
OLDEST_SERVER: Final = 150000
CONTROL: Final = "control"
FIRST_WORKSPACE: Final = "live"
SANDBOX_SUFFIX: Final = "_sandbox"

Connection = psycopg.AsyncConnection[DictRow]


@dataclass(frozen=True, slots=True)
class Migration:
    """One file, `NNNN_name.sql`."""

    number: int
    name: str
    sql: str
    sha256: bytes


@dataclass(frozen=True, slots=True)
class MigrationState:
    """Applied and pending migrations, including `functions`, of a scope: `control` or a
    workspace."""

    scope: str
    applied: list[str]
    pending: list[str]


@cache
def migrations(kind: str) -> tuple[Migration, ...]:
    """Return the files of `store/migrations/<kind>` by number."""
    every = []
    for file in files("innkeeper.store").joinpath("migrations", kind).iterdir():
        if file.name.endswith(".sql"):
            number, _, name = file.name.removesuffix(".sql").partition("_")
            text = file.read_bytes()
            digest = hashlib.sha256(text).digest()
            every.append(Migration(int(number), name, text.decode(), digest))
    numbers = [migration.number for migration in every]
    if len(set(numbers)) != len(numbers):
        raise ValueError(f"two {kind} migrations share a number")
    return tuple(sorted(every, key=lambda migration: migration.number))


async def migrate(dsn: str) -> None:
    """Apply pending migrations, and create the first workspace if there is none.

    Waits for any other process that does the same. Raises OperatorError if the server is too old or
    cannot be reached, and if the database belongs to another version that has no upgrade to this
    one.
    """
    async with _connected(dsn) as connection:
        await _inspect(connection)
        await connection.execute("SELECT pg_advisory_lock(%s)", [LOCK])
        await connection.execute(_BOOTSTRAP + functions.TABLE)
        await _apply(connection, CONTROL, migrations(CONTROL))
        if await apply_job_schema(connection):
            log.info("migrated the job queue")
        cursor = await connection.execute("SELECT name FROM innkeeper.workspaces ORDER BY name")
        names = [row["name"] for row in await cursor.fetchall()]
        if not names:
            async with connection.transaction():
                await create_workspace(connection, FIRST_WORKSPACE)
        for name in names:
            await _apply(connection, name, migrations("workspace"))
            if not await functions.are_current(connection, name):
                async with connection.transaction():
                    await functions.replace(connection, name)
                log.info("replaced the functions of %s", name)


async def status(dsn: str) -> list[MigrationState]:
    """Return applied and pending migrations of each scope, control first; changes nothing."""
    async with _connected(dsn) as connection:
        await _inspect(connection)
        cursor = await connection.execute(
            "SELECT to_regclass('innkeeper.workspaces') IS NOT NULL AS known"
        )
        row = await cursor.fetchone()
        if row is None or not row["known"]:
            return [MigrationState(CONTROL, [], _labels(migrations(CONTROL)))]
        cursor = await connection.execute("SELECT name FROM innkeeper.workspaces ORDER BY name")
        names = [row["name"] for row in await cursor.fetchall()]
        states = [await _state(connection, CONTROL, migrations(CONTROL))]
        for name in names:
            state = await _state(connection, name, migrations("workspace"))
            current = await functions.are_current(connection, name)
            (state.applied if current else state.pending).append(functions.LABEL)
            states.append(state)
        return states


async def create_workspace(connection: psycopg.AsyncConnection[Any], name: str) -> None:
    """Create a workspace and its sandbox: rows and schemas. Call it in a transaction, with LOCK."""
    for each, of in ((name, None), (name + SANDBOX_SUFFIX, name)):
        await connection.execute(
            "INSERT INTO innkeeper.workspaces (name, sandbox_of) VALUES (%s, %s)", [each, of]
        )
        await create_schema(connection, each)


async def create_schema(connection: psycopg.AsyncConnection[Any], workspace: str) -> None:
    """Create an empty, fully migrated schema for a workspace. Call it in a transaction, with
    LOCK."""
    await connection.execute(f"CREATE SCHEMA {schema_of(workspace)}")
    for migration in migrations("workspace"):
        await _run(connection, workspace, migration)
    await functions.replace(connection, workspace)


async def drop_schema(connection: psycopg.AsyncConnection[Any], workspace: str) -> None:
    """Delete the schema of a workspace with all its data. Call it in a transaction, with LOCK."""
    await connection.execute(f"DROP SCHEMA {schema_of(workspace)} CASCADE")
    await connection.execute("DELETE FROM innkeeper.migrations WHERE scope = %s", [workspace])
    await functions.remove_record(connection, workspace)


_BOOTSTRAP: Final = """
CREATE SCHEMA IF NOT EXISTS innkeeper;
CREATE TABLE IF NOT EXISTS innkeeper.migrations (
    scope text COLLATE "C" NOT NULL,
    number integer NOT NULL,
    name text NOT NULL,
    sha256 bytea NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (scope, number)
);
"""


@asynccontextmanager
async def _connected(dsn: str) -> AsyncIterator[Connection]:
    try:
        connection = await psycopg.AsyncConnection.connect(
            with_options(dsn), autocommit=True, row_factory=dict_row
        )
    except psycopg.Error as error:
        reason = " ".join(str(error).split())
        raise OperatorError(f"The database {masked(dsn)} cannot be reached ({reason}).") from error
    try:
        async with connection:
            yield connection
    except psycopg.Error as error:
        reason = " ".join(str(error).split())
        raise OperatorError(f"The database could not be migrated: {reason}.") from error


async def _inspect(connection: Connection) -> None:
    """Refuse a server that is too old; warn about settings that can lose acknowledged data."""
    version = connection.info.server_version
    if version < OLDEST_SERVER:
        raise OperatorError(
            f"The database server is PostgreSQL {version // 10000}, "
            f"but Innkeeper needs {OLDEST_SERVER // 10000} or newer."
        )
    for name in ("fsync", "full_page_writes"):
        row = await (await connection.execute(f"SHOW {name}")).fetchone()
        if row is not None and row[name] != "on":
            log.warning(
                "THE DATABASE SERVER RUNS WITH %s=%s: a crash may lose or ruin data that "
                "Innkeeper has acknowledged.",
                name,
                row[name],
            )


async def _state(
    connection: Connection, scope: str, declared: tuple[Migration, ...]
) -> MigrationState:
    """Raises OperatorError for a scope that is newer than, or differs from, this code."""
    cursor = await connection.execute(
        "SELECT number, name, sha256 FROM innkeeper.migrations WHERE scope = %s ORDER BY number",
        [scope],
    )
    rows = {row["number"]: row for row in await cursor.fetchall()}
    by_number = {migration.number: migration for migration in declared}
    if rows and rows[min(rows)]["name"] != declared[0].name:
        raise OperatorError(
            "The database was made by a development version before 0.1.0, which has no upgrade: "
            "export its guests and orders with that version, and import them into a new database."
        )
    for number, row in rows.items():
        label = f"{number:04}_{row['name']}"
        if number not in by_number:
            raise OperatorError(
                f"A newer Innkeeper created this database ({scope} has migration {label}, which "
                "this version lacks): upgrade Innkeeper."
            )
        if by_number[number].sha256 != bytes(row["sha256"]):
            raise OperatorError(
                f"The migration {label} of {scope} was changed after it had been applied: "
                "restore its file and write a new migration instead."
            )
    pending = [migration for migration in declared if migration.number not in rows]
    return MigrationState(scope, _labels(by_number[number] for number in rows), _labels(pending))


async def _apply(connection: Connection, scope: str, declared: tuple[Migration, ...]) -> None:
    pending = set((await _state(connection, scope, declared)).pending)
    for migration in declared:
        if _label(migration) in pending:
            async with connection.transaction():
                await _run(connection, scope, migration)
            log.info("migrated %s to %s", scope, _label(migration))


async def _run(connection: psycopg.AsyncConnection[Any], scope: str, migration: Migration) -> None:
    text = migration.sql
    if scope != CONTROL:
        text = text.replace("{ws}", schema_of(scope))
    # Without parameters the text may hold many statements, and percent signs stay as they are.
    await connection.execute(text)
    await connection.execute(
        "INSERT INTO innkeeper.migrations (scope, number, name, sha256) VALUES (%s, %s, %s, %s)",
        [scope, migration.number, migration.name, migration.sha256],
    )


def _labels(every: Iterable[Migration]) -> list[str]:
    return [_label(migration) for migration in every]


def _label(migration: Migration) -> str:
    return f"{migration.number:04}_{migration.name}"
