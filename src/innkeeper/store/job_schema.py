"""The tables of background jobs: procrastinate's own schema, in the PostgreSQL schema `jobs`.

Their SQL comes with the installed package. The applied version is recorded, and a newer package
brings its own migrations.
"""

from importlib.metadata import version
from importlib.resources import files
from typing import Any

import psycopg

from innkeeper.errors import OperatorError

SCOPE = "jobs"


async def apply_job_schema(connection: psycopg.AsyncConnection[Any]) -> bool:
    """Create or upgrade the tables if the package is newer; return whether anything changed.

    Call it with the lock of migrations, outside a transaction. Raises OperatorError if a newer
    package created the database.
    """
    installed = _number(version("procrastinate"))
    cursor = await connection.execute(
        "SELECT max(number) AS number FROM innkeeper.migrations WHERE scope = %s", [SCOPE]
    )
    row = await cursor.fetchone()
    applied = row["number"] if row else None
    if applied == installed:
        return False
    if applied is not None and applied > installed:
        raise OperatorError(
            "A newer Innkeeper created the job queue of this database: upgrade Innkeeper."
        )
    async with connection.transaction():
        await connection.execute("CREATE SCHEMA IF NOT EXISTS jobs")
        # Its statements name no schema; ours all do, so only this transaction needs a path.
        await connection.execute("SET LOCAL search_path = jobs")
        for text in _texts(applied):
            await connection.execute(text)
        # Its functions are called from connections with any path, and look up names at call.
        await connection.execute(_FIX_PATHS)
        await connection.execute(
            "INSERT INTO innkeeper.migrations (scope, number, name, sha256) "
            "VALUES (%s, %s, %s, '')",
            [SCOPE, installed, "procrastinate"],
        )
    return True


_FIX_PATHS = """
DO $$
DECLARE each regprocedure;
BEGIN
    FOR each IN SELECT oid FROM pg_proc WHERE pronamespace = 'jobs'::regnamespace LOOP
        EXECUTE format('ALTER FUNCTION %s SET search_path = jobs', each);
    END LOOP;
END $$
"""


def _number(release: str) -> int:
    """Convert a release to a number that sorts in the same order: 3.10.0 is 3010000."""
    major, minor, patch = [*release.split("."), "0", "0"][:3]
    return int(major) * 1_000_000 + int(minor) * 1_000 + int(patch)


def _texts(applied: int | None) -> list[bytes]:
    folder = files("procrastinate").joinpath("sql")
    if applied is None:
        return [folder.joinpath("schema.sql").read_bytes()]
    return [
        file.read_bytes()
        for file in sorted(folder.joinpath("migrations").iterdir(), key=lambda file: file.name)
        if file.name.endswith(".sql") and _number(_release(file.name)) > applied
    ]


def _release(name: str) -> str:
    return ".".join(str(int(part)) for part in name.partition("_")[0].split("."))
