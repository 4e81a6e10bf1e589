"""Orders that events create: CHECKOUT, ORDER_CHECKOUT and PAYMENT (stream-api.md 4.2 and 5).

The order, its items and people are the resources of the REST API, created by the same actions.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from innkeeper.actions.events import incomplete_orders
from innkeeper.actions.events.incoming import IncomingRecord
from innkeeper.actions.identity import ledger
from innkeeper.actions.records import guests, orders
from innkeeper.actions.records.extensions import OF_ORDER_ITEMS, OF_ORDERS, Extensions
from innkeeper.actions.records.order_items import ITEMS
from innkeeper.actions.records.order_people import CONSUMERS, CONTACTS, People
from innkeeper.resources import events
from innkeeper.resources.base import Changes, Record, without_nulls
from innkeeper.resources.guests import CUSTOMER, DEFAULT_KEY
from innkeeper.resources.orders import CHANNELS, EXTENSION_NAME, OrderItem
from innkeeper.resources.values import iso
from innkeeper.rules import carts, event_orders
from innkeeper.rules.batch import ExtensionRecord, ItemRecord
from innkeeper.rules.order_lines import Line, line_of, match_lines
from innkeeper.rules.orders import person_of
from innkeeper.rules.stream import NOT_A_CUSTOMER, InvalidEvent, defaults
from innkeeper.store.work import Work

VISITOR_CONTACT: Final = "the contact is a visitor"
"""Flag of an order whose only contact has no identity (stream-api.md 9)."""
_OWNED: Final = frozenset(name for name, field in OrderItem.fields.items() if field.owned)
_WHO: Final = ("first_name", "last_name", "emails", "identifiers")


async def apply_order_event(work: Work, record: IncomingRecord, cart: carts.Cart | None) -> None:
    """Create or change the order of an event; `cart` is the cart before it.

    Adds the order's ref to the record. Raises `InvalidEvent`. Call it in the event's transaction.
    """
    match record.type:
        case events.CHECKOUT:
            await _checkout(work, record, carts.purchase(cart))
        case events.ORDER_CHECKOUT:
            await _order_checkout(work, record)
        case events.PAYMENT:
            await _payment(work, record)


async def _checkout(work: Work, record: IncomingRecord, bought: carts.CartPurchase) -> None:
    missing = await incomplete_orders.find_missing(work, record)
    priced = _priced(record, bought, is_complete=not any(one.decides_price for one in missing))
    changes: Changes = {
        "reference_id": record.meaning["reference_id"],
        "ordered_at": iso(record.mark.at),
        "status": record.meaning["status"],
        "payment_type": bought.payment,
    }
    # A repeated CHECKOUT has an empty cart, and must not overwrite the purchase.
    order = await _put_order(work, record, changes | (priced if bought.lines else {}))
    if order["fresh"] and not bought.lines:
        await orders.patch(work, order["ref"], without_nulls(priced))
    lines = [ItemRecord(event_orders.item_of(line)) for line in bought.lines.values()]
    items = dict(zip(bought.lines, await put_items(work, order, lines), strict=True))
    for person in await new_people(work, CONTACTS, order, bought.contacts):
        await CONTACTS.create(work, person, order=order["ref"])
    if not bought.contacts and (bought.lines or not await _has_contact(work, order)):
        await _own_contact(work, record, order)
    await put_consumers(work, order, bought.consumers, items)
    await incomplete_orders.link(work, record, order["ref"], missing)


def _priced(record: IncomingRecord, bought: carts.CartPurchase, *, is_complete: bool) -> Changes:
    """Return price and currency of an order; without the price if it is not known."""
    details = record.joined[-1].details if record.joined else {}
    currency = bought.currency or defaults(record.message, details).get("currency")
    return {"currency_code": currency} | ({"price": bought.price} if is_complete else {})


async def put_consumers(
    work: Work, order: Record, consumers: Sequence[Record], items: Mapping[str, UUID]
) -> None:
    """Add consumers of a cart to an order; `items` are its items by `item_id`."""
    for person in await new_people(work, CONSUMERS, order, consumers):
        used = [str(items[name]) for name in person.get("item_ids", ()) if name in items]
        changes = {name: value for name, value in person.items() if name != "item_ids"}
        changes |= {"order_items": used} if used else {}
        await CONSUMERS.create_from_event(work, order["ref"], changes)


async def _order_checkout(work: Work, record: IncomingRecord) -> None:
    """Create the whole order of one event; the guest must be a customer already."""
    if record.browser.root_type != CUSTOMER:
        raise InvalidEvent(NOT_A_CUSTOMER, "ORDER_CHECKOUT needs a guest who is identified")
    meaning = record.meaning
    # An order without a valid date gets the time of the event.
    order = await _put_order(work, record, {"ordered_at": iso(record.mark.at), **meaning["order"]})
    currency = order.get("currency_code")
    lines = []
    for item in meaning["items"]:
        fields = {name: value for name, value in item.items() if name != "ext"}
        group = ExtensionRecord(EXTENSION_NAME, DEFAULT_KEY, item["ext"]) if item["ext"] else None
        lines.append(ItemRecord({"currency_code": currency, "type": "OTHER", **fields}, group))
    await put_items(work, order, lines)
    await _extend(work, OF_ORDERS, order["ref"], meaning["ext"])
    await _own_contact(work, record, order)


async def _payment(work: Work, record: IncomingRecord) -> None:
    """Set the payment type of the session's last order; before CHECKOUT the cart stores it."""
    refs = [ref for session in record.joined for ref in session.details.get("orders", ())]
    if refs and await work.one("orders.fetch", ref=UUID(refs[-1])):
        paid = {"payment_type": record.meaning["pay_type"]}
        if "card_type" in record.meaning:
            paid["card_type"] = record.meaning["card_type"]
        await orders.patch(work, UUID(refs[-1]), paid)


async def _put_order(work: Work, record: IncomingRecord, changes: Changes) -> Record:
    """Create the order or match a stored one, and add its ref to the record."""
    origin: Changes = {"point_of_sale": record.point_of_sale}
    if record.channel in CHANNELS:
        origin["channel"] = record.channel
    order = await orders.create(work, {**origin, **without_nulls(changes)})
    record.additions["order"] = str(order["ref"])
    return order


async def put_items(work: Work, order: Record, lines: Sequence[ItemRecord]) -> list[UUID]:
    """Match lines with the stored items of an order, update or create them; returns their refs in
    the order of the lines."""
    stored: list[Record] = []
    positions: list[int | None] = [None] * len(lines)
    if lines and not order.get("fresh"):
        stored = (await ITEMS.of_many(work, [order["ref"]]))[order["ref"]]
        incoming = [line_of(line.changes, order["ordered_at"], line.extensions) for line in lines]
        positions = match_lines(await stored_lines(work, stored), incoming)
    refs = []
    for line, position in zip(lines, positions, strict=True):
        if position is None:
            item = await ITEMS.create(work, line.changes, order=order["ref"])
        else:
            item = stored[position]
            await _update(work, item, line.changes)
        if line.group is not None:
            await _extend(work, OF_ORDER_ITEMS, item["ref"], line.group.pairs)
        refs.append(item["ref"])
    return refs


async def stored_lines(work: Work, items: Sequence[Record]) -> list[Line]:
    """Convert stored items with their extensions to lines for matching."""
    extensions = await OF_ORDER_ITEMS.of_many(work, [item["ref"] for item in items])
    return [
        line_of(
            {name: item[name] for name in OrderItem.fields if name in item and name not in _OWNED},
            item["ordered_at"],
            {(each["name"], each["key"]): each["pairs"] for each in extensions[item["ref"]]},
        )
        for item in items
    ]


async def _update(work: Work, item: Record, changes: Changes) -> None:
    """Change a stored item to the values of a line, if any differs."""
    members = line_of(changes, item["ordered_at"], {}).members
    if any(item.get(name) != value for name, value in members.items()):
        await ITEMS.patch(work, changes, order_item=item["ref"])


async def new_people(
    work: Work, people: People, order: Record, persons: Sequence[Record]
) -> list[Record]:
    """Return the people that the order does not have yet: a CHECKOUT may be repeated."""
    if order.get("fresh") or not persons:
        return list(persons)
    rows = await people.of_many(work, [order["ref"]])
    stored = [_identity_of(person) for person in rows[order["ref"]]]
    return [person for person in persons if _identity_of(person) not in stored]


def _identity_of(person: Record) -> list[Any]:
    return [person.get(name) or None for name in _WHO]


async def _has_contact(work: Work, order: Record) -> bool:
    if order["fresh"]:
        return False
    return bool((await CONTACTS.of_many(work, [order["ref"]]))[order["ref"]])


async def _own_contact(work: Work, record: IncomingRecord, order: Record) -> None:
    """Add the session's guest as contact; if it is a visitor, it stays one and the event is
    flagged."""
    guest = await guests.fetch(work, record.browser.root)
    if guest["guest_type"] != CUSTOMER:
        record.additions.setdefault("flags", []).append(VISITOR_CONTACT)
    contact = await work.one("order_contacts.is_contact", order=order["ref"], guest=record.guest)
    if contact is None:
        person = await own_person(work, record.guest)
        await CONTACTS.create_for_guest(work, order["ref"], record.guest, person)


async def own_person(work: Work, guest: UUID) -> Changes:
    """Return a guest's own fields as those of a contact, without those of guests merged with it:
    the contact remains when a merge is undone."""
    row = await work.one("merges.guest", ref=guest)
    return {} if row is None else person_of(ledger.unmerged_record(row))


async def _extend(work: Work, of: Extensions, parent: UUID, pairs: Mapping[str, Any]) -> None:
    """Add the pairs of an event's `ext` to those that are stored."""
    if not pairs:
        return
    changes: Changes = {"name": EXTENSION_NAME, "pairs": dict(pairs), "single": False}
    stored = [row for row in await of.of_one(work, parent) if row["name"] == EXTENSION_NAME]
    if stored and stored[0]["pairs"].items() >= pairs.items():
        return
    write = of.patch if stored else of.create
    await write(work, EXTENSION_NAME, changes=changes, unique_keys=False, **{of.parent: parent})
