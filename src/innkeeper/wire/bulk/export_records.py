"""Convert records to the form that imports read."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from innkeeper.actions.bulk.file_exports import Entity, ExportedParts
from innkeeper.resources.base import Record, Resource
from innkeeper.resources.guests import Guest
from innkeeper.resources.kinds import Count, Instant, Kind, Number
from innkeeper.resources.naming import camel
from innkeeper.resources.orders import PLAIN_CHILDREN, Order, OrderItem
from innkeeper.resources.values import iso
from innkeeper.store.work import Row
from innkeeper.wire.encode import instant_text

Value = dict[str, Any]
EVENT_COLUMNS: Final = (
    *("ref", "type", "browser_id", "channel", "pos", "requested_at", "currency"),
    *("language", "page", "ext", "data"),
)
_SPELT: Final = {"passenger_type_code": "consumerTypeCode"}


def guest(record: Record, extensions: Iterable[Row]) -> Value:
    """Return a guest with its data extensions, as a value of a batch."""
    return _fields(Guest, record) | _extensions(extensions)


def order(record: Record, parts: ExportedParts) -> Value:
    """Return an order with all its parts, as a value of a batch."""
    ref: UUID = record["ref"]
    value = _fields(Order, record)
    contacts = parts.contacts.get(ref, [])
    if contacts:
        # The newest is the primary one (rest-v2.1.md P-3): they are imported in this order.
        value["contact"], *others = map(_person, contacts)
        value |= {"contacts": others} if others else {}
    consumers = [
        _person(row) | _uses(parts.uses.get(row["ref"], [])) for row in parts.consumers.get(ref, [])
    ]
    items = [
        _fields(OrderItem, {**row["body"], "ref": row["ref"], "ordered_at": row["ordered_at"]})
        | _extensions(parts.item_extensions.get(row["ref"], []))
        for row in parts.items.get(ref, [])
    ]
    more = {"consumers": consumers, "orderItems": items}
    for part, rows in parts.others.items():
        more[camel(part.plural)] = [_fields(part, row) for row in rows[ref]]
    value |= {name: member for name, member in more.items() if member}
    return value | _extensions(parts.extensions.get(ref, []))


def event(row: Row) -> Value:
    """Return an event in the form of the stream API."""
    body = row["body"]
    data = dict(body.get("data") or {})
    value: Value = {
        "ref": row["ref"],
        "type": row["type"],
        "browser_id": row["browser_ref"],
        "channel": row["channel"],
        "pos": row["point_of_sale"],
        "requested_at": iso(row["at"]),
    }
    value |= {name: body[name] for name in ("currency", "language", "page") if name in body}
    return {**data, **value}


def flat(value: Value) -> Value:
    """Return a value as a row of a table; pairs of data extensions have their own columns."""
    row = {name: member for name, member in value.items() if name != "extensions"}
    for group in value.get("extensions", ()):
        for name, member in group.items():
            if name not in ("name", "key"):
                row[column(group["name"], group["key"], name)] = member
    return row


def flat_event(value: Value) -> Value:
    """Return an event as a row of a table; members without a column are JSON in `data`."""
    row = {name: member for name, member in value.items() if name in EVENT_COLUMNS}
    rest = {name: member for name, member in value.items() if name not in EVENT_COLUMNS}
    return row | ({"data": rest} if rest else {})


def columns(entity: Entity, pairs: Sequence[Row]) -> dict[str, str]:
    """Return the columns of a table of such records, with their SQL types."""
    if entity == "events":
        return {
            name: "TIMESTAMP" if name == "requested_at" else "VARCHAR" for name in EVENT_COLUMNS
        }
    resource: type[Resource] = Guest if entity == "guests" else Order
    out = {camel(name): _type(field.kind) for name, field in resource.fields.items()}
    if entity == "orders":
        parts = (camel(part.plural) for part in PLAIN_CHILDREN)
        out |= dict.fromkeys(("contact", "contacts", "consumers", "orderItems", *parts), "VARCHAR")
    types = {("number",): "DOUBLE", ("boolean",): "BOOLEAN", ("string",): "VARCHAR"}
    for row in pairs:
        name = column(row["name"], row["key"], row["pair"])
        # Values of several types, and empty texts, keep theirs as JSON.
        out[name] = types.get(tuple(row["kinds"]), "JSON")
    return out


def label(name: str, kind: str) -> str:
    """Return the name of a column in CSV, which tells an import the type of a pair's values."""
    if not name.startswith("extensions."):
        return name
    type_ = {"DOUBLE": "number", "BOOLEAN": "boolean", "JSON": "json"}.get(kind, "")
    return f"{name}:{type_}" if type_ else name


def column(name: str, key: str, pair: str) -> str:
    """Return the column of a pair, which imports understand as well."""
    return f"extensions.{name}{'' if key == 'default' else '/' + key}.{pair}"


def _type(kind: Kind) -> str:
    if isinstance(kind, Instant):
        return "TIMESTAMP"
    return (
        "DOUBLE" if isinstance(kind, Number) else "BIGINT" if isinstance(kind, Count) else "VARCHAR"
    )


def _fields(resource: type[Resource], record: Mapping[str, Any]) -> Value:
    return {
        spelt: instant_text(value) if is_instant else value
        for name, spelt, is_instant in _MEMBERS[resource]
        if (value := record.get(name)) is not None
    }


_RESOURCES: Final[Sequence[type[Resource]]] = (Guest, Order, OrderItem, *PLAIN_CHILDREN)
_MEMBERS: Final[Mapping[type[Resource], Sequence[tuple[str, str, bool]]]] = {
    resource: [
        (name, _SPELT.get(name, camel(name)), isinstance(field.kind, Instant))
        for name, field in resource.fields.items()
    ]
    for resource in _RESOURCES
}
"""The field, name in JSON, and whether it is an instant, of each member."""


def _person(row: Row) -> Value:
    return {camel(name): value for name, value in row["body"].items() if value is not None}


def _uses(rows: Iterable[Row]) -> Value:
    items = [{"referenceId": row["reference_id"]} for row in rows if row["reference_id"]]
    return {"orderItems": items} if items else {}


def _extensions(rows: Iterable[Row]) -> Value:
    groups = [{"name": row["name"], "key": row["key"], **row["pairs"]} for row in rows]
    return {"extensions": groups} if groups else {}
