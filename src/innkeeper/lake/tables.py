"""The tables of the lake: the columns of its files, derived from the declarations of resources.

A table's rows belong to roots: a guest, order, session or event. A change of any part rewrites all
rows of its root, and makes the root's rows in earlier files outdated. Columns have the names of the
vendor's data lake where it has them (identity.md 8): `meta_*`, `core_*`, `type`.

PostgreSQL sends rows as JSON (`store/queries/lake.sql`): some columns separately, and the body
whole, so that a field is declared once.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from innkeeper.resources.base import Resource
from innkeeper.resources.events import Event, Session
from innkeeper.resources.guests import Guest
from innkeeper.resources.kinds import Count, Day, Instant, Kind, ListOf, Number, ObjectOf, Opaque
from innkeeper.resources.orders import PLAIN_CHILDREN, Order, OrderItem

TEXT: Final = "VARCHAR"
REF: Final = "UUID"
TEXTS: Final = "VARCHAR[]"
NUMBER: Final = "DOUBLE"
WHOLE: Final = "BIGINT"
INSTANT: Final = "TIMESTAMPTZ"
DAY: Final = "DATE"
TRUTH: Final = "BOOLEAN"
JSON: Final = "JSON"


@dataclass(frozen=True)
class LakeColumn:
    """One column: its type in DuckDB, and the position of its value in the rows from PostgreSQL."""

    name: str
    type: str
    member: str = ""
    """Member of the JSON row; the column's own name when empty."""
    field: str = ""
    """Member of the row's body, for declared fields."""


@dataclass(frozen=True)
class LakeTable:
    """One kind of files."""

    name: str
    kind: str
    """The root that its rows belong to: guest, order, session or event."""
    owner: str
    """The column with the ref of that root."""
    columns: tuple[LakeColumn, ...]
    sort: tuple[str, ...]
    """Sort order of the rows in a file: by guest first, since most queries group by guest."""
    query: str = ""
    """Name of the query of its rows; `lake.rows_of_` and the table's name if empty."""

    @property
    def has_contact(self) -> bool:
        """Whether a row has the guest of the order that it belongs to."""
        return self.kind == "order" and any(each.name == "guest_ref" for each in self.columns)

    def column(self, name: str) -> LakeColumn:
        return next(column for column in self.columns if column.name == name)


def _type_of(kind: Kind) -> str | None:
    """The type of a declared field's column; None if the field has its own table or no fixed
    shape."""
    if isinstance(kind, ListOf):
        return None if isinstance(kind.element, ObjectOf | Opaque) else TEXTS
    return next((named for declared, named in _TYPES.items() if isinstance(kind, declared)), TEXT)


_TYPES: Final[dict[type[Kind], str | None]] = {
    ObjectOf: None,
    Opaque: JSON,
    Instant: INSTANT,
    Day: DAY,
    Number: NUMBER,
    Count: NUMBER,
}
"""Kinds of fields -> types of columns; all others are text."""


def _fields(resource: type[Resource], *without: str) -> Iterable[LakeColumn]:
    """A column for each field in the row's body."""
    for name, field in resource.fields.items():
        kind = _type_of(field.kind)
        if kind is not None and not field.column and name not in without:
            yield LakeColumn(f"core_{name}", kind, field=name)


SEQUENCE: Final = LakeColumn("lake_sequence", WHOLE)
"""The number of the flush that wrote a row, in every file."""

_META: Final = (
    LakeColumn("meta_ref", REF),
    LakeColumn("meta_created_at", INSTANT),
    LakeColumn("meta_modified_at", INSTANT),
)

GUESTS: Final = LakeTable(
    "guests",
    "guest",
    "meta_ref",
    (
        *_META,
        LakeColumn("type", TEXT),
        LakeColumn("survivor_ref", REF),
        LakeColumn("core_first_seen_at", INSTANT),
        LakeColumn("core_last_seen_at", INSTANT),
        *_fields(Guest),
    ),
    ("meta_ref",),
)
IDENTIFIERS: Final = LakeTable(
    "identifiers",
    "guest",
    "guest_ref",
    (
        LakeColumn("guest_ref", REF),
        LakeColumn("provider", TEXT),
        LakeColumn("id", TEXT),
        LakeColumn("expiry_at", INSTANT),
    ),
    ("provider", "guest_ref"),
)

_VALUES: Final = (
    LakeColumn("name", TEXT),
    LakeColumn("key", TEXT),
    # The value with its own type: text always, number or truth where it was one.
    LakeColumn("value", TEXT),
    LakeColumn("number", NUMBER),
    LakeColumn("truth", TRUTH),
    LakeColumn("value_type", TEXT),
)
EXTENSIONS: Final = LakeTable(
    "extensions",
    "guest",
    "guest_ref",
    (LakeColumn("guest_ref", REF), *_VALUES, LakeColumn("meta_modified_at", INSTANT)),
    ("name", "key", "guest_ref"),
)
STATIC_LIST_MEMBERS: Final = LakeTable(
    "static_list_members",
    "guest",
    "guest_ref",
    (
        LakeColumn("guest_ref", REF),
        LakeColumn("list_id", TEXT),
        LakeColumn("meta_created_at", INSTANT),
    ),
    ("list_id", "guest_ref"),
)
ORDERS: Final = LakeTable(
    "orders",
    "order",
    "meta_ref",
    (
        *_META,
        LakeColumn("guest_ref", REF),
        LakeColumn("core_reference_id", TEXT),
        LakeColumn("core_ordered_at", INSTANT),
        *_fields(Order),
    ),
    ("guest_ref", "core_ordered_at"),
)
ORDER_ITEMS: Final = LakeTable(
    "order_items",
    "order",
    "order_ref",
    (
        *_META,
        LakeColumn("order_ref", REF),
        LakeColumn("guest_ref", REF),
        LakeColumn("type", TEXT, member="body", field="type"),
        LakeColumn("core_ordered_at", INSTANT),
        *_fields(OrderItem, "type"),
    ),
    ("guest_ref", "core_ordered_at"),
)
ORDER_EXTENSIONS: Final = LakeTable(
    "order_extensions",
    "order",
    "order_ref",
    (LakeColumn("order_ref", REF), LakeColumn("order_item_ref", REF), *_VALUES),
    ("name", "key", "order_ref"),
)
SESSIONS: Final = LakeTable(
    "sessions",
    "session",
    "meta_ref",
    (
        *_META,
        LakeColumn("guest_ref", REF),
        LakeColumn("browser_ref", REF),
        LakeColumn("type", TEXT),
        LakeColumn("core_status", TEXT),
        LakeColumn("core_cart_type", TEXT),
        LakeColumn("core_channel", TEXT),
        LakeColumn("core_started_at", INSTANT),
        LakeColumn("core_ended_at", INSTANT),
        LakeColumn("core_duration", NUMBER),
        LakeColumn("core_abandoned_revenue", NUMBER),
        *_fields(
            Session,
            *("status", "cart_type", "duration", "session_type", "abandoned_revenue", "orders"),
        ),
    ),
    ("guest_ref", "core_started_at"),
)
EVENTS: Final = LakeTable(
    "events",
    "event",
    "meta_ref",
    (
        *_META,
        LakeColumn("guest_ref", REF),
        LakeColumn("session_ref", REF),
        LakeColumn("browser_ref", REF),
        LakeColumn("type", TEXT),
        LakeColumn("core_channel", TEXT),
        LakeColumn("core_point_of_sale", TEXT),
        *_fields(Event, "status", "arbitrary_data"),
        # All other members that were sent.
        LakeColumn("custom", JSON),
    ),
    ("guest_ref", "meta_created_at"),
)

PARTS: Final = tuple(
    LakeTable(
        *(part.table, "order", "order_ref"),
        (*_META, LakeColumn("order_ref", REF), LakeColumn("guest_ref", REF), *_fields(part)),
        ("order_ref",),
        f"{part.table}.lake_rows",
    )
    for part in PLAIN_CHILDREN
)
"""Parts of orders that need only their declaration."""

TABLES: Final = (
    *(GUESTS, IDENTIFIERS, EXTENSIONS, STATIC_LIST_MEMBERS, ORDERS, ORDER_ITEMS),
    *(ORDER_EXTENSIONS, SESSIONS, EVENTS),
    *PARTS,
)
BY_NAME: Final = {table.name: table for table in TABLES}
REFS: Final = frozenset(
    column.name for table in TABLES for column in table.columns if column.type == REF
)
"""Names of the columns with refs, in every table."""
KINDS: Final = tuple(dict.fromkeys(table.kind for table in TABLES))
FORMAT_VERSION: Final = 2
"""The version of new files' columns and order, the default of `lake_files.format_version`. Files of
an earlier version are read, and rewritten by a compaction."""
CHANGES: Final = "changes"
"""Files of refs whose rows in earlier files are outdated."""
