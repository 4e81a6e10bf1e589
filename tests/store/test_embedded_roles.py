"""S10: what answers requests is an ordinary login of the embedded PostgreSQL, never a superuser."""

import asyncio
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from innkeeper.store.embedded import EmbeddedServer
from innkeeper.store.embedded_roles import administrator
from innkeeper.store.migrate import migrate

OWNED_BY_OTHERS = """
SELECT coalesce(string_agg(c.relname || ' ' || c.relkind::text, ', '), '')
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname IN ('innkeeper', 'jobs', 'ws_live') AND c.relkind <> 't'
  AND pg_get_userbyid(c.relowner) <> 'innkeeper'
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="innkeeper-roles-"))
    path.chmod(0o711)
    yield path
    shutil.rmtree(path)


def one(dsn: str, query: str) -> object:
    with psycopg.connect(dsn, autocommit=True) as connection:
        row = connection.execute(query).fetchone()  # type: ignore[arg-type]
        assert row is not None
        return row[0]


def refused(dsn: str, query: str) -> None:
    with (
        psycopg.connect(dsn, autocommit=True) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute(query)  # type: ignore[arg-type]


@pytest.mark.long
def test_s10_login_is_no_superuser_and_reaches_no_files(folder: Path) -> None:
    server = EmbeddedServer(folder)
    try:
        dsn = server.start()
        asyncio.run(migrate(dsn))
        assert one(dsn, "SELECT current_user") == "innkeeper"
        rights = "SELECT rolsuper OR rolcreatedb OR rolcreaterole FROM pg_roles WHERE rolname = "
        assert one(dsn, rights + "current_user") is False
        refused(dsn, "SELECT pg_read_file('/etc/passwd')")
        refused(dsn, "COPY (SELECT 1) TO PROGRAM 'true'")
        refused(dsn, "ALTER SYSTEM SET fsync = off")
        assert one(dsn, OWNED_BY_OTHERS) == ""
        assert one(administrator(dsn), "SELECT current_user") == "innkeeper_admin"
    finally:
        server.stop()


@pytest.mark.long
def test_s10_a_cluster_whose_login_was_the_superuser_is_converted(folder: Path) -> None:
    server = EmbeddedServer(folder)
    try:
        dsn = server.start()
        asyncio.run(migrate(dsn))
        # As earlier versions made it: one role, `innkeeper`, superuser and owner of everything.
        with psycopg.connect(administrator(dsn), autocommit=True) as connection:
            connection.execute("REASSIGN OWNED BY innkeeper TO innkeeper_admin")
            connection.execute("DROP OWNED BY innkeeper")
            connection.execute("DROP ROLE innkeeper")
            connection.execute("CREATE ROLE other LOGIN SUPERUSER")
        with psycopg.connect(make_conninfo(dsn, user="other"), autocommit=True) as connection:
            connection.execute("ALTER ROLE innkeeper_admin RENAME TO innkeeper")
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute("DROP ROLE other")
            assert one(dsn, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user") is True
    finally:
        server.stop()
    again = EmbeddedServer(folder)
    try:
        dsn = again.start()
        asyncio.run(migrate(dsn))
        assert one(dsn, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user") is False
        assert one(dsn, OWNED_BY_OTHERS) == ""
        assert one(dsn, "SELECT count(*) FROM innkeeper.workspaces") == 2
    finally:
        again.stop()
