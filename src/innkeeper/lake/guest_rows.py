"""The rows of one guest, read from the store, for segment decisions in memory."""

from collections.abc import Collection, Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec

from innkeeper.lake.change_feed import REQUESTED_GUESTS
from innkeeper.lake.tables import BY_NAME, DAY, GUESTS, INSTANT, JSON, NUMBER, TABLES, LakeColumn
from innkeeper.lake.views import FOLLOWING
from innkeeper.rules.segment_matching import GuestRows
from innkeeper.store.temp_files import temporary
from innkeeper.store.work import Work


async def guest_rows(
    work: Work, guest: UUID, kinds: Collection[str] | None = None
) -> GuestRows | None:
    """Return the rows of a guest and of the guests merged into it; None if it does not exist.

    `kinds`: the roots whose rows are read besides the guest's own; all of them if None.
    """
    parts = {
        "lines": [
            f"lake.lines_of_{table.name}"
            for table in TABLES
            if kinds is None or table.kind == GUESTS.kind or table.kind in kinds
        ],
        "changes": [REQUESTED_GUESTS],
        "contact": ["lake.contact"],
    }
    with temporary(work.settings, "guest") as folder:
        path = folder / "rows.ndjson"
        with path.open("wb") as target:
            await work.copy_out("lake.lines", target, parts=parts, guests=[guest])
        tables = _tables(path)
    ref = str(guest)
    own = next((row for row in tables.get("guests", ()) if row["meta_ref"] == ref), None)
    if own is None:
        return None
    own["guest_ref"] = ref
    for name, rows in tables.items():
        if name in FOLLOWING:
            for row in rows:
                row["guest_ref"] = ref
        elif name in ("identifiers", "extensions"):
            # Rows that a merge leaves with the absorbed guest are not read as the survivor's.
            tables[name] = [row for row in rows if row["guest_ref"] == ref]
    return GuestRows(own, tables, {})


def _tables(path: Path) -> dict[str, list[dict[str, Any]]]:
    """Return the rows in a file of lines by table, those of every table."""
    tables: dict[str, list[dict[str, Any]]] = {table.name: [] for table in TABLES}
    with path.open("rb") as lines:
        for line in lines:
            name, record = msgspec.json.decode(line)
            columns = BY_NAME[name].columns
            tables[name].append({column.name: _value(column, record) for column in columns})
    return tables


def _value(column: LakeColumn, record: Mapping[str, Any]) -> Any:
    members: Any = record if not column.field else record.get("body") or {}
    value = members.get(column.field or column.member or column.name)
    if value is None or column.type == JSON:
        return value
    try:
        if column.type == INSTANT:
            return datetime.fromisoformat(str(value))
        if column.type == DAY:
            return date.fromisoformat(str(value))
        if column.type == NUMBER:
            return float(value)
    except (ValueError, OverflowError):
        # The lake stores null for a value that does not fit its type.
        return None
    return value
