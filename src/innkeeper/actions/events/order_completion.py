"""Complete an order when an event of its cart arrives late or is replayed from quarantine."""

from dataclasses import dataclass
from uuid import UUID

from innkeeper.actions.events import purchases, quarantine, session_records
from innkeeper.actions.events.incoming import IncomingRecord
from innkeeper.actions.paging import flat
from innkeeper.actions.records import orders
from innkeeper.actions.records.order_items import ITEMS
from innkeeper.actions.records.order_people import CONTACTS
from innkeeper.resources.base import Changes, Record, without_nulls
from innkeeper.resources.events import CHECKOUT
from innkeeper.resources.guests import Person
from innkeeper.rules import carts, event_orders
from innkeeper.rules.batch import ItemRecord
from innkeeper.rules.carts import CartPurchase
from innkeeper.rules.missing_events import INCOMPLETE, TYPES
from innkeeper.rules.order_lines import line_of, match_lines
from innkeeper.store.work import Json, Row, Work


@dataclass(frozen=True, slots=True)
class Completion:
    """The change that an event makes to the purchase of a CHECKOUT that was recorded before it."""

    order: UUID
    checkout: Row
    guest: UUID
    """The guest of the session of the CHECKOUT, as stored."""
    root: UUID
    """The live guest of that session."""
    before: CartPurchase
    after: CartPurchase


async def find_completion(
    work: Work, record: IncomingRecord, quarantined: Row | None
) -> Completion | None:
    """Find the change of an order that was created without this event; None if there is none.

    `quarantined` is the row of a replayed event: it belongs to the linked order. Call it in the
    event's transaction, before the event is written.
    """
    order: UUID | None = quarantined["order_ref"] if quarantined else None
    is_late = quarantined is None and record.type != CHECKOUT
    if record.is_plain or record.type not in TYPES or not (order or is_late):
        return None
    match = await session_records.carts_at_checkout(work, record, order)
    if match is None:
        return None
    checkout, before, after = match
    order = UUID(checkout["body"]["order"])
    session = next(each for each in record.joined if each.ref == checkout["session_ref"])
    bought = carts.purchase(before), carts.purchase(after)
    return Completion(order, checkout, session.guest, session.root, *bought)


async def complete(work: Work, record: IncomingRecord, change: Completion) -> None:
    """Change the order to what its CHECKOUT would have bought with the event.

    A price that was set by other means is not changed. Call it after the event is written.
    """
    row = await work.one("orders.lock", ref=change.order)
    if row is None:
        return
    order = flat(row)
    pending = [
        each for each in await quarantine.of_order(work, order["ref"]) if each.ref != record.ref
    ]
    await _remove_items(work, order, change)
    lines = [ItemRecord(event_orders.item_of(line)) for line in change.after.lines.values()]
    items = await purchases.put_items(work, order, lines)
    is_complete = not any(each.decides_price for each in pending)
    await _fill_in(work, order, change, is_complete=is_complete)
    flags = set()
    if all(each.is_part for each in pending):
        flags.add(INCOMPLETE)
    if await _put_contacts(work, order, change):
        flags.add(purchases.VISITOR_CONTACT)
    by_name = dict(zip(change.after.lines, items, strict=True))
    await purchases.put_consumers(work, order, change.after.consumers, by_name)
    await _remove_flags(work, change.checkout, flags)


async def _remove_items(work: Work, order: Record, change: Completion) -> None:
    """Delete the items of lines that the completed purchase does not have."""
    before, after = change.before.lines, change.after.lines
    removed = [line for name, line in before.items() if name not in after]
    if not removed:
        return
    stored = (await ITEMS.of_many(work, [order["ref"]]))[order["ref"]]
    lines = [line_of(event_orders.item_of(line), order["ordered_at"], {}) for line in removed]
    for position in match_lines(await purchases.stored_lines(work, stored), lines):
        if position is not None:
            await ITEMS.delete(work, order_item=stored[position]["ref"])


async def _fill_in(work: Work, order: Record, change: Completion, *, is_complete: bool) -> None:
    """Set price, currency and payment type of an order that are missing; `is_known`: the price."""
    changes: Changes = {}
    bought = change.after
    if is_complete and order.get("price") in (None, change.before.price):
        changes = {"price": bought.price, "currency_code": bought.currency}
    if order.get("payment_type") is None:
        changes["payment_type"] = bought.payment
    changes = without_nulls(changes)
    if changes:
        await orders.patch(work, order["ref"], changes)


async def _put_contacts(work: Work, order: Record, change: Completion) -> bool:
    """Add the contacts of the cart to the order, and delete the session's guest as substitute.

    Returns whether the guest was the substitute contact.
    """
    stored = (await CONTACTS.of_many(work, [order["ref"]]))[order["ref"]]
    for person in await purchases.new_people(work, CONTACTS, order, change.after.contacts):
        await CONTACTS.create(work, person, order=order["ref"])
    if change.before.contacts or not change.after.contacts:
        return False
    own = await _stand_in(work, change, stored)
    if own is not None:
        await CONTACTS.delete(work, order_contact=own)
    return own is not None


async def _stand_in(work: Work, change: Completion, contacts: list[Record]) -> UUID | None:
    """Return the contact that has no more data than the guest of the session; None if none."""
    guest = await purchases.own_person(work, change.guest)
    for contact in contacts:
        members = {name: contact[name] for name in Person.fields if contact.get(name) is not None}
        if contact["guest_ref"] == change.root and members.items() <= guest.items():
            ref: UUID = contact["ref"]
            return ref
    return None


async def _remove_flags(work: Work, checkout: Row, flags: set[str]) -> None:
    """Remove flags from a stored CHECKOUT."""
    body = checkout["body"]
    left = [flag for flag in body.get("flags", ()) if flag not in flags]
    if left != body.get("flags", []):
        body = {name: value for name, value in body.items() if name != "flags"}
        body |= {"flags": left} if left else {}
        await work.run("events.amend", at=checkout["at"], ref=checkout["ref"], body=Json(body))
