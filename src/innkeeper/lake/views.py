"""The views that questions are asked of: nothing old in them, and merges followed.

An engine provides `rows_{table}` (files and tail), `old_{kind}` (refs whose rows up to a sequence
are old) and `merged` (who stands for whom); the views on top are the same SQL for every engine.
"""

from collections.abc import Iterable
from typing import Final

from innkeeper.lake.tables import BY_NAME, PARTS, TABLES, LakeTable

DOCUMENTED: Final = (
    *("guests", "sessions", "events", "orders", "order_items"),
    *(table.name for table in PARTS),
)
"""What a segment written in SQL may read (segmentation-and-export.md 9)."""
FOLLOWING: Final = frozenset(
    {"sessions", "events", *(table.name for table in TABLES if table.has_contact)}
)
"""Tables whose guest is the one recorded: a view shows who stands for that one."""


def view_sql(table: LakeTable, *, old: bool, merged: bool) -> str:
    """The view of a table; without old rows or merges it is the rows as they are.

    An order's extensions have the order as owner: no guest of their own to follow.
    """
    follows = merged and table.name in FOLLOWING
    columns = [f"t.{column.name}" for column in table.columns if column.name != "guest_ref"]
    if table.name == "guests":
        columns.append("t.meta_ref AS guest_ref")
    elif any(column.name == "guest_ref" for column in table.columns):
        guest = "coalesce(m.survivor_ref, t.guest_ref)" if follows else "t.guest_ref"
        columns.append(f"{guest} AS guest_ref")
    sql = f"SELECT {', '.join(columns)} FROM rows_{table.name} AS t"  # noqa: S608 - declared
    if follows:
        sql += " LEFT JOIN merged AS m ON m.ref = t.guest_ref"
    if old:
        sql += f" LEFT JOIN old_{table.kind} AS o ON o.ref = t.{table.owner}"
        sql += " WHERE o.sequence IS NULL OR o.sequence <= t.lake_sequence"
    return sql


def closure(names: Iterable[str]) -> list[LakeTable]:
    """The tables behind the views that a question names."""
    return [BY_NAME[name] for name in dict.fromkeys(names) if name in BY_NAME]
