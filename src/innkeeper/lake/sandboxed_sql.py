"""Segments written in SQL, second check: an engine with restricted access.

The first check is of the syntax tree (`lake/sql_allowlist.py`). The engine is a DuckDB of its own
in a child process (`lake/sql_process.py`): it sees only the lake's files, its configuration is
locked, its memory and time are limited, and it is discarded after the query. So a statement that
passes the first check by mistake can do no harm.
"""

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from innkeeper.lake import duckdb as engine
from innkeeper.lake.sql_allowlist import bound, checked, first_sentence, refused
from innkeeper.lake.sql_jobs import Step
from innkeeper.lake.tables import BY_NAME
from innkeeper.lake.views import DOCUMENTED

if TYPE_CHECKING:
    from innkeeper.lake.duckdb_session import DuckSession
    from innkeeper.lake.sql_jobs import SqlLake

AT_ONCE: Final = 10_000
"""Number of refs held in memory while they are written."""
SAMPLED: Final = 200
"""Rows of a view that sample values are taken from."""
SAMPLES: Final = 3
"""Most sample values of a column."""
SAMPLE_LENGTH: Final = 60
DETAIL_LENGTH: Final = 200
_DETAILS: Final = (
    *("Table", "Filters", "Expression", "Expressions", "Join Type", "Conditions", "Groups"),
    *("Aggregates", "Order By"),
)
"""Details of a step in a plan, without the names of files."""


def write_members(lake: "SqlLake", text: str) -> int:
    """Write the guests that a query returns to `lake.members`, and return their number.

    Only refs of guests are written, whatever the query returns, so the result is bounded. Raises
    `Invalid`, and `Unavailable` after `lake.seconds`.
    """
    with _sandbox(lake, text) as (sandbox, question):
        rows = 0
        with lake.members.open("w", encoding="utf-8") as target:
            for batch in sandbox.fetched_in_batches(question, AT_ONCE, lake.seconds):
                target.writelines(f"{ref}\n" for (ref,) in batch)
                rows += len(batch)
        return rows


def explain(lake: "SqlLake", text: str) -> list[Step]:
    """Run a query without its result, and return its steps with rows and times; raises as
    `write_members`."""
    with _sandbox(lake, text) as (sandbox, question):
        explained = f"EXPLAIN (ANALYZE, FORMAT json) {question}"
        ((_, plan),) = next(sandbox.fetched_in_batches(explained, 1, lake.seconds))
        return [*_steps(json.loads(plan), 0)]


def read_samples(lake: "SqlLake") -> dict[str, dict[str, list[str]]]:
    """Return some values of each column of each view, from its first rows."""
    samples: dict[str, dict[str, list[str]]] = {}
    with _sandbox(lake, "SELECT guest_ref FROM guests") as (sandbox, _):
        for name in DOCUMENTED:
            columns = [each.name for each in BY_NAME[name].columns]
            sql = f"SELECT {', '.join(columns)} FROM {name} LIMIT {SAMPLED}"  # noqa: S608
            rows = [
                row
                for batch in sandbox.fetched_in_batches(sql, SAMPLED, lake.seconds)
                for row in batch
            ]
            samples[name] = {
                column: _distinct(row[at] for row in rows) for at, column in enumerate(columns)
            }
    return samples


def _distinct(values: Iterable[Any]) -> list[str]:
    texts = (_sample(value)[:SAMPLE_LENGTH] for value in values if value not in (None, "", []))
    return [*islice(dict.fromkeys(texts), SAMPLES)]


def _sample(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return value.isoformat(" ", "seconds") if isinstance(value, datetime) else str(value)


def _steps(node: dict[str, Any], depth: int) -> Iterator[Step]:
    """Yield the operators of a plan of DuckDB."""
    operator = str(node.get("type", ""))
    is_step = operator not in ("", "RESULT_COLLECTOR", "EXPLAIN_ANALYZE")
    if is_step:
        extra = node.get("extra_info") or {}
        details = (str(extra[name]).rpartition(".main.")[2] for name in _DETAILS if extra.get(name))
        yield Step(
            depth,
            operator.replace("_", " ").strip().lower(),
            "; ".join(details)[:DETAIL_LENGTH],
            int(node.get("intermediate_rows", 0)),
            float(node.get("timing", 0)),
        )
    for each in node.get("operator") or node.get("children") or ():
        yield from _steps(each, depth + is_step)


@contextmanager
def _sandbox(lake: "SqlLake", text: str) -> Iterator[tuple["DuckSession", str]]:
    """Yield a locked session over the documented views, and the query of a text's guests."""
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
        sandbox = DuckSession(lake, connection, refs_as_text=True)
        sandbox.use(DOCUMENTED)
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
        yield sandbox, question.sql(dialect="duckdb")
    except duckdb.OutOfMemoryException:
        raise MemoryError from None
    except duckdb.Error as error:
        # The error of the text itself, with its position.
        bound(tree, text)
        raise refused(first_sentence(error)) from None
    finally:
        connection.close()


def _configuration(lake: "SqlLake") -> dict[str, str | bool | int | float | list[str]]:
    return {
        # The rest is for memory of the engine besides its buffers.
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
