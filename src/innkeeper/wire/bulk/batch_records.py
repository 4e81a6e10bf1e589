"""Read one line of a batch or import: a record, or a documented error."""

from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from functools import partial
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from innkeeper.errors import Invalid, Problem, missing
from innkeeper.resources.base import Changes, Record, Resource, without_nulls
from innkeeper.resources.guests import DEFAULT_KEY, GuestExtension
from innkeeper.resources.naming import camel
from innkeeper.resources.orders import EXTENSION_NAME
from innkeeper.resources.values import ValueRefused, ref_in
from innkeeper.rules import batch as rules
from innkeeper.rules.batch import (
    BatchRecord,
    ExtensionRecord,
    ItemRecord,
    Operation,
    PersonRecord,
    RecordError,
)
from innkeeper.wire.bulk.batch_plans import (
    BATCH_ORDER,
    CHILDREN,
    GUEST,
    ORDER,
    OWN_GUEST,
    OWN_ORDER,
    PERSON,
    OrderPlans,
    Plan,
)
from innkeeper.wire.bulk.damage import refuse_damaged
from innkeeper.wire.decode import decode
from innkeeper.wire.views import PairsView, Verb

_decoder: Final = msgspec.json.Decoder(float_hook=Decimal)
_BOM: Final = b"\xef\xbb\xbf"
_UNKNOWN: Final = "is not an attribute of this schema"
EXTENSION: Final = PairsView(
    resource=GuestExtension, path="", item="/{name}", verbs=frozenset(), keyed=True
)
ORDER_EXTENSION: Final = EXTENSION.but(names=(EXTENSION_NAME,))


def entry(line: int, text: bytes, *, tracking: bool = False, imported: bool = False) -> BatchRecord:
    """Return the record of a line of a batch, or of an import of such lines; never raises."""
    try:
        envelope = json_of(text)
    except rules.RecordRejected as refused:
        return BatchRecord(line, None, refused.fault)
    given_ref = envelope.get("ref")
    ref = given_ref if isinstance(given_ref, str) and len(given_ref) <= 255 else None
    if ref is not None and "\x00" in ref:
        ref = None
    return BatchRecord(line, ref, guarded(_enveloped, envelope, tracking, imported))


def entry_of(line: int, value: Any, read: Callable[[dict[str, Any]], Operation]) -> BatchRecord:
    """Return the record of a row without an envelope; never raises."""
    if not isinstance(value, dict):
        return BatchRecord(line, None, rules.invalid("value: must be an object"))
    own = value.get("ref")
    return BatchRecord(line, own if isinstance(own, str) else None, guarded(read, value))


def guarded(read: Callable[..., Operation], *arguments: Any) -> Operation | RecordError:
    """Return the result of `read` for a record, or its error."""
    try:
        return read(*arguments)
    except rules.RecordRejected as refused:
        return refused.fault
    except Invalid as refused:
        return rules.invalid_fields(list(refused.problems))


class BadText(ValueError):
    """Text that is not JSON."""


def json_value(text: bytes) -> Any:
    """Decode JSON, with numbers as they are written; raises `BadText`."""
    try:
        return _decoder.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, InvalidOperation, RecursionError):
        raise BadText from None


def json_of(text: bytes) -> dict[str, Any]:
    """The JSON object of a line; raises `RecordRejected`. A byte order mark is skipped wherever a
    file that was appended to has one (batch-api.md 6)."""
    try:
        value = json_value(text.removeprefix(_BOM))
    except BadText:
        raise rules.RecordRejected(rules.invalid("Unable to parse JSON string")) from None
    if not isinstance(value, dict):
        raise rules.RecordRejected(rules.invalid("Unable to parse JSON string"))
    return value


def _enveloped(envelope: dict[str, Any], tracking: bool, imported: bool) -> Operation:
    schema, mode, value = (envelope.get(name) for name in ("schema", "mode", "value"))
    if schema == "tracking" and not tracking:
        raise rules.RecordRejected(rules.UNSUPPORTED)
    reader = MODES.get((schema, mode)) if _are_text(schema, mode) else None
    if schema == "tracking":
        reader = event
    if reader is None:
        raise rules.RecordRejected(rules.UNSUPPORTED)
    if not isinstance(value, dict):
        raise rules.RecordRejected(rules.invalid("value: must be an object"))
    return (refuse_damaged(reader) if imported else reader)(value)


def _are_text(*values: Any) -> bool:
    return all(isinstance(value, str) for value in values)


def own_guest(value: dict[str, Any]) -> Operation:
    """A guest of an import of our own; raises `RecordRejected`."""
    return guest(value, plan=OWN_GUEST)


def guest(value: dict[str, Any], mode: rules.GuestMode = "upsert", plan: Plan = GUEST) -> Operation:
    """A guest to create or change (batch-api.md 7); raises `RecordRejected`."""
    problems: list[Problem] = []
    changes, rest = _members(plan, value, ("extensions",), problems)
    groups = groups_of(rest.get("extensions"), EXTENSION, problems)
    if mode == "merge" and "guest_type" not in changes:
        # A complete guest has the documented members of a create over REST, and no others.
        problems.append(missing("guestType"))
    if problems:
        raise rules.RecordRejected(rules.invalid_fields(problems))
    changes.pop("guest_type", None)
    return rules.GuestWrite(mode, changes, groups)


def order(
    value: dict[str, Any], mode: rules.OrderMode = "upsert", plans: OrderPlans = BATCH_ORDER
) -> rules.OrderWrite:
    """An order to create or change (batch-api.md 8); raises `RecordRejected`."""
    problems: list[Problem] = []
    own = ("contacts",) if plans is OWN_ORDER else ()
    nested = ("contact", *own, "consumers", "orderItems", "extensions", *CHILDREN)
    changes, rest = _members(plans.order, value, nested, problems)
    problems += [missing(name) for name in plans.needed[mode] if value.get(name) is None]
    needs_card = mode == "insert" and changes.get("payment_type") == "Card"
    if needs_card and plans is BATCH_ORDER and "card_type" not in changes:
        problems.append(missing("cardType"))
    contact = _person_record(rest.get("contact"), "contact", plans, problems)
    contacts = [
        _person_record(one, f"contacts[{index}]", plans, problems)
        for index, one in enumerate(_listed(rest.get("contacts"), "contacts", problems))
    ]
    items: list[ItemRecord] = []
    consumers: list[PersonRecord] = []
    if mode == "insert":
        items = [
            _item(one, f"orderItems[{index}]", plans, problems)
            for index, one in enumerate(_listed(rest.get("orderItems"), "orderItems", problems))
        ]
        if not rest.get("orderItems"):
            problems.append(missing("orderItems"))
    elif rest.get("orderItems"):
        problems.append(Problem("orderItems", "is not supported by upsert"))
    for index, one in enumerate(_listed(rest.get("consumers"), "consumers", problems)):
        consumer = _person_record(one, f"consumers[{index}]", plans, problems, uses_items=True)
        consumers.append(consumer)
    groups = groups_of(rest.get("extensions"), ORDER_EXTENSION, problems)
    if len(groups) > 1:
        problems.append(Problem("extensions", "a maximum of 1 data extension is allowed"))
    children = {
        child: [
            _child(one, f"{name}[{index}]", child, plan, problems)
            for index, one in enumerate(_listed(rest[name], name, problems))
        ]
        for name, (child, plan) in CHILDREN.items()
        if name in rest
    }
    if problems:
        raise rules.RecordRejected(rules.invalid_fields(problems))
    group = groups[0] if groups else None
    return rules.OrderWrite(
        *(mode, changes, contact, consumers, items, group), contacts=contacts, children=children
    )


def any_order(value: dict[str, Any]) -> rules.OrderWrite:
    """An order of an import: with items as an insert, without them as an upsert."""
    return order(value, "insert" if value.get("orderItems") else "upsert", OWN_ORDER)


def order_row(value: dict[str, Any]) -> rules.OrderWrite:
    """A row of a table of order lines: an order with one of its lines."""
    return replace(any_order(value), is_row=True)


def _item(value: Any, at: str, plans: OrderPlans, problems: list[Problem]) -> ItemRecord:
    if not isinstance(value, dict):
        problems.append(Problem(at, "must be an object"))
        return ItemRecord({})
    item_problems: list[Problem] = []
    changes, rest = _members(plans.item, value, ("extensions",), item_problems)
    item_problems += [missing(name) for name in plans.needed_of_items if value.get(name) is None]
    groups = groups_of(rest.get("extensions"), ORDER_EXTENSION, item_problems)
    if len(groups) > 1:
        item_problems.append(Problem("extensions", "a maximum of 1 data extension is allowed"))
    problems += _within(at, item_problems)
    return ItemRecord(without_nulls(changes), groups[0] if groups else None)


def _child(
    value: Any, at: str, child: type[Resource], plan: Plan, problems: list[Problem]
) -> Record:
    """Return the fields of a child that needs nothing but its declaration; adds to `problems`."""
    if not isinstance(value, dict):
        problems.append(Problem(at, "must be an object"))
        return {}
    child_problems: list[Problem] = []
    changes, _ = _members(plan, value, (), child_problems)
    required = (camel(name) for name, field in child.fields.items() if field.required)
    child_problems += [missing(name) for name in required if value.get(name) is None]
    problems += _within(at, child_problems)
    return without_nulls(changes)


def _person_record(
    value: Any, at: str, plans: OrderPlans, problems: list[Problem], *, uses_items: bool = False
) -> PersonRecord:
    if value is None:
        problems.append(missing(at))
        return PersonRecord({})
    if not isinstance(value, dict):
        problems.append(Problem(at, "must be an object"))
        return PersonRecord({})
    person_problems: list[Problem] = []
    nested = ("extensions", "orderItems") if uses_items else ("extensions",)
    changes, rest = _members(plans.person, value, nested, person_problems)
    groups = groups_of(rest.get("extensions"), EXTENSION, person_problems)
    items = []
    for index, one in enumerate(_listed(rest.get("orderItems"), "orderItems", person_problems)):
        item = one.get("referenceId") if isinstance(one, dict) else None
        if isinstance(item, str):
            items.append(item)
        else:
            person_problems.append(missing(f"orderItems[{index}].referenceId"))
    problems += _within(at, person_problems)
    return PersonRecord(without_nulls(changes), groups, items)


def guest_delete(value: dict[str, Any], mode: str) -> Operation:
    """Read which guest to delete: identifiers, or attributes that identify (batch-api.md 9)."""
    problems: list[Problem] = []
    changes, _ = _members({**GUEST, **PERSON}, value, ("extensions",), problems)
    if problems:
        raise rules.RecordRejected(rules.invalid_fields(problems))
    return rules.GuestDelete(mode, without_nulls(changes))


def order_delete(value: dict[str, Any]) -> Operation:
    """Read which order to delete (batch-api.md 9)."""
    problems: list[Problem] = []
    reference, order_ref = value.get("referenceId"), value.get("orderRef")
    if not isinstance(reference, str) or not reference or "\x00" in reference:
        problems.append(missing("referenceId"))
    changes, _ = _members(ORDER, {"orderedAt": value.get("orderedAt")}, (), problems)
    if order_ref is not None and (not isinstance(order_ref, str) or ref_in(order_ref) is None):
        problems.append(Problem("orderRef", "not a valid value"))
    if problems:
        raise rules.RecordRejected(rules.invalid_fields(problems))
    return rules.OrderDelete(str(reference), changes.get("ordered_at"), order_ref)


def migration(value: dict[str, Any]) -> Operation:
    """Read which guest to merge into which: `{migrateFrom, migrateTo}` with identifiers."""
    problems: list[Problem] = []
    people = []
    for name in ("migrateFrom", "migrateTo"):
        party = value.get(name)
        party_problems: list[Problem] = []
        changes: Changes = {}
        if isinstance(party, dict):
            changes, _ = _members(GUEST, party, (), party_problems)
        else:
            party_problems.append(missing(name))
        problems += party_problems
        people.append(without_nulls(changes))
    if problems:
        raise rules.RecordRejected(rules.invalid_fields(problems))
    return rules.GuestMigration(*people)


def identifiers_in(values: Any) -> list[dict[str, str]]:
    """Return the well-formed ones of a list of identifiers."""
    return [
        {"provider": one["provider"], "id": one["id"]}
        for one in (values if isinstance(values, list) else ())
        if isinstance(one, dict) and _are_text(one.get("provider"), one.get("id"))
    ]


def event(value: dict[str, Any]) -> Operation:
    """Read an event of the stream API from a file."""
    return rules.EventRecord(value)


MODES: Final[Mapping[Any, Callable[[dict[str, Any]], Operation]]] = {
    **{("guest", mode): partial(guest, mode=mode) for mode in rules.WRITES},
    **{("guest", mode): partial(guest_delete, mode=mode) for mode in rules.REMOVALS},
    **{("order", mode): partial(order, mode=mode) for mode in rules.ORDER_WRITES},
    ("order", "delete"): order_delete,
    ("migration", "guest"): migration,
}
"""(schema, mode) -> function that reads the value (batch-api.md 6)."""


def _members(
    plan: Plan, value: dict[str, Any], nested: tuple[str, ...], problems: list[Problem]
) -> tuple[Changes, dict[str, Any]]:
    """Return the fields of a record and its nested records; adds to `problems`."""
    changes: Changes = {}
    rest: dict[str, Any] = {}
    for spelt, raw in value.items():
        declared = plan.get(spelt)
        if declared is None:
            if spelt in nested:
                rest[spelt] = raw
            else:
                problems.append(Problem(_loggable_name(spelt), _UNKNOWN))
            continue
        name, kind, clearable = declared
        if kind is None:
            continue
        if raw is None:
            if clearable:
                changes[name] = None
            continue
        try:
            changes[name] = kind.read(raw)
        except ValueRefused as refused:
            at = spelt + refused.at
            problem = Problem(at, refused.reason)
            problems.append(missing(at) if refused.reason.endswith(".") else problem)
    return changes, rest


def groups_of(value: Any, view: PairsView, problems: list[Problem]) -> list[ExtensionRecord]:
    """Return the data extensions of a record; pairs with null are left out."""
    groups = []
    for index, one in enumerate(_listed(value, "extensions", problems)):
        at = f"extensions[{index}]"
        if not isinstance(one, dict):
            problems.append(Problem(at, "must be an object"))
            continue
        body = {
            "key": DEFAULT_KEY,
            **{name: member for name, member in one.items() if member is not None},
        }
        try:
            read = decode(view, Verb.CREATE, body)
        except Invalid as refused:
            problems += _within(at, list(refused.problems))
            continue
        groups.append(ExtensionRecord(read["name"], read["key"], read["pairs"]))
    return groups


def _listed(value: Any, at: str, problems: list[Problem]) -> list[Any]:
    if value is None:
        return []
    if isinstance(value, list):
        return value
    problems.append(Problem(at, "must be an array"))
    return []


def _within(at: str, problems: list[Problem]) -> list[Problem]:
    return [
        Problem(f"{at}.{problem.field}", problem.reason, missing=problem.missing)
        for problem in problems
    ]


def _loggable_name(name: str) -> str:
    """Return a member's name in a form that is safe for logs."""
    return name[:100].replace("\x00", "").encode(errors="replace").decode()
