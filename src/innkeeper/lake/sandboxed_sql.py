"""Segments written in SQL, the second gate: an engine that could do no harm.

The first is the tree (`lake/sql_gate.py`). The engine is a DuckDB of its own that sees the lake's
files alone, its configuration locked, limits of memory and time, thrown away afterwards: what the
first gate let through by mistake finds nothing to harm.
"""

from typing import TYPE_CHECKING, Any

from innkeeper.lake import duckdb as engine
from innkeeper.lake.sql_gate import bound, checked, refused, told
from innkeeper.lake.views import DOCUMENTED
from innkeeper.store.scratch import temporary

if TYPE_CHECKING:
    from innkeeper.lake.snapshot import Snapshot


def sandboxed_members(snapshot: "Snapshot", text: str, seconds: float) -> list[str]:
    """The guest_ref column of what a text finds, in an engine of its own; raises `Invalid`.

    The engine is DuckDB whatever `lake_engine` says (`engines.answering`).
    """
    import duckdb  # noqa: PLC0415
    from sqlglot import exp  # noqa: PLC0415

    from innkeeper.lake.duckdb_session import DuckSession  # noqa: PLC0415

    tree = checked(text)
    question = exp.select("guest_ref").distinct().from_(tree.subquery("asked"))
    question = question.where(exp.column("guest_ref").is_(exp.null()).not_())
    memory = snapshot.settings.lake_memory_mb
    with temporary(snapshot.settings, "sql") as folder:
        connection = duckdb.connect(
            config={
                "memory_limit": f"{memory}MB",
                "temp_directory": str(folder),
                "max_temp_directory_size": f"{memory * 4}MB",
                "autoinstall_known_extensions": "false",
                "autoload_known_extensions": "false",
            }
        )
        try:
            _lock(connection, snapshot)
            sandbox = DuckSession(snapshot, connection)
            sandbox.use(DOCUMENTED)
            connection.execute("SET enable_external_access = false")
            connection.execute("SET lock_configuration = true")
            rows = sandbox.fetched(question.sql(dialect="duckdb"), seconds)
        except duckdb.Error as error:
            # Where it is wrong in itself, with the place.
            bound(tree, text)
            raise refused(told(error)) from None
        finally:
            connection.close()
    return [str(ref) for (ref,) in rows]


def _lock(connection: Any, snapshot: "Snapshot") -> None:
    """What may be read once external access is off: the lake's own files."""
    if not snapshot.place.is_local:
        connection.register_filesystem(snapshot.place.filesystem)
    files = [path for paths in snapshot.files.values() for path in paths]
    full = [snapshot.place.full(path) for path in files]
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute(f"SET allowed_paths = {engine.listed(full)}")
