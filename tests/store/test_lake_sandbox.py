"""Segments written in SQL: what the gates let through, and what they stop."""

from collections.abc import AsyncIterator
from pathlib import Path

import duckdb
import pytest

from innkeeper.actions.records import guests
from innkeeper.errors import Invalid, Unavailable
from innkeeper.lake import sandboxed_sql
from innkeeper.lake.duckdb_session import DuckSession
from innkeeper.lake.flush import flush
from innkeeper.lake.sandboxed_sql import checked, sandboxed_members
from innkeeper.lake.snapshot import opened
from innkeeper.settings import Settings
from innkeeper.store.database import Database
from innkeeper.store.work import Work

pytestmark = pytest.mark.anyio


@pytest.fixture
async def database(anyio_backend: str, dsn: str, tmp_path: Path) -> AsyncIterator[Database]:
    opened_ = Database(dsn, settings=Settings(database=dsn, data=tmp_path))
    await opened_.open()
    yield opened_
    await opened_.close()


GOOD = [
    "SELECT guest_ref FROM guests",
    "SELECT guest_ref FROM guests WHERE core_city ILIKE 'c%' "
    "OR core_last_seen_at > now() - INTERVAL 3 DAY",
    "SELECT guest_ref FROM events GROUP BY guest_ref HAVING count(DISTINCT session_ref) >= 3",
    "WITH big AS (SELECT guest_ref, sum(core_price) AS s FROM orders GROUP BY 1) "
    "SELECT guest_ref FROM big WHERE s > 10",
    "SELECT guest_ref FROM guests EXCEPT SELECT guest_ref FROM orders",
    "SELECT guest_ref FROM (SELECT guest_ref, row_number() OVER (PARTITION BY guest_ref "
    "ORDER BY meta_created_at) AS n FROM events) WHERE n = 1",
    "SELECT guest_ref FROM events WHERE custom->>'$.ext.a' = 'x' "
    "AND date_trunc('day', meta_created_at) = CURRENT_DATE",
    "SELECT guest_ref FROM guests WHERE CASE WHEN type = 'CUSTOMER' THEN TRUE ELSE FALSE END",
    "SELECT DISTINCT g.guest_ref FROM guests AS g LEFT JOIN sessions AS s USING (guest_ref)",
    "SELECT guest_ref FROM orders WHERE core_ordered_at BETWEEN TIMESTAMP '2026-01-01' AND now()",
    "SELECT guest_ref FROM guests WHERE list_contains(core_emails, 'a@x.ie')",
]

BAD = [
    "",
    "SELECT 1 AS guest_ref; SELECT 2 AS guest_ref",
    "DROP TABLE guests",
    "CREATE TABLE x AS SELECT guest_ref FROM guests",
    "COPY guests TO '/tmp/x'",
    "ATTACH '/tmp/x.db'",
    "PRAGMA database_list",
    "SET memory_limit = '1TB'",
    "INSTALL httpfs",
    "LOAD httpfs",
    "CALL pragma_version()",
    "DESCRIBE guests",
    "SHOW TABLES",
    "SELECT guest_ref FROM read_csv('/etc/passwd')",
    "SELECT content AS guest_ref FROM read_text('/etc/passwd')",
    "SELECT file AS guest_ref FROM glob('/*')",
    "SELECT guest_ref FROM '/etc/passwd'",
    'SELECT guest_ref FROM "/etc/passwd"',
    "SELECT guest_ref FROM main.guests",
    "SELECT guest_ref FROM extensions",
    "SELECT guest_ref FROM rows_guests",
    "SELECT guest_ref FROM tail_guests",
    "SELECT name AS guest_ref FROM duckdb_settings()",
    "SELECT name AS guest_ref FROM duckdb_settings",
    "SELECT table_name AS guest_ref FROM information_schema.tables",
    "SELECT name AS guest_ref FROM sqlite_master",
    "SELECT getenv('HOME') AS guest_ref",
    "SELECT current_setting('temp_directory') AS guest_ref",
    "SELECT guest_ref FROM query('SELECT 1 AS guest_ref')",
    "SELECT guest_ref FROM query_table('guests')",
    "SELECT x AS guest_ref FROM range(10) AS t(x)",
    "SELECT unnest(range(10)) AS guest_ref",
    "SELECT guest_ref FROM guests, generate_series(1, 10)",
    "SELECT guest_ref FROM guests WHERE core_city = (SELECT content FROM read_text('/etc/passwd'))",
    "WITH guests AS (SELECT 1 AS guest_ref) SELECT guest_ref FROM guests",
    "SELECT meta_ref FROM guests",
    "SELECT repeat('x', 1000000000) AS guest_ref",
    "SELECT guest_ref FROM guests WHERE core_city = ?",
    "SELECT guest_ref FROM guests WHERE core_city = $1",
    "SELECT guest_ref FROM guests USING SAMPLE 10",
    "VALUES ('x')",
    "FROM guests SELECT COLUMNS('guest_ref')",
    "SELECT guest_ref INTO x FROM guests",
    "WITH x AS (DELETE FROM guests RETURNING guest_ref) SELECT guest_ref FROM x",
    "SELECT guest_ref FROM guests WHERE " + "(" * 2000 + "true" + ")" * 2000,
    "SELECT guest_ref FROM guests WHERE core_city = '" + "x" * 40000 + "'",
    "SELEC guest_ref FROM guests",
]


@pytest.mark.parametrize("sql", GOOD)
async def test_plain_questions_run(work: Work, sql: str) -> None:
    """9: read-only SQL over documented views."""
    await guests.create(work, {"guest_type": "customer", "city": "Cork"})
    await flush(work)
    async with opened(work) as lake:
        await lake.run(lambda _: sandboxed_members(lake.snapshot, sql, 10))


@pytest.mark.parametrize("sql", BAD)
async def test_anything_else_is_refused_before_it_runs(sql: str) -> None:
    with pytest.raises(Invalid) as refused:
        checked(sql)
    assert refused.value.problems[0].field == "definition.sql"


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT content AS guest_ref FROM read_text('/etc/passwd')",
        "SELECT file AS guest_ref FROM glob('/etc/*')",
        "SELECT column0 AS guest_ref FROM read_csv('/etc/passwd', header = false)",
        "SELECT guest_ref FROM '/tmp/nothing.parquet'",
        "SELECT content AS guest_ref FROM read_text('https://example.com/')",
    ],
)
async def test_the_engine_holds_where_the_tree_would_not(
    work: Work, sql: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second gate alone: external access is closed but for the lake's files."""
    import sqlglot

    await guests.create(work, {"guest_type": "customer"})
    await flush(work)
    monkeypatch.setattr(
        sandboxed_sql, "checked", lambda text: sqlglot.parse_one(text, dialect="duckdb")
    )
    async with opened(work) as lake:
        with pytest.raises(Invalid, match="definition.sql"):
            await lake.run(lambda _: sandboxed_members(lake.snapshot, sql, 10))


async def test_the_configuration_is_locked(work: Work) -> None:
    async with opened(work) as lake:
        connection = duckdb.connect()
        sandboxed_sql._lock(connection, lake.snapshot)
        DuckSession(lake.snapshot, connection).use(["guests"])
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
        for text in ("SET memory_limit = '1TB'", "SET enable_external_access = true"):
            with pytest.raises(duckdb.Error):
                connection.execute(text)
        connection.close()


async def test_a_question_without_end_is_cut_off(work: Work) -> None:
    sql = (
        "WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM t WHERE n < 1000000000) "
        "SELECT CAST(max(n) AS VARCHAR) AS guest_ref FROM t"
    )
    async with opened(work) as lake:
        with pytest.raises(Unavailable, match="longer than"):
            await lake.run(lambda _: sandboxed_members(lake.snapshot, sql, 0.5))
