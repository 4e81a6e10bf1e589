"""Functions and triggers of a workspace's schema: exactly those of `store/functions/*.sql`.

They are not migrated but replaced. When the text of the files differs from the text that was last
applied to a schema (its SHA-256 is in `innkeeper.functions`), every function and trigger of the
schema is dropped and all files are run, in order of their names, in one transaction.
"""

import hashlib
from functools import cache
from importlib.resources import files
from typing import Any, Final

import psycopg

from innkeeper.resources.guests import Guest
from innkeeper.resources.orders import CHILDREN, PLAIN_CHILDREN, OrderPerson
from innkeeper.store.queries import schema_of

LABEL: Final = "functions"
"""Label of the functions in lists of migrations."""
TABLE: Final = """
CREATE TABLE IF NOT EXISTS innkeeper.functions (
    workspace text COLLATE "C" PRIMARY KEY,
    sha256 bytea NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
)
"""
# Without CASCADE, an index or a constraint that uses a function raises an error instead of being
# dropped.
_DROP_ALL: Final = """
DO $$
DECLARE
    each record;
BEGIN
    FOR each IN
        SELECT t.tgname AS name, c.oid::regclass AS on_table
        FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = t.tgrelid
        WHERE c.relnamespace = '{ws}'::regnamespace AND NOT t.tgisinternal AND t.tgparentid = 0
    LOOP
        EXECUTE format('DROP TRIGGER %I ON %s', each.name, each.on_table);
    END LOOP;
    FOR each IN
        SELECT oid::regprocedure AS name FROM pg_proc WHERE pronamespace = '{ws}'::regnamespace
    LOOP
        EXECUTE format('DROP ROUTINE %s', each.name);
    END LOOP;
END $$
"""
# Part of the triggers on the tables that an import of events changes.
_RECORD_IMPORT: Final = """
    IF current_setting('innkeeper.import', true) <> '' AND TG_NAME NOT LIKE 'record_loss%' THEN
        IF TG_OP = 'UPDATE' THEN
            PERFORM {ws}.record_import_rows(
                TG_TABLE_NAME, TG_OP, (SELECT jsonb_agg(to_jsonb(b)) FROM before AS b),
                (SELECT jsonb_agg(to_jsonb(c)) FROM changed AS c)
            );
        ELSE
            PERFORM {ws}.record_import_rows(TG_TABLE_NAME, TG_OP, NULL, jsonb_agg(to_jsonb(c)))
            FROM changed AS c HAVING count(*) > 0;
        END IF;
    END IF;
"""


@cache
def text() -> str:
    """Return the text of every file of `store/functions`, in order of names, with the parts that
    come from declarations."""
    folder = files("innkeeper.store").joinpath("functions")
    names = sorted(file.name for file in folder.iterdir() if file.name.endswith(".sql"))
    files_text = "\n".join(folder.joinpath(name).read_text(encoding="utf-8") for name in names)
    searched = [name for name, field in Guest.fields.items() if field.searchable]
    words = {
        "searched_texts": ", ".join(f"body ->> '{name}'" for name in searched),
        "searched_changes": " OR ".join(
            f"OLD.body -> '{name}' IS DISTINCT FROM NEW.body -> '{name}'" for name in searched
        ),
        "record_import": _RECORD_IMPORT,
        "recorded_parts": " ".join(
            f"('{part.table}', 'record_orders_of_parts')," for part in PLAIN_CHILDREN
        ),
        "parts_of_orders": " ".join(
            f"('{owner}s', '{part.table}', '{owner}_ref', '{owner}_ref'),"
            for part in CHILDREN
            for owner in (("guest", "order") if issubclass(part, OrderPerson) else ("order",))
        ),
    }
    for marker, word in words.items():
        files_text = files_text.replace(f"{{{marker}}}", word)
    return files_text


async def are_current(connection: psycopg.AsyncConnection[Any], workspace: str) -> bool:
    """Whether the schema of a workspace has the functions of this code."""
    cursor = await connection.execute(
        "SELECT FROM innkeeper.functions WHERE workspace = %s AND sha256 = %s",
        [workspace, _digest()],
    )
    return await cursor.fetchone() is not None


async def replace(connection: psycopg.AsyncConnection[Any], workspace: str) -> None:
    """Replace every function and trigger of a workspace. Call it in a transaction."""
    schema = schema_of(workspace)
    await connection.execute(_DROP_ALL.replace("{ws}", schema))
    await connection.execute(text().replace("{ws}", schema))
    await connection.execute(
        "INSERT INTO innkeeper.functions (workspace, sha256) VALUES (%s, %s) "
        "ON CONFLICT (workspace) DO UPDATE SET sha256 = excluded.sha256, applied_at = now()",
        [workspace, _digest()],
    )


async def remove_record(connection: psycopg.AsyncConnection[Any], workspace: str) -> None:
    """Remove the record of a workspace whose schema is dropped."""
    await connection.execute("DELETE FROM innkeeper.functions WHERE workspace = %s", [workspace])


def _digest() -> bytes:
    return hashlib.sha256(text().encode()).digest()
