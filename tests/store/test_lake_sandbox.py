"""Segments written in SQL: what the gates let through, and what they stop."""

import asyncio
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest
from profiles import LONG

from innkeeper.actions.records import guests
from innkeeper.errors import Invalid, Unavailable
from innkeeper.lake import sandboxed_sql
from innkeeper.lake.duckdb_session import DuckSession
from innkeeper.lake.flush import flush
from innkeeper.lake.snapshot import Lake, opened
from innkeeper.lake.sql_allowlist import bound, checked
from innkeeper.lake.sql_jobs import SqlLake
from innkeeper.lake.sql_process import find_sql_members
from innkeeper.store.work import Work


async def find(lake: Lake, folder: Path, sql: str, seconds: float = 10) -> list[str]:
    """The guests that a text finds, by a child process."""
    path, rows = await find_sql_members(lake.snapshot, sql, folder, seconds)
    result = path.read_text().split()
    assert len(result) == rows
    return result


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
    "SELECT guest_ref FROM guests; -- a note",
    "WITH big AS (WITH orders_of AS (SELECT guest_ref FROM orders) SELECT * FROM orders_of) "
    "SELECT guest_ref FROM big",
    "SELECT guest_ref FROM guests WHERE list_contains(core_emails, 'a@x.ie')",
    "SELECT guest_ref FROM guests WHERE guest_ref LIKE '%a%' OR length(guest_ref) = 36",
    "SELECT lower(session_ref) AS guest_ref FROM events WHERE starts_with(browser_ref, 'a')",
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
    "SELEC guest_ref FROM guests",
    "SELECT guest_ref FROM 'file.csv'",
    "SELECT guest_ref FROM 's3://bucket/file.parquet'",
    'SELECT guest_ref FROM "file.json"',
    "SELECT guest_ref FROM guests WHERE core_city = (SELECT column0 FROM 'file.csv')",
    "SELECT guest_ref FROM guests JOIN read_blob('/etc/passwd') ON true",
    "SELECT guest_ref FROM parquet_scan('/tmp/*.parquet')",
    "SELECT guest_ref FROM read_parquet('/tmp/*.parquet')",
    "SELECT guest_ref FROM read_json_auto('/tmp/x')",
    "SELECT guest_ref FROM sniff_csv('/etc/passwd')",
    "SELECT name AS guest_ref FROM duckdb_secrets()",
    "SELECT path AS guest_ref FROM which_secret('s3://x', 's3')",
    "SELECT name AS guest_ref FROM pragma_table_info('guests')",
    "SELECT sql AS guest_ref FROM duckdb_views()",
    "SELECT guest_ref FROM postgres_scan('host=/tmp', 'public', 'x')",
    "SELECT guest_ref FROM guests WHERE getvariable('x') = 1",
    "SELECT guest_ref FROM guests WHERE nextval('s') = 1",
    "SELECT guest_ref FROM guests WHERE write_log('x') IS NULL",
    "SELECT guest_ref FROM guests WHERE list_sort(range(1000000000)) IS NULL",
    "SELECT guest_ref FROM guests WHERE lpad('x', 1000000000, 'y') = ''",
    "EXPORT DATABASE '/tmp/x'",
    "IMPORT DATABASE '/tmp/x'",
    "CREATE SECRET s (TYPE s3)",
    "CREATE MACRO f(x) AS x",
    "EXECUTE q",
    "PREPARE q AS SELECT 1",
    "BEGIN TRANSACTION",
    "CHECKPOINT",
    "USE memory",
    "VACUUM",
    "SELECT guest_ref FROM (PIVOT guests ON type USING count(*))",
    "SELECT guest_ref FROM (DESCRIBE guests)",
    "SELECT guest_ref FROM (SHOW ALL TABLES)",
    "WITH x AS (INSERT INTO guests VALUES (1) RETURNING guest_ref) SELECT guest_ref FROM x",
    "WITH x AS (WITH y AS (UPDATE guests SET type = 'x' RETURNING guest_ref) SELECT * FROM y) "
    "SELECT guest_ref FROM x",
    # A name that WITH gives inside is none outside.
    "SELECT guest_ref FROM (WITH sqlite_master AS (SELECT 1) SELECT 'x' AS guest_ref) "
    "UNION SELECT sql FROM sqlite_master",
]

POSITIONS = [
    ("SELEC guest_ref FROM guests", 1, 17),
    ("SELECT guest_ref\nFROM guests WHERE (core_city = 'x'", 2, 32),
    ("SELECT guest_ref\nFROM guests WHERE core_city = 'x", 2, 31),
    ("SELECT guest_ref FROM guests;\n\nDROP TABLE x", 3, 12),
    ("SELECT guest_ref FROM\n read_csv('x')", 2, 2),
    ("SELECT guest_ref\nFROM guests\nWHERE getenv('x') = 1 AND core_city = 'y'", 3, 7),
    ("WITH x AS (SELECT 1)\nSELECT guest_ref FROM 'file.csv'", 2, 23),
    ("SELECT\n  meta_ref FROM guests", 2, 3),
]
UNBOUND = [
    ("SELECT guest_ref\nFROM guests\nWHERE nosuch = 1", 3, 7),
    ("  \n SELECT guest_ref FROM guests -- note\n WHERE core_city = 'é' AND g.x = 1", 3, 28),
    ("  SELECT guest_ref FROM guests WHERE core_last_seen_at > 5;", 1, 38),
    ("SELECT guest_ref FROM guests GROUP BY core_city", 1, 8),
    (
        "SELECT guest_ref FROM guests WHERE "
        + " OR ".join(f"core_city = 'city number {n}'" for n in range(20))
        + " OR absent = 1 OR "
        + " OR ".join(f"core_city = 'city number {n}'" for n in range(20)),
        1,
        666,
    ),
]


async def test_plain_questions_run(work: Work, tmp_path: Path) -> None:
    """9: read-only SQL over documented views."""
    await guests.create(work, {"guest_type": "customer", "city": "Cork"})
    await flush(work)
    async with opened(work) as lake:
        for sql in GOOD if LONG else GOOD[::6]:
            await find(lake, tmp_path, sql)


@pytest.mark.parametrize("sql", BAD)
async def test_anything_else_is_refused_before_it_runs(sql: str) -> None:
    with pytest.raises(Invalid) as refused:
        checked(sql)
    assert refused.value.problems[0].field == "definition.sql"


@pytest.mark.parametrize(("sql", "line", "column"), POSITIONS)
async def test_what_is_refused_has_a_place(sql: str, line: int, column: int) -> None:
    with pytest.raises(Invalid) as refused:
        checked(sql)
    assert refused.value.problems[0].position == (line, column), refused.value.message
    assert f"[line: {line}, column: {column}]" in refused.value.developer_message


@pytest.mark.parametrize(("sql", "line", "column"), UNBOUND)
async def test_what_the_views_do_not_hold_has_a_place(sql: str, line: int, column: int) -> None:
    """Columns and types are looked at before a segment is kept."""
    with pytest.raises(Invalid) as refused:
        bound(checked(sql), sql)
    assert refused.value.problems[0].position == (line, column), refused.value.message


@pytest.mark.parametrize("sql", GOOD)
async def test_plain_questions_are_bound(sql: str) -> None:
    bound(checked(sql), sql)


HARMFUL = [
    "SELECT content AS guest_ref FROM read_text('/etc/passwd')",
    "SELECT file AS guest_ref FROM glob('/etc/*')",
    "SELECT column0 AS guest_ref FROM read_csv('/etc/passwd', header = false)",
    "SELECT guest_ref FROM '/tmp/nothing.parquet'",
    "SELECT content AS guest_ref FROM read_text('https://example.com/')",
    "SELECT guest_ref FROM read_parquet('/tmp/*.parquet')",
    "SELECT guest_ref FROM read_blob('/etc/passwd')",
]


async def test_the_engine_holds_where_the_tree_would_not(
    work: Work, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second gate alone: external access is closed but for the lake's files."""
    import sqlglot

    await guests.create(work, {"guest_type": "customer"})
    await flush(work)
    monkeypatch.setattr(
        sandboxed_sql, "checked", lambda text: sqlglot.parse_one(text, dialect="duckdb")
    )
    async with opened(work) as lake:
        for sql in HARMFUL:
            job = SqlLake.of(lake.snapshot, tmp_path, 10, threads=1)
            with pytest.raises(Invalid, match=r"Permission Error|Missing Extension|disabled"):
                await asyncio.to_thread(sandboxed_sql.write_members, job, sql)


async def test_the_configuration_is_locked(work: Work, tmp_path: Path) -> None:
    async with opened(work) as lake:
        connection = duckdb.connect()
        sandboxed_sql._lock(connection, SqlLake.of(lake.snapshot, tmp_path, 10, threads=1))
        DuckSession(lake.snapshot, connection).use(["guests"])
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
        for text in ("SET memory_limit = '1TB'", "SET enable_external_access = true"):
            with pytest.raises(duckdb.Error):
                connection.execute(text)
        connection.close()


async def test_a_question_without_end_is_cut_off(work: Work, tmp_path: Path) -> None:
    sql = (
        "WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM t WHERE n < 1000000000) "
        "SELECT CAST(max(n) AS VARCHAR) AS guest_ref FROM t"
    )
    async with opened(work) as lake:
        with pytest.raises(Unavailable, match="longer than"):
            await find(lake, tmp_path, sql, 0.5)


@pytest.mark.parametrize(
    "sql",
    [
        # Rows that double, a text that doubles, names that multiply, a list without end.
        "WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT a.n + b.n FROM t AS a, t AS b "
        "WHERE a.n >= 1) SELECT CAST(count(*) AS VARCHAR) AS guest_ref FROM t",
        "WITH RECURSIVE t AS (SELECT 'xx' AS s UNION ALL SELECT s || s FROM t) "
        "SELECT max(s) AS guest_ref FROM t",
        "WITH a AS (SELECT p.guest_ref || q.guest_ref AS x FROM guests p, guests q, guests r), "
        "b AS (SELECT p.x || q.x AS y FROM a p, a q, a r) "
        "SELECT s.y AS guest_ref FROM b AS s, b AS t WHERE s.y <> t.y",
    ],
)
async def test_growing_without_end_is_cut_off(work: Work, tmp_path: Path, sql: str) -> None:
    """Limits of time and of memory."""
    for _ in range(20):
        await guests.create(work, {"guest_type": "visitor"})
    async with opened(work) as lake:
        lake.snapshot = replace(lake.snapshot, settings=replace(work.settings, sql_memory_mb=64))
        with pytest.raises((Invalid, Unavailable), match=r"longer than|[Oo]ut of [Mm]emory|memory"):
            await find(lake, tmp_path, sql, 2)
