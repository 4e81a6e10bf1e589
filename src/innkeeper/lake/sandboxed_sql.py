"""Segments written in SQL, second check: an engine that can do no harm.

The first check is of the syntax tree (`lake/sql_allowlist.py`). The engine is a DuckDB of its own
in a child process (`lake/sql_process.py`): it sees only the lake's files, its configuration is
locked, its memory and time are limited, and it is discarded after the query. So a statement that
passes the first check by mistake can do no harm.
"""

from typing import TYPE_CHECKING, Any, Final

from innkeeper.lake import duckdb as engine
from innkeeper.lake.sql_allowlist import bound, checked, first_sentence, refused
from innkeeper.lake.views import DOCUMENTED

if TYPE_CHECKING:
    from innkeeper.lake.sql_jobs import SqlLake

AT_ONCE: Final = 10_000
"""Number of refs held in memory while they are written."""


def write_members(lake: "SqlLake", text: str) -> int:
    """Write the guests that a query returns to `lake.members`, and return their number.

    Only refs of guests are written, whatever the query returns, so the result is bounded. Raises
    `Invalid`, and `Unavailable` after `lake.seconds`.
    """
    import duckdb  # noqa: PLC0415
    from sqlglot import exp  # noqa: PLC0415

    from innkeeper.lake.duckdb_session import DuckSession  # noqa: PLC0415

    tree = checked(text)
    ref = exp.cast(exp.column("guest_ref", "query"), "VARCHAR")
    refs = exp.select(ref).from_(tree.subquery("query"))
    question = exp.select("g.guest_ref").from_("guests AS g")
    question = question.where(exp.column("guest_ref", "g").isin(query=refs))
    connection = duckdb.connect(config=_configuration(lake))
    try:
        _lock(connection, lake)
        sandbox = DuckSession(lake, connection)
        sandbox.use(DOCUMENTED)
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
        batches = sandbox.fetched_in_batches(question.sql(dialect="duckdb"), AT_ONCE, lake.seconds)
        rows = 0
        with lake.members.open("w", encoding="utf-8") as target:
            for batch in batches:
                target.writelines(f"{ref}\n" for (ref,) in batch)
                rows += len(batch)
        return rows
    except duckdb.OutOfMemoryException:
        raise MemoryError from None
    except duckdb.Error as error:
        # Where it is wrong in itself, with the place.
        bound(tree, text)
        raise refused(first_sentence(error)) from None
    finally:
        connection.close()


def _configuration(lake: "SqlLake") -> dict[str, str | bool | int | float | list[str]]:
    return {
        # The rest is for what the engine holds beside its buffers.
        "memory_limit": f"{lake.memory_mb * 3 // 4}MB",
        "threads": lake.threads,
        "temp_directory": str(lake.folder / "spill"),
        "max_temp_directory_size": f"{lake.memory_mb * 4}MB",
        "python_enable_replacements": "false",
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
    }


def _lock(connection: Any, lake: "SqlLake") -> None:
    """Paths that may be read when external access is off: the lake's own files."""
    if not lake.location.is_local:
        connection.register_filesystem(lake.location.filesystem)
    files = [path for paths in lake.files.values() for path in paths]
    full = [lake.location.full(path) for path in files]
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute(f"SET allowed_paths = {engine.listed(full)}")
