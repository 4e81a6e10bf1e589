"""Databases of tests: cloned from a template, emptied between tests, dropped at the end."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final
from uuid import uuid4

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from innkeeper.store.embedded_roles import administrator

CONFIGURATION: Final = (
    "identity_rules",
    "identity_settings",
    "points_of_sale",
    "stream_settings",
    "lake_state",
)
"""Tables of a workspace that do not start empty."""
_LARGE_BYTES: Final = 4 << 20
"""Tables that take this much together are truncated: rows and what deleted rows leave behind."""
_TABLES: Final = """
SELECT relname, pg_relation_size(oid), oid IN (SELECT tgrelid FROM pg_trigger WHERE tgtype & 32 > 0)
FROM pg_class WHERE relnamespace = 'ws_live'::regnamespace AND relkind = 'r'
    AND relname <> ALL (%s) AND pg_relation_size(oid) > 0
ORDER BY relname
"""


def create(server: str, template: str | None = None) -> tuple[str, str]:
    """Create a database; its name, and its address."""
    name = f"innkeeper_test_{uuid4().hex}"
    command = sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name))
    if template is not None:
        # Copying files takes half the time of writing every page to the log.
        copied = sql.SQL(" TEMPLATE {} STRATEGY FILE_COPY")
        command += copied.format(sql.Identifier(template))
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(command)
    return name, make_conninfo(server, dbname=name)


def drop(server: str, name: str) -> None:
    """Drop a database, whoever is connected to it."""
    command = sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name))
    with psycopg.connect(server, autocommit=True) as connection:
        for _ in range(50):
            # An autovacuum of it may run, which only a superuser may end.
            with suppress(psycopg.errors.InsufficientPrivilege):
                connection.execute(command)
                return
            time.sleep(0.1)
        connection.execute(command)


@contextmanager
def cloned(server: str, template: str | None = None) -> Iterator[str]:
    """The address of a database that is dropped at the end."""
    name, address = create(server, template)
    yield address
    drop(server, name)


def connect_to_empty(dsn: str) -> tuple[psycopg.Connection, bool]:
    """A connection for `empty`, and whether it may delete without triggers."""
    for address in (administrator(dsn), dsn):
        with suppress(psycopg.OperationalError):
            connection = psycopg.connect(address, autocommit=True)
            with suppress(psycopg.errors.InsufficientPrivilege):
                connection.execute("SET session_replication_role = replica")
                return connection, True
            connection.close()
    return psycopg.connect(dsn, autocommit=True), False


def empty(connection: psycopg.Connection, without_triggers: bool) -> None:
    """Leave nobody in the workspace `live`.

    Truncating makes new files for a table, its indexes and every table that refers to it, which
    takes 50 times as long as deleting a few rows.
    """
    tables = connection.execute(_TABLES, [list(CONFIGURATION)]).fetchall()
    names = [sql.Identifier("ws_live", name) for name, _, _ in tables]
    if not names:
        return
    small = sum(size for _, size, _ in tables) < _LARGE_BYTES
    if not (small and without_triggers) or any(truncated for _, _, truncated in tables):
        connection.execute(sql.SQL("TRUNCATE {} CASCADE").format(sql.SQL(", ").join(names)))
        return
    with connection.transaction():
        # As truncating does, wait for whoever still writes.
        connection.execute(sql.SQL("LOCK TABLE {}").format(sql.SQL(", ").join(names)))
        parts = [
            sql.SQL("{} AS (DELETE FROM {})").format(sql.Identifier(f"d{number}"), name)
            for number, name in enumerate(names)
        ]
        connection.execute(sql.SQL("WITH {} SELECT").format(sql.SQL(", ").join(parts)))
