"""Changes of the store as lines of JSON, one file a table: for the tail of a query, or for a
flush."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from innkeeper.lake.tables import BY_NAME, CHANGES, TABLES

if TYPE_CHECKING:
    from innkeeper.store.work import Work

MERGED: Final = "merged"
FEED: Final = "lake.from_feed"
FLUSHED_ROWS: Final = "lake.from_taken"
REQUESTED_GUESTS: Final = "lake.from_guests"
_OTHER_QUERIES: Final = {CHANGES: "lake.changed_roots", MERGED: "lake.survivors"}
"""Queries of the files that hold no rows of a `LakeTable`."""


@dataclass
class Lines:
    """Files of lines of JSON by table name, in a folder that the caller removes."""

    folder: Path
    paths: dict[str, Path] = field(default_factory=dict)


async def copy_lines(
    work: "Work", source: str, folder: Path, names: tuple[str, ...] = (), **params: Any
) -> Lines:
    """Write the rows of every root that `source` lists; a table without rows gets no file."""
    lines = Lines(folder)
    for name in names or (CHANGES, *(table.name for table in TABLES)):
        table = BY_NAME.get(name)
        query = (table and table.query) or _OTHER_QUERIES.get(name) or f"lake.rows_of_{name}"
        parts = {"of": [query], "changes": [source]}
        if table is not None and table.has_contact:
            parts["contact"] = ["lake.contact"]
        if name == MERGED:
            del parts["changes"]
        path = folder / f"{name}.ndjson"
        with path.open("wb") as target:
            rows = await work.copy_out("lake.rows", target, parts=parts, **params)
        if rows:
            lines.paths[name] = path
        else:
            path.unlink()
    return lines
