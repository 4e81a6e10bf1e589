"""Write the order records of a chunk: orders, their parts and their guests (batch-api.md 8)."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from innkeeper.actions.bulk.guest_batch import GuestBatch
from innkeeper.actions.bulk.guest_records import holder_of
from innkeeper.actions.bulk.guest_state import RecordSource
from innkeeper.actions.bulk.order_batch import OrderBatch, OrderPart, OrderState
from innkeeper.actions.bulk.outcomes import Outcomes
from innkeeper.actions.identity.resolve import order_terms
from innkeeper.actions.privacy import block_list
from innkeeper.errors import Invalid
from innkeeper.refs import new_ref
from innkeeper.resources.base import Record
from innkeeper.resources.naming import field_problem
from innkeeper.resources.values import NOT_VALID
from innkeeper.rules import batch as rules
from innkeeper.rules.attachment import SOURCES, Role, has_names_only
from innkeeper.rules.batch import BatchRecord, OrderWrite, PersonRecord, RecordError, RecordRejected
from innkeeper.rules.identity import Evidence
from innkeeper.rules.merging import intent
from innkeeper.rules.orders import check_identifiable, order_person

Written = tuple[BatchRecord, OrderWrite]


@dataclass(frozen=True, slots=True)
class Party:
    """A contact or consumer of a record, with what does not depend on stored data."""

    record: PersonRecord
    body: Record
    """Its fields as the order stores them."""
    evidence: Evidence


async def write(guest_batch: GuestBatch, outcomes: Outcomes, entries: Sequence[Written]) -> None:
    """Apply order writes in file order; a record that fails does not affect the others."""
    order_batch = OrderBatch(guest_batch)
    people = [_people(guest_batch, operation) for _, operation in entries]
    every_person = [person for several in people for person in several]
    blocked = await _blocked(guest_batch, people)
    await order_batch.gather(operation.changes["reference_id"] for _, operation in entries)
    await guest_batch.gather(person.evidence for person in every_person)
    if any(person.record.groups for person in every_person):
        await guest_batch.read_extensions()
    for position, (record, operation) in enumerate(entries):
        order = order_batch.find(operation.changes)
        error = _validate(operation, people[position], order, blocked=position in blocked)
        if error is None:
            try:
                outcome = await _one(guest_batch, order_batch, operation, order, people[position])
            except RecordRejected as rejected:
                error = rejected.fault
        if error is None:
            outcomes.count(outcome)
        else:
            outcomes.fail(record, error)
    await guest_batch.flush()
    await order_batch.flush()


def _people(guest_batch: GuestBatch, operation: OrderWrite) -> list[Party]:
    """Return the contacts, then the consumers."""
    people = []
    for record in (operation.contact, *operation.contacts, *operation.consumers):
        body = order_person(record.changes)
        people.append(Party(record, body, guest_batch.evidence(record.changes)))
    return people


async def _blocked(guest_batch: GuestBatch, people: Sequence[Sequence[Party]]) -> set[int]:
    """Return the positions of the records with a suppressed person."""
    flat = [
        (position, person.record.changes)
        for position, several in enumerate(people)
        for person in several
    ]
    blocked = await block_list.find_blocked(
        guest_batch.work, [changes for _, changes in flat], count=not guest_batch.dry_run
    )
    return {flat[index][0] for index in blocked}


def _validate(
    operation: OrderWrite, people: Sequence[Party], order: OrderState | None, *, blocked: bool
) -> RecordError | None:
    """Return why a record fails, before anything is changed; None if it may be applied."""
    if blocked:
        return rules.SUPPRESSED
    try:
        for person in people:
            check_identifiable(person.body)
    except Invalid:
        return rules.NO_IDENTITY
    if not operation.consumers:
        return None
    item_ids = {item.changes.get("reference_id") for item in operation.items}
    item_ids |= {item.body.get("reference_id") for item in (order.items if order else ())}
    errors = [
        field_problem(f"consumers[{index}].order_items", NOT_VALID).message
        for index, consumer in enumerate(operation.consumers)
        if not item_ids >= {*consumer.items}
    ]
    return rules.invalid(*errors) if errors else None


async def _one(
    guest_batch: GuestBatch,
    order_batch: OrderBatch,
    operation: OrderWrite,
    state: OrderState | None,
    people: Sequence[Party],
) -> str:
    """Apply one record; return `created`, `updated` or `unchanged`. Raises `RecordRejected`."""
    # Everything that can reject a record comes before the first change.
    for person in people:
        await _check_groups(guest_batch, person)
    order = order_batch.put_order(operation.changes, state)
    changed = order.changed
    items, of_items = order_batch.put_items(order, operation.items, is_row=operation.is_row)
    changed |= of_items
    changed |= order_batch.put_extension(order, operation.group)
    changed |= order_batch.put_children(order, operation.children)
    first = 1 + len(operation.contacts)
    contacts, consumers = people[:first], people[first:]
    # A consumer may have the name of a contact of the record, if that one is identified.
    identified = []
    for contact in contacts:
        own, is_new = await _contact(guest_batch, order, contact)
        changed |= is_new
        if contact.evidence.rule_matches:
            identified.append(own)
    # Of items with one referenceId a consumer uses the first line of its own record.
    named = [*reversed(order.items), *reversed(items)] if consumers else []
    uses = {item.body.get("reference_id"): item.ref for item in named}
    for consumer in consumers:
        used = [uses[item] for item in consumer.record.items]
        changed |= await _consumer(guest_batch, order, consumer, identified, used)
    if state is None:
        return "created"
    return "updated" if changed else "unchanged"


async def _contact(
    guest_batch: GuestBatch, order: OrderState, person: Party
) -> tuple[OrderPart, bool]:
    """Add the contact of a record to its order, or merge it with the same guest's contact.

    A contact of a guest that is merged with it does not count: both remain when that is undone.
    Returns the contact, and whether that changes anything.
    """
    for contact in order.contacts:
        if contact.body == person.body:
            return contact, False
    guest = await _attach(guest_batch, order, person, "contact")
    for contact in order.contacts:
        if contact.guest == guest:
            contact.body = {**contact.body, **person.body}
            contact.changed = True
            return contact, True
    order.contacts.append(OrderPart(new_ref(), person.body, is_new=True, guest=guest))
    return order.contacts[-1], True


async def _consumer(
    guest_batch: GuestBatch,
    order: OrderState,
    person: Party,
    contacts: Sequence[OrderPart],
    items: list[UUID],
) -> bool:
    """Add a consumer of a record to its order, unless it has an equal one; return whether added."""
    if any(other.body == person.body for other in order.consumers):
        return False
    guest = await _attach(guest_batch, order, person, "consumer", contacts)
    order.consumers.append(OrderPart(new_ref(), person.body, is_new=True, guest=guest, uses=items))
    return True


async def _attach(
    guest_batch: GuestBatch,
    order: OrderState,
    person: Party,
    role: Role,
    contacts: Sequence[OrderPart] = (),
) -> UUID:
    """Match or create the guest of a contact or consumer, and return it (rest-v2.1.md 8).

    A consumer that meets no rule may be one of `contacts`, by name (batch-api.md 8).
    """
    terms = order_terms(guest_batch.work, role, is_traveller=has_names_only(person.body))
    named = [{**one.body, "guest_ref": one.guest} for one in contacts]
    decision = guest_batch.decide(person.body, person.evidence, terms, named)
    guest = decision.guest
    if guest is None:
        guest = guest_batch.create({**person.record.changes, "guest_type": decision.guest_type})
    else:
        await guest_batch.read_guests([guest])
        change = intent("join", guest_batch.now, person=person.body, customer=decision.customer)
        await guest_batch.write(guest, change)
    if person.record.groups:
        holder = await holder_of(guest_batch, guest)
        await guest_batch.read_extensions([holder])
        guest_batch.put_extensions(holder, person.record.groups)
    guest_batch.add_join(guest, decision, RecordSource(SOURCES[role], order.ref))
    return guest


async def _check_groups(guest_batch: GuestBatch, person: Party) -> None:
    """Raise `RecordRejected` if the guest cannot have a person's data extensions."""
    if not person.record.groups:
        return
    guest = guest_batch.decide(person.body, person.evidence).guest
    if guest is None:
        rules.check_groups({}, person.record.groups)
        return
    holder = await holder_of(guest_batch, guest)
    await guest_batch.read_extensions([holder])
    guest_batch.put_extensions(holder, person.record.groups, dry_run=True)
