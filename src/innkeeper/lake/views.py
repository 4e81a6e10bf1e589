"""The views that queries read: without outdated rows, and with merges followed.

An engine provides `rows_{table}` (files and tail), `old_{kind}` (refs whose rows up to a sequence
are outdated) and `merged` (guest, survivor). The views on top are the same SQL for every engine.
"""

from collections.abc import Iterable
from typing import Final

from innkeeper.lake.tables import BY_NAME, PARTS, REFS, TABLES, TEXT, LakeTable

DOCUMENTED: Final = (
    *("guests", "sessions", "events", "orders", "order_items"),
    *(table.name for table in PARTS),
)
"""Views that a segment written in SQL may read (segmentation-and-export.md 9)."""
FOLLOWING: Final = frozenset(
    {
        "sessions",
        "events",
        "static_list_members",
        *(table.name for table in TABLES if table.has_contact),
    }
)
"""Tables with the guest at the time of recording; their views show the survivor instead."""


def view_sql(table: LakeTable, *, old: bool, merged: bool) -> str:
    """SELECT the view of a table; without outdated rows or merges it is the rows as they are.

    The owner of an order's extensions is the order, which has no merges to follow.
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


def text_view_sql(table: LakeTable, *, old: bool, merged: bool) -> str:
    """SELECT the view of a table with refs as text, for SQL of users, who may apply any function of
    text to them."""
    columns = ", ".join(
        f"CAST({name} AS {TEXT}) AS {name}" if name in REFS else name
        for name in _column_names(table)
    )
    view = view_sql(table, old=old, merged=merged)
    return f"SELECT {columns} FROM ({view})"  # noqa: S608 - declared names


def _column_names(table: LakeTable) -> list[str]:
    """Return the columns of a table's view in their order."""
    names = [column.name for column in table.columns if column.name != "guest_ref"]
    has_guest = table.name == "guests" or len(names) < len(table.columns)
    return [*names, "guest_ref"] if has_guest else names


def closure(names: Iterable[str]) -> list[LakeTable]:
    """Return the tables behind the views that a query names."""
    return [BY_NAME[name] for name in dict.fromkeys(names) if name in BY_NAME]
