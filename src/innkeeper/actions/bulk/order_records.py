"""Orders of a chunk of records: their parts, and the guests who they belong to (batch-api.md 8)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from innkeeper.actions.bulk.guest_batch import GuestBatch, RecordSource
from innkeeper.actions.bulk.guest_records import holder_of
from innkeeper.actions.bulk.order_batch import OrderBatch, OrderPart, OrderState
from innkeeper.actions.bulk.outcomes import Outcomes
from innkeeper.actions.identity.resolve import SOURCES, Role
from innkeeper.actions.privacy import block_list
from innkeeper.errors import Invalid
from innkeeper.refs import new_ref
from innkeeper.resources.base import Record
from innkeeper.resources.guests import CUSTOMER, TRAVELLER, VISITOR, Person
from innkeeper.rules import batch as rules
from innkeeper.rules import identity
from innkeeper.rules.batch import BatchRecord, OrderWrite, PersonRecord, RecordError, RecordRejected
from innkeeper.rules.guests import mirror_email
from innkeeper.rules.identity import Evidence
from innkeeper.rules.merging import intent
from innkeeper.rules.orders import check_identifiable

Written = tuple[BatchRecord, OrderWrite]
_NAMES: Final = frozenset({"first_name", "last_name"})


@dataclass(frozen=True, slots=True)
class Party:
    """A contact or consumer, read as far as it is the same whatever is stored."""

    record: PersonRecord
    body: Record
    """Its fields as the order keeps them."""
    stored: Evidence


async def write(guest_batch: GuestBatch, outcomes: Outcomes, entries: Sequence[Written]) -> None:
    """Carry out order writes in their order; what fails does so alone."""
    order_batch = OrderBatch(guest_batch)
    people = [_people(guest_batch, what) for _, what in entries]
    everybody = [person for several in people for person in several]
    blocked = await _blocked(guest_batch, people)
    await order_batch.gather(what.changes["reference_id"] for _, what in entries)
    await guest_batch.gather(person.stored for person in everybody)
    if any(person.record.groups for person in everybody):
        await guest_batch.read_groups()
    for position, (entry, what) in enumerate(entries):
        order = order_batch.find(what.changes)
        fault = _fault(what, people[position], order, blocked=position in blocked)
        if fault is None:
            try:
                outcome = await _one(guest_batch, order_batch, what, order, people[position])
            except RecordRejected as refused:
                fault = refused.fault
        if fault is None:
            outcomes.count(outcome)
        else:
            outcomes.fail(entry, fault)
    await guest_batch.flush()
    await order_batch.flush()


def _people(guest_batch: GuestBatch, what: OrderWrite) -> list[Party]:
    """The contact, then the consumers."""
    every = []
    for told in (what.contact, *what.consumers):
        # Read as the kinds of an order's person are: nothing is to be checked again.
        fields = mirror_email(told.changes)
        body = {name: fields[name] for name in Person.fields if fields.get(name) is not None}
        every.append(Party(told, body, guest_batch.evidence(told.changes)))
    return every


async def _blocked(guest_batch: GuestBatch, people: Sequence[Sequence[Party]]) -> set[int]:
    """Positions of the records that tell of somebody who is suppressed."""
    flat = [
        (position, person.record.changes)
        for position, several in enumerate(people)
        for person in several
    ]
    found = await block_list.blocked_among(
        guest_batch.work, [changes for _, changes in flat], count=not guest_batch.rehearses
    )
    return {flat[index][0] for index in found}


def _fault(
    what: OrderWrite, people: Sequence[Party], order: OrderState | None, *, blocked: bool
) -> RecordError | None:
    """Why a record fails before anything is changed."""
    if blocked:
        return rules.SUPPRESSED
    try:
        for person in people:
            check_identifiable(person.body)
    except Invalid:
        return rules.NO_IDENTITY
    if not what.consumers:
        return None
    known = {item.changes.get("reference_id") for item in what.items}
    known |= {item.body.get("reference_id") for item in (order.items if order else ())}
    errors = [
        f"consumers[{index}].orderItems: not a valid value"
        for index, told in enumerate(what.consumers)
        if not known >= {*told.items}
    ]
    return rules.invalid(*errors) if errors else None


async def _one(
    guest_batch: GuestBatch,
    order_batch: OrderBatch,
    what: OrderWrite,
    state: OrderState | None,
    people: Sequence[Party],
) -> str:
    # Everything that can refuse a record comes before the first change.
    for person in people:
        await _check_groups(guest_batch, person)
    order = order_batch.put_order(what.changes, state)
    changed = order.changed
    items, of_items = order_batch.put_items(order, what.items, is_row=what.is_row)
    changed |= of_items
    changed |= order_batch.put_group(order, what.group)
    contact, *consumers = people
    changed |= await _contact(guest_batch, order, contact)
    # Of items with one referenceId a consumer uses the first line of its own record.
    named = [*reversed(order.items), *reversed(items)] if consumers else []
    uses = {item.body.get("reference_id"): item.ref for item in named}
    for consumer in consumers:
        used = [uses[item] for item in consumer.record.items]
        changed |= await _consumer(guest_batch, order, consumer, contact, used)
    if state is None:
        return "created"
    return "updated" if changed else "unchanged"


async def _contact(guest_batch: GuestBatch, order: OrderState, person: Party) -> bool:
    """The contact of a record on its order, once; whether that changes anything."""
    if any(known.body == person.body for known in order.contacts):
        return False
    guest = await _attach(guest_batch, order, person, "contact")
    root = await holder_of(guest_batch, guest)
    for known in order.contacts:
        if root == known.root:
            known.body = {**known.body, **person.body}
            known.changed = True
            return True
    order.contacts.append(OrderPart(new_ref(), person.body, fresh=True, guest=guest, root=root))
    return True


async def _consumer(
    guest_batch: GuestBatch, order: OrderState, person: Party, contact: Party, items: list[UUID]
) -> bool:
    """A consumer of a record on its order, once; whether that changes anything."""
    if any(known.body == person.body for known in order.consumers):
        return False
    guest = await _attach(guest_batch, order, person, "consumer", contact)
    order.consumers.append(OrderPart(new_ref(), person.body, fresh=True, guest=guest, uses=items))
    return True


async def _attach(
    guest_batch: GuestBatch,
    order: OrderState,
    person: Party,
    role: Role,
    contact: Party | None = None,
) -> UUID:
    """The guest who a contact or consumer is, found or created (rest-v2.1.md 8)."""
    decision = guest_batch.decide(person.stored)
    by_rule = bool(person.stored.rule_matches) and bool(guest_batch.book.rules)
    is_customer = role == "contact" and guest_batch.work.settings.contact_is_customer
    guest = decision.guest
    if (
        guest is None
        and contact is not None
        and not person.stored.rule_matches
        and contact.stored.rule_matches
    ):
        guest = _namesake(guest_batch, person, order, contact)
        if guest is not None:
            await guest_batch.meet([guest])
    if guest is None:
        kind = CUSTOMER if is_customer or by_rule else _kind(guest_batch, person, role)
        guest = guest_batch.create({**person.record.changes, "guest_type": kind})
    else:
        customer = is_customer or by_rule
        change = intent("join", guest_batch.now, person=person.body, customer=customer)
        await guest_batch.write(guest, change)
    if person.record.groups:
        holder = await holder_of(guest_batch, guest)
        await guest_batch.read_groups([holder])
        guest_batch.put_groups(holder, person.record.groups)
    guest_batch.note(guest, decision, RecordSource(SOURCES[role], order.ref))
    return guest


def _namesake(
    guest_batch: GuestBatch, person: Party, order: OrderState, contact: Party
) -> UUID | None:
    """An identified contact of the same name (batch-api.md 8, consumer rule)."""
    if person.body.get("identifiers"):
        return None
    contacts = [{**one.body, "guest_ref": one.guest} for one in order.contacts]
    mine = [one for one in contacts if one["guest_ref"] is not None]
    named = [one for one in mine if _same(one, contact)]
    return identity.names_match(person.body, named, guest_batch.book.never)


def _same(one: Record, contact: Party) -> bool:
    return all(one.get(name) == contact.body.get(name) for name in _NAMES)


def _kind(guest_batch: GuestBatch, person: Party, role: Role) -> str:
    """What a guest is who has not enough identity (batch-api.md 8, consumer rule)."""
    names_only = set(person.body) <= _NAMES
    travels = role == "consumer" and (names_only or guest_batch.work.settings.travel_tenant)
    return TRAVELLER if travels else VISITOR


async def _check_groups(guest_batch: GuestBatch, person: Party) -> None:
    """Raises `Refused` for data extensions that the guest cannot have."""
    if not person.record.groups:
        return
    guest = guest_batch.decide(person.stored).guest
    if guest is None:
        rules.check_groups({}, person.record.groups)
        return
    holder = await holder_of(guest_batch, guest)
    await guest_batch.read_groups([holder])
    guest_batch.put_groups(holder, person.record.groups, dry=True)
