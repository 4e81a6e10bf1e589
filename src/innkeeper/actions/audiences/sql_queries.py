"""Help for writing segments in SQL: views, sample values, steps with times, saved queries.

Texts run as those of segments do: checked, in a child process with limits (`lake/sql_process.py`).
"""

from typing import Any, Final

from innkeeper.actions.admin import audit
from innkeeper.errors import Conflict, Invalid, Problem, existing
from innkeeper.lake import sql_process
from innkeeper.lake.snapshot import opened
from innkeeper.lake.sql_allowlist import FUNCTIONS
from innkeeper.lake.sql_jobs import LONGEST
from innkeeper.lake.tables import BY_NAME, REF, TEXT
from innkeeper.lake.views import DOCUMENTED
from innkeeper.resources.base import Record
from innkeeper.resources.kinds import Text
from innkeeper.resources.payload_kinds import Label
from innkeeper.resources.values import ValueRefused
from innkeeper.rules.audited import SAVED_QUERY
from innkeeper.settings import DUCKDB
from innkeeper.store.temp_files import temporary
from innkeeper.store.work import Work

SINGULAR: Final = "Saved query"
MOST: Final = 200
"""Most saved queries of a workspace."""
LONGEST_NAME: Final = 100
_HIDDEN: Final = frozenset({"lake_sequence"})


def list_views() -> list[Record]:
    """List the views that SQL may read, each with its columns and their types."""
    return [{"name": name, "columns": _columns(name)} for name in DOCUMENTED]


def list_functions() -> list[str]:
    """List the functions that SQL may call."""
    return sorted(FUNCTIONS)


def _columns(view: str) -> list[Record]:
    columns = [
        {"name": each.name, "type": TEXT if each.type == REF else each.type}
        for each in BY_NAME[view].columns
        if each.name not in _HIDDEN
    ]
    if all(each["name"] != "guest_ref" for each in columns):
        columns.append({"name": "guest_ref", "type": TEXT})
    return columns


async def list_sampled_views(work: Work) -> list[Record]:
    """List the views, each column with some of its current values (`samples`)."""
    async with opened(work, DUCKDB) as lake:
        settings = lake.snapshot.settings
        with temporary(settings, "sql") as folder:
            samples = await sql_process.read_samples(
                lake.snapshot, folder, settings.sql_segment_seconds
            )
    return [
        {
            **view,
            "columns": [
                {**each, "samples": samples.get(view["name"], {}).get(each["name"], [])}
                for each in view["columns"]
            ],
        }
        for view in list_views()
    ]


async def explain(work: Work, sql: str) -> Record:
    """Run a text without its result; return its `steps` with rows and seconds, and their sum.

    Raises `Invalid` and `Unavailable`.
    """
    await sql_process.check_sql(sql)
    async with opened(work, DUCKDB) as lake:
        settings = lake.snapshot.settings
        with temporary(settings, "sql") as folder:
            steps = await sql_process.explain_sql(
                lake.snapshot, sql, folder, settings.sql_segment_seconds
            )
    rows: list[dict[str, Any]] = [
        {name: getattr(each, name) for name in ("depth", "operator", "detail", "rows", "seconds")}
        for each in steps
    ]
    return {"seconds": sum(each["seconds"] for each in rows), "steps": rows}


async def list_saved(work: Work) -> list[Record]:
    """List the saved queries by name."""
    return await work.all("saved_queries.list")


async def fetch_saved(work: Work, name: str) -> Record:
    """Fetch a saved query; raises `Unknown`."""
    return existing(await work.one("saved_queries.fetch", name=name), SINGULAR, name)


async def save(work: Work, name: str, sql: str) -> Record:
    """Save a text under a name, also one that is not finished.

    Raises `Invalid`, and `Conflict` if there are too many.
    """
    name = _read_name(name)
    sql = _read(Text(LONGEST), "sql", sql)
    async with work.transaction():
        await work.run("saved_queries.lock")
        before = await work.one("saved_queries.fetch", name=name)
        if before is None and len(await list_saved(work)) >= MOST:
            raise Conflict(f"A workspace has at most {MOST} saved queries. Delete one first.")
        row = await work.row("saved_queries.save", name=name, sql=sql)
        await audit.record(work, SAVED_QUERY, "save", before, row)
        return row


async def rename(work: Work, name: str, new: str) -> Record:
    """Rename a saved query; raises `Invalid`, `Unknown`, and `Conflict` if the name is taken."""
    new = _read_name(new)
    async with work.transaction():
        await work.run("saved_queries.lock")
        before = await fetch_saved(work, name)
        if new == name:
            return before
        if await work.one("saved_queries.fetch", name=new):
            raise Conflict(f"A query named {new} exists already.")
        row = await work.row("saved_queries.rename", name=name, new=new)
        await audit.record(work, SAVED_QUERY, "rename", before, row)
        return row


def _read_name(text: str) -> str:
    name = _read(Label(LONGEST_NAME), "name", text.strip())
    if "/" in name:
        raise Invalid(Problem("name", "must not contain a slash"))
    return name


def _read(kind: Text, name: str, text: str) -> str:
    try:
        return kind.read(text)
    except ValueRefused as refused:
        raise Invalid(Problem(name, str(refused))) from None


async def delete(work: Work, name: str) -> None:
    """Delete a saved query; raises `Unknown`. Segments made from it stay as they are."""
    async with work.transaction():
        row = await fetch_saved(work, name)
        await work.run("saved_queries.delete", name=name)
        await audit.record(work, SAVED_QUERY, "delete", row, None)
