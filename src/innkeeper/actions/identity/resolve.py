"""Resolve the guest that a record belongs to: evidence → candidates → decision → write.

The caller stores the guest that the evidence leads to *as if there were no merges*: an order
contact that matches an identifier of an absorbed guest belongs to that guest. Reads follow
`guests.survivor_ref` and show the contact with the survivor. So a merge and its undo change no
order, session or event, and a record written after a merge stays with the identifier it came with.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from innkeeper import clock
from innkeeper.actions.identity import ledger, rulebook
from innkeeper.errors import Invalid, Problem, Unknown
from innkeeper.resources.base import Record
from innkeeper.resources.guests import Person
from innkeeper.resources.orders import Order
from innkeeper.resources.values import NOT_VALID
from innkeeper.rules import attachment, identity
from innkeeper.rules.attachment import SOURCES, Role, Terms
from innkeeper.rules.identity import Decision, Evidence
from innkeeper.rules.identity_keys import guest_keys, lock_of
from innkeeper.rules.identity_rules import IdentityRules
from innkeeper.rules.merging import Intent, intent, written
from innkeeper.store.work import Json, Row, Work


async def attach(
    work: Work,
    person: Record,
    *,
    role: Role,
    order: UUID,
    named_guest: UUID | None = None,
    order_contacts: Sequence[Record] = (),
) -> UUID:
    """Match or create the guest of an order's contact or consumer, and return it (rest-v2.1.md 8).

    `person`: the contact or consumer as stored (only the fields of `Person` are used).
    `named_guest`: the guest that `guest.href` names; raises `Invalid` if unknown or retired (P-6).
    `order_contacts`: the order's contacts, to match a consumer by name (ID-7); each has
    `first_name`, `last_name` and the stored `guest_ref`.

    Store the returned ref unchanged: it may be an absorbed guest, and reads show
    `coalesce(guests.survivor_ref, guests.ref)`. Call it in the transaction that stores the contact;
    the locks on the person's identity keys are held until that transaction ends.
    """
    fields = _person_fields(person)
    if named_guest is not None:
        row = await work.one("merges.guest", ref=named_guest)
        if row is None or row["survivor_ref"] is not None:
            raise Invalid(Problem("guest.href", NOT_VALID))
        decision = attachment.decide_named(named_guest, order_terms(work, role))
        await _join(work, row, fields, decision, source_params(work, SOURCES[role], order))
        return named_guest
    return await _resolve(work, fields, role, order, order_contacts)


async def attach_event_consumer(
    work: Work, person: Record, order: UUID, order_contacts: Sequence[Record]
) -> UUID:
    """Return the guest of a consumer that an event names, without rules (stream-api.md 4.2).

    It is the guest of a contact if both are the same person, else a new traveller. The traveller is
    stored without emails and identifiers: with them, later records would match the traveller
    instead of the guest who already has them. Call it in the transaction that stores the consumer.
    """
    fields = _person_fields(person)
    book = await rulebook.current(work)
    source = source_params(work, SOURCES["consumer"], order)
    decision = attachment.decide_companion(fields, order_contacts, book, clock.now())
    if decision.guest is not None:
        await record_join(work, decision.guest, decision, source)
        return decision.guest
    anonymous = {
        name: value for name, value in fields.items() if name not in ("emails", "identifiers")
    }
    traveller = ledger.new_guest({**anonymous, "guest_type": decision.guest_type})
    while not await ledger.insert_guest(work, traveller, book, {**_reason(decision), **source}):
        book = await rulebook.read(work)
    return traveller["ref"]  # type: ignore[no-any-return]


@dataclass(frozen=True, slots=True)
class Attached:
    """The guest of a person on an order, resolved without a transaction."""

    guest: UUID
    note: dict[str, Any] | None = None
    """Parameters of `insert_join` (order_people.sql), with which the caller stores the person;
    None if the person is stored already."""


async def attach_directly(
    work: Work, person: Record, *, role: Role, order: UUID, ref: UUID, record: Json, now: datetime
) -> Attached | None:
    """Fast path of `attach`: the person is new, or matches a guest that gains no data.

    Needs no transaction. Returns None, with nothing written, in every other case. `ref` and
    `record` are the ref and body of the contact or consumer to store, `now` is its time. Raises
    `Unknown` if the order does not exist.
    """
    fields = _person_fields(person)
    book = await rulebook.current(work)
    evidence = identity.evidence_of(fields, book, clock.now())
    terms = order_terms(work, role)
    if evidence.blocked or attachment.needs_contacts(fields, evidence, terms):
        return None
    rows = await work.call_batched(
        "identity.attach_person",
        "identity.attach_people",
        **_candidate_params(evidence, book),
        **_direct_params(fields, evidence, terms, book),
        is_contact=role == "contact",
        person=ref,
        record=record,
        order=order,
        source=SOURCES[role],
        actor=work.actor,
        now=now,
    )
    if not rows:
        raise Unknown(Order.singular, order)
    if rows[0]["attached"]:
        return Attached(rows[0]["ref"])
    if rows[0]["version"] != book.version:
        return None
    decision = attachment.decide(fields, evidence, candidates_of(rows), terms, book, clock.now())
    row = next((row for row in rows if row["ref"] == decision.guest), None)
    if decision.guest is None or row is None or decision.blocked:
        return None
    if _join_change(row, fields, decision.customer) is not None:
        return None
    source = {"source": SOURCES[role], "actor": work.actor}
    return Attached(row["ref"], {**_reason(decision), **source})


def _person_fields(record: Record) -> Record:
    """Return the fields of `Person` that have a value in the record of a contact or consumer."""
    return {name: value for name, value in record.items() if value and name in Person.fields}


def order_terms(work: Work, role: Role, *, is_traveller: bool = False) -> Terms:
    """Return the terms of a person on an order by the workspace's settings."""
    return attachment.order_terms(
        role,
        contact_is_customer=work.settings.contact_is_customer,
        travel_tenant=work.settings.travel_tenant,
        is_traveller=is_traveller,
    )


def _direct_params(
    fields: Record, evidence: Evidence, terms: Terms, book: IdentityRules
) -> dict[str, Any]:
    """Return the decisions that `identity.attach_person` may apply, and the guest it may create."""
    direct = attachment.direct_decisions(fields, evidence, terms, book)
    created = ledger.new_guest({**fields, "guest_type": direct.created_type})
    return {
        "version": book.version,
        "ordered_keys": direct.keys,
        "ref": created["ref"],
        "guest_type": created["guest_type"],
        "body": Json(ledger.body_members(created)),
        "guest_keys": guest_keys(created, book.keys(created)),
        "creation": Json({"rule": direct.creation.rule, "evidence": direct.creation.evidence}),
        "reasons": Json(direct.reasons),
        "settled": direct.settled,
        "settled_types": direct.settled_types,
    }


async def _resolve(
    work: Work, fields: Record, role: Role, order: UUID, order_contacts: Sequence[Record]
) -> UUID:
    """Run steps 2 to 6 of rest-v2.1.md section 8 with the rules in force; return the guest."""
    source, terms = source_params(work, SOURCES[role], order), order_terms(work, role)
    book = await rulebook.current(work)
    while True:
        evidence = identity.evidence_of(fields, book, clock.now())
        rows = await find_candidates(work, evidence, book)
        if rows is None:
            book = await rulebook.read(work)
            continue
        decision = attachment.decide(
            fields, evidence, candidates_of(rows), terms, book, clock.now(), order_contacts
        )
        row = next((row for row in rows if row["ref"] == decision.guest), None)
        if decision.guest is not None and row is None:
            row = await work.one("merges.guest", ref=decision.guest)
        if row is not None:
            await _join(work, row, fields, decision, source)
            return row["ref"]  # type: ignore[no-any-return]
        created = ledger.new_guest({**fields, "guest_type": decision.guest_type})
        if await ledger.insert_guest(work, created, book, {**_reason(decision), **source}):
            await _record_blocked(work, created["ref"], decision, source)
            return created["ref"]  # type: ignore[no-any-return]
        book = await rulebook.read(work)


async def find_candidates(
    work: Work, evidence: Evidence, book: IdentityRules, current: UUID | None = None
) -> list[Row] | None:
    """Lock the keys of a record's evidence, and return the guests with one of them, by key.

    The guest `current` has a row without a key in addition. None if `book` is out of date.
    """
    if not evidence.rule_matches:
        row = await work.one("merges.guest", ref=current) if current else None
        return [{**row, "key": None}] if row else []
    params = _candidate_params(evidence, book)
    rows = await work.all("identity.candidates", **params, current=current)
    if rows[0]["version"] != book.version:
        return None
    return [row for row in rows if row["ref"] is not None]


def _candidate_params(evidence: Evidence, book: IdentityRules) -> dict[str, Any]:
    """Return the parameters that look up the guests with a key of `evidence`."""
    keys = evidence.keys()
    locks = sorted(lock_of(key) for key in keys)
    return {"locks": locks, "keys": keys, "most": book.candidates_max}


def candidates_of(rows: Iterable[Row]) -> list[Record]:
    """Return the rows of a lookup that are guests as candidates: without merges, each with its
    key."""
    return [
        {**ledger.unmerged_record(row), "key": row["key"]} for row in rows if row["ref"] is not None
    ]


def _reason(decision: Decision) -> dict[str, Any]:
    """Return the reason of a decision as columns of `guest_joins`."""
    return {"rule": decision.rule, "evidence": Json(decision.evidence)}


async def _join(
    work: Work, row: Row, fields: Record, decision: Decision, source: dict[str, Any]
) -> None:
    """Add the fields of an attached person to the guest and its survivors; store why (step 6)."""
    change = _join_change(row, fields, decision.customer)
    if change is not None:
        await ledger.write_group(work, row["ref"], change, root=row["survivor_ref"])
    await record_join(work, row["ref"], decision, source)


def _join_change(row: Row, fields: Record, customer: bool) -> Intent | None:
    """Return the change that attaching a person makes to a guest.

    None if it changes nothing and the guest is in no merged group (a group journals every change).
    """
    change = intent("join", clock.now(), person=fields, customer=customer)
    if row["survivor_ref"] is None and row["unmerged"] is None:
        visible = ledger.visible_record(row)
        if written(visible, change) is visible:
            return None
    return change


def source_params(work: Work, source: str, ref: UUID | None) -> dict[str, Any]:
    """Return the source of a record as columns of `guest_joins` and `guarded_evidence`."""
    return {"source": source, "source_ref": ref, "actor": work.actor}


async def record_join(work: Work, guest: UUID, decision: Decision, source: dict[str, Any]) -> None:
    """Store why a record joined a guest, and the evidence that guards blocked."""
    await work.run("identity.insert_join", guest=guest, **_reason(decision), **source)
    await _record_blocked(work, guest, decision, source)


async def _record_blocked(
    work: Work, guest: UUID, decision: Decision, source: dict[str, Any]
) -> None:
    """Store the evidence that guards blocked in a decision."""
    for blocked in decision.blocked:
        await work.run(
            "identity.insert_guarded",
            rule=blocked.rule,
            reason=blocked.reason,
            evidence=Json(blocked.evidence),
            guests=[guest],
            **source,
        )
