"""Rows of the vendor's data lake export, as records that keep their refs (identity.md 8).

A row has `meta_*` and `core_*` columns, the maps `bxt` (fields) and `ext` (data extension), and the
record as raw JSON, in the form of the vendor's REST API. The raw JSON has the most values, with
their types, so it is read first, then the columns, then `bxt`. A value that a field cannot store is
left out and reported; the record is imported without it.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from innkeeper import clock
from innkeeper.errors import Invalid
from innkeeper.resources.base import Changes, Record, without_nulls
from innkeeper.resources.configuration import DEFAULT_TIMEOUT
from innkeeper.resources.events import BROWSED, CLOSED, Event, Session
from innkeeper.resources.guests import CUSTOMER, DEFAULT_KEY, TRAVELLER, VISITOR
from innkeeper.resources.kinds import ListOf, Text
from innkeeper.resources.naming import camel
from innkeeper.resources.orders import EXTENSION_NAME, Order, OrderConsumer, OrderContact, OrderItem
from innkeeper.resources.values import ValueRefused, instant, iso, ref_in
from innkeeper.rules.guests import guest_fields
from innkeeper.rules.identity_keys import digest, reference_key
from innkeeper.rules.transfers import RETIRED, TransferredRecord
from innkeeper.wire.bulk.batch_plans import OWN_GUEST, Plan, plan_of
from innkeeper.wire.bulk.batch_records import EXTENSION, BadText, json_value
from innkeeper.wire.decode import decode
from innkeeper.wire.views import Verb

_ORDER: Final = plan_of(Order, {})
_ITEM: Final = plan_of(OrderItem, {"type": Text()})
_CONTACT: Final = plan_of(OrderContact, {})
_CONSUMER: Final = plan_of(OrderConsumer, {})
_SURVIVOR: Final = ("survivorRef", "survivor", "mergedInto", "migratedTo", "migrateTo")
"""Members that may name the survivor of a retired guest; the documents name none."""
_URIS: Final = {"first_page_uri": "firstPageURI", "last_page_uri": "lastPageURI"}
_EXTENSIONS: Final = ("dataExtensions", "extensions")


class _Row:
    """One row: its members by their names in the REST API, and the members that cannot be
    stored."""

    def __init__(self, row: Mapping[str, Any]) -> None:
        self.row = row
        self.faults = Counter[str]()
        self.raw = self._raw()
        core = {
            camel(name.removeprefix("core_")): value
            for name, value in row.items()
            if name.startswith("core_") and value is not None
        }
        for spelt in ("firstSeen", "lastSeen"):
            core.setdefault(spelt, core.pop(spelt + "At", None))
        self.members: dict[str, Any] = {**(row.get("bxt") or {}), **core, **self.raw}
        ref = _ref_of(row.get("meta_ref")) or _ref_of(self.raw.get("ref"))
        if ref is None:
            raise ValueRefused("meta_ref is not a UUID")
        self.own_ref: UUID = ref

    def _raw(self) -> dict[str, Any]:
        for name, value in self.row.items():
            if isinstance(value, str) and value.startswith("{") and _is_raw(name):
                try:
                    read = json_value(value.encode())
                except BadText:
                    self.faults[f"{name}: is not JSON"] += 1
                else:
                    return {key: one for key, one in read.items() if one is not None}
        return {}

    def ref(self, what: str, member: str) -> UUID | None:
        """Return the ref in a member, or in the column that is named after it."""
        if named := _ref_of(self.raw.get(member)):
            return named
        columns = (name for name in self.row if what in name and name.endswith(("_ref", "_id")))
        return next(filter(None, (_ref_of(self.row[name]) for name in columns)), None)

    def at(self, column: str, member: str, default: str | None = None) -> str:
        """Return the instant in a column or member, as text; the current time if neither has
        one."""
        for value in (self.row.get(column), self.raw.get(member)):
            try:
                if value is not None:
                    return iso(instant(value))
            except ValueRefused as refused:
                self.faults[f"{member}: {refused.reason}"] += 1
        return default or iso(clock.now())

    def fields(self, plan: Plan) -> Changes:
        return fields_of(plan, self.members, self.faults)

    def times(self) -> Record:
        created = self.at("meta_created_at", "createdAt")
        modified = self.at("meta_modified_at", "modifiedAt", created)
        return {"created_at": created, "modified_at": modified}

    def extensions(self) -> list[Record]:
        """Return the data extensions: those of the raw JSON, else the map `ext`."""
        extensions = [each for name in _EXTENSIONS for each in _items(self.raw.get(name))]
        bodies = [
            {"key": DEFAULT_KEY, **{k: v for k, v in each.items() if k != "values"}, **pairs}
            for each in extensions
            for pairs in [_object(each.get("values"))]
        ]
        if not bodies and self.row.get("ext"):
            bodies = [{"name": EXTENSION_NAME, "key": DEFAULT_KEY, **self.row["ext"]}]
        read = (_extension(body, self.faults) for body in bodies)
        return [extension for extension in read if extension is not None]


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _is_raw(column: str) -> bool:
    return "raw" in column or "json" in column


def guest(row: Mapping[str, Any]) -> TransferredRecord:
    """Read a row of `guests`; raises `ValueRefused` without a ref."""
    source = _Row(row)
    type_text = str(row.get("type") or source.members.get("guestType") or VISITOR)
    # RETIRED is no type of a guest; its survivor says the same.
    source.members.pop("guestType", None)
    fields = source.fields(OWN_GUEST)
    times = source.times()
    visits = {
        "first_seen": fields.pop("first_seen", times["created_at"]),
        "last_seen": fields.pop("last_seen", times["modified_at"]),
    }
    kind = type_text.lower() if type_text.lower() in (VISITOR, CUSTOMER, TRAVELLER) else VISITOR
    record = {
        **{"ref": source.own_ref, "guest_type": kind, "body": guest_fields(fields)},
        **{**visits, **times},
    }
    survivor = None
    if type_text.upper() == RETIRED:
        named = (source.ref("survivor", member) for member in _SURVIVOR)
        survivor = next((ref for ref in named if ref not in (None, source.own_ref)), None)
    return TransferredRecord(
        *(source.own_ref, record, source.extensions()), survivor=survivor, faults=source.faults
    )


def is_retired(row: Mapping[str, Any]) -> bool:
    """Return whether a row of `guests` is a retired guest."""
    return str(row.get("type")).upper() == RETIRED


def order(row: Mapping[str, Any]) -> TransferredRecord:
    """Read a row of `orders`; raises `ValueRefused` without a ref, a reference or a time."""
    source = _Row(row)
    fields, times = source.fields(_ORDER), source.times()
    ordered_at = fields.pop("ordered_at", times["created_at"])
    reference = fields.pop("reference_id", str(source.own_ref))
    record = {"ref": source.own_ref, "reference_id": reference, "ordered_at": ordered_at}
    record |= {"reference_key": reference_key(reference), "body": fields, **times}
    owner = source.ref("guest", "guestRef")
    people = [
        _person(each, _CONTACT, source, times, owner if at == 0 else None, f"contact {at}")
        for at, each in enumerate(
            _items(source.raw.get("contacts")) or _items(source.raw.get("contact")) or [{}]
        )
    ]
    consumers = [
        (_person(each, _CONSUMER, source, times, None, f"consumer {at}"), _items_used(each))
        for at, each in enumerate(_items(source.raw.get("consumers")))
    ]
    return TransferredRecord(
        *(source.own_ref, record, source.extensions(), people, consumers), faults=source.faults
    )


def order_item(row: Mapping[str, Any]) -> TransferredRecord:
    """Read a row of `order_items`; raises `ValueRefused` without a ref."""
    source = _Row(row)
    if row.get("type") is not None:
        source.members["type"] = row["type"]
    fields, times = source.fields(_ITEM), source.times()
    record = {"ref": source.own_ref, "order_ref": source.ref("order", "orderRef"), **times}
    if record["order_ref"] is None:
        record["order_ref"] = _ref_of(source.raw.get("order"))
    record |= {"ordered_at": fields.pop("ordered_at", times["created_at"]), "body": fields}
    return TransferredRecord(source.own_ref, record, source.extensions(), faults=source.faults)


def session(row: Mapping[str, Any]) -> TransferredRecord:
    """Read a row of `sessions`; raises `ValueRefused` without a ref."""
    source = _Row(row)
    members, times = source.members, source.times()
    started = source.at("core_started_at", "startedAt", times["created_at"])
    last = max(started, source.at("core_ended_at", "endedAt", started))
    expires = iso(instant(last) + timedelta(minutes=DEFAULT_TIMEOUT))
    is_over = str(members.get("status")).upper() == CLOSED
    if not is_over:
        source.faults["cart: the export does not have those of open sessions"] += 1
    named = {
        **{"point_of_sale": "pointOfSale", "currency": "currencyCode", "language": "language"},
        **{"referrer": "referer", "operating_system": "operatingSystem"},
        **{"user_agent": "userAgent", "first_page": _URIS["first_page_uri"]},
        **{"last_page": _URIS["last_page_uri"], "utm": "utmAttributes"},
    }
    details = {name: members[spelt] for name, spelt in named.items() if members.get(spelt)}
    custom = members.get("customData") or row.get("custom")
    revenue = members.get("abandonedRevenue")
    record = {
        **{"ref": source.own_ref, "browser_ref": source.ref("browser", "browserRef")},
        **{"guest_ref": source.ref("guest", "guestRef"), "started_at": started, "last_at": last},
        **{"channel": members.get("channel") or row.get("type") or "WEB", "expires_at": expires},
        **{
            "details": {**details, "custom": custom} if custom else details,
            "version": 1,
            "events": 0,
        },
        **{"closed_at": expires if is_over else None, "revenue": revenue if is_over else None},
        **{"cart_type": (members.get("cartType") or BROWSED) if is_over else None, **times},
    }
    return TransferredRecord(source.own_ref, record, faults=source.faults)


def event(row: Mapping[str, Any]) -> TransferredRecord:
    """Read a row of `events`; raises `ValueRefused` without a ref."""
    source = _Row(row)
    members, times = source.members, source.times()
    arbitrary = members.get("arbitraryData")
    if not isinstance(arbitrary, dict):
        arbitrary = {**_left(source), **({"ext": row["ext"]} if row.get("ext") else {})}
    body = {"currency": "currencyCode", "language": "language", "page": "page"}
    body = {name: members[spelt] for name, spelt in body.items() if members.get(spelt) is not None}
    record = {
        **{"ref": source.own_ref, "at": times["created_at"], "received_at": times["modified_at"]},
        **{"session_ref": source.ref("session", "sessionRef"), "number": 0, "ends_session": False},
        **{
            "browser_ref": source.ref("browser", "browserRef"),
            "timeout_seconds": DEFAULT_TIMEOUT * 60,
        },
        **{"type": row.get("type") or members.get("type"), "channel": members.get("channel")},
        **{"point_of_sale": members.get("pointOfSale"), "guest_ref": None},
        "body": {**body, **({"data": arbitrary} if arbitrary else {})},
    }
    return TransferredRecord(source.own_ref, record, faults=source.faults)


_EVENT_MEMBERS: Final = frozenset(map(camel, {**Event.fields, **Session.fields})) | {"guestRef"}


def _left(source: _Row) -> dict[str, Any]:
    """Return the members of an event that are not declared fields."""
    return {name: value for name, value in source.members.items() if name not in _EVENT_MEMBERS}


READERS: Final[Mapping[str, Callable[[Mapping[str, Any]], TransferredRecord]]] = {
    "guests": guest,
    "orders": order,
    "order_items": order_item,
    "sessions": session,
    "events": event,
}
"""Folder of the export -> the function that reads its rows."""


def _person(
    member: Mapping[str, Any],
    plan: Plan,
    source: _Row,
    times: Record,
    owner: UUID | None,
    position: str,
) -> Record:
    """Read a contact or consumer of an order, expanded or only a link."""
    fields = fields_of(plan, member, source.faults)
    for column in ("guest_ref", "order_items"):
        fields.pop(column, None)
    ref = _ref_of(member.get("ref")) or _ref_of(member)
    guest_ref = next(filter(None, (_ref_of(member.get(n)) for n in ("guestRef", "guest"))), owner)
    return {
        # Without a ref in the source, derive one that is the same at every import.
        **{"ref": ref or digest(position, str(source.own_ref)), "order_ref": source.own_ref},
        **{"guest_ref": guest_ref, "body": fields, **times},
    }


def _items_used(consumer: Mapping[str, Any]) -> list[UUID]:
    refs = (_ref_of(each) for each in _items(consumer.get("orderItems")))
    return [ref for ref in dict.fromkeys(refs) if ref is not None]


def _items(value: Any) -> list[dict[str, Any]]:
    """Return the objects of a list, of a collection with `items`, or of one object alone."""
    if isinstance(value, dict):
        value = value["items"] if isinstance(value.get("items"), list) else [value]
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _ref_of(value: Any) -> UUID | None:
    """Return the ref that a text, a link or a record names."""
    if isinstance(value, dict):
        return _ref_of(value.get("ref")) or _ref_of(value.get("href"))
    if not isinstance(value, str):
        return None
    return ref_in(value.rstrip("/").rpartition("/")[2].lower())


def fields_of(
    plan: Plan, members: Mapping[str, Any], faults: Counter[str] | None = None
) -> Changes:
    """Return the fields of a record that can be stored; adds the others to `faults`."""
    faults = Counter() if faults is None else faults
    fields: Changes = {}
    for spelt, raw in members.items():
        name, kind, _ = plan.get(spelt, ("", None, False))
        if kind is None or raw is None:
            continue
        if isinstance(kind, ListOf) and isinstance(raw, str):
            raw = _listed(raw)  # noqa: PLW2901 - a map holds lists as texts
        try:
            fields[name] = kind.read(raw)
        except ValueRefused as refused:
            faults[f"{spelt}: {refused.reason}"] += 1
            if isinstance(kind, ListOf) and isinstance(raw, list):
                good = list(_readable(kind, raw))
                fields |= {name: good} if good else {}
    return fields


def _readable(kind: ListOf, values: Iterable[Any]) -> Iterable[Any]:
    for value in values:
        try:
            yield from kind.read([value])
        except ValueRefused:
            continue


def _listed(text: str) -> Any:
    try:
        return json_value(text.encode()) if text.startswith("[") else [text]
    except BadText:
        return [each.strip() for each in text.strip("[]").split(",")]


def _extension(body: dict[str, Any], faults: Counter[str]) -> Record | None:
    """Return a data extension with the pairs of it that can be stored."""
    ref = _ref_of(body.get("ref"))
    body = without_nulls(body)
    for _ in range(2):
        try:
            read = decode(EXTENSION, Verb.CREATE, body)
        except Invalid as refused:
            for problem in refused.problems:
                faults[f"extensions.{problem.field}: {problem.reason}"] += 1
                body.pop(problem.field, None)
        else:
            return {"name": read["name"], "key": read["key"], "ref": ref, "pairs": read["pairs"]}
    return None
