"""Which guest a record belongs to: evidence → candidates → decision → write.

What is recorded, by the caller, is the guest that the evidence leads to *as if nothing had been
merged*: an order contact found by an identifier of an absorbed guest belongs to that guest, and
is shown with its survivor, since reads follow `guests.survivor_ref`. So a merge and its undo
change no order, session or event, and what was written after a merge follows the identifier it
came with.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal
from uuid import UUID

from innkeeper import clock
from innkeeper.actions.identity import ledger, merges, rulebook
from innkeeper.errors import Invalid, Problem, Unknown
from innkeeper.resources.base import Record
from innkeeper.resources.guests import CUSTOMER, TRAVELLER, VISITOR, Guest, Person
from innkeeper.resources.orders import Order
from innkeeper.resources.values import NOT_VALID
from innkeeper.rules import identity
from innkeeper.rules.guests import mirror_email
from innkeeper.rules.identity import Decision, Evidence, RuleMatch
from innkeeper.rules.identity_keys import guest_keys, lock_of
from innkeeper.rules.identity_rules import IdentityRules
from innkeeper.rules.merging import COLUMNS, Intent, intent, written
from innkeeper.store.work import Json, Row, Work

Role = Literal["contact", "consumer"]
SOURCES: Final[dict[Role, str]] = {"contact": "order contact", "consumer": "order consumer"}


async def attach(
    work: Work,
    person: Record,
    *,
    role: Role,
    order: UUID,
    named_guest: UUID | None = None,
    order_contacts: Sequence[Record] = (),
) -> UUID:
    """The guest an order's contact or consumer belongs to, found or created (rest-v2.1.md 8).

    `person` is the contact or consumer as stored (fields of `Person`; others are not looked at).
    `given` is the guest its `guest.href` names: unknown or retired raises `Invalid` (P-6).
    `order_contacts` are the order's contacts, for a consumer named like one of them (ID-7): each
    with `first_name`, `last_name` and the `guest_ref` it was stored with.

    Store what is returned as it is: it may be a guest that others stand for now, and reads show
    `coalesce(guests.survivor_ref, guests.ref)`. Call it in a transaction that also stores the
    contact; it holds the identity keys of the person until that ends.
    """
    fields = {name: person[name] for name in Person.fields if person.get(name)}
    if named_guest is not None:
        row = await work.one("merges.guest", ref=named_guest)
        if row is None or row["survivor_ref"] is not None:
            raise Invalid(Problem("guest.href", NOT_VALID))
        decision, guest = Decision(named_guest), named_guest
        await _join(work, row, fields, _is_customer(work, role))
        await _note(work, guest, decision, _source(work, SOURCES[role], order))
        return guest
    return await _resolved(work, fields, role, order, order_contacts)


async def attach_event_consumer(
    work: Work, person: Record, order: UUID, order_contacts: Sequence[Record]
) -> UUID:
    """The guest of a consumer whom an event tells of. No identity rule is run for one: it is a
    contact's guest when both are one person, else a new traveller (stream-api.md 4.2).

    The traveller has nothing that an arrival is recognised by: else it would take the place of
    the guest who is known by that. Call it in the transaction that also stores the consumer.
    """
    fields = {name: person[name] for name in Person.fields if person.get(name)}
    book = await rulebook.current(work)
    source = _source(work, SOURCES["consumer"], order)
    companion = identity.same_person(fields, order_contacts, book, clock.now())
    if companion.guest is not None:
        await _note(work, companion.guest, companion, source)
        return companion.guest
    told = {name: value for name, value in fields.items() if name not in ("emails", "identifiers")}
    traveller = ledger.new_guest({**told, "guest_type": TRAVELLER})
    while not await ledger.insert_guest(work, traveller, book, {**_reason(companion), **source}):
        book = await rulebook.read(work)
    return traveller["ref"]  # type: ignore[no-any-return]


@dataclass(frozen=True, slots=True)
class Attached:
    """Whom a person on an order belongs to, when that took no transaction."""

    guest: UUID
    note: dict[str, Any] | None = None
    """Parameters of `order_people.note_join`, to store the person with; None when the person is
    stored already."""


async def attach_directly(
    work: Work, person: Record, *, role: Role, order: UUID, ref: UUID, record: Json, now: datetime
) -> Attached | None:
    """`attach` where no transaction is needed: nobody knows the person, or a guest does who learns
    nothing from it. None when more is to be done, and nothing is written.

    `ref` and `told` are the contact or consumer to store, `now` its time. Raises `Unknown` for
    the order.
    """
    fields = {name: person[name] for name in Person.fields if person.get(name)}
    book = await rulebook.current(work)
    found = identity.evidence_of(fields, book, clock.now())
    if found.blocked or (
        role == "consumer" and not (found.rule_matches or fields.get("identifiers"))
    ):
        return None
    rows = await work.all(
        "identity.attach_person",
        **_looked_up(found, book),
        **_written_at_once(work, fields, role, found, book),
        version=book.version,
        is_contact=role == "contact",
        person=ref,
        told=record,
        order=order,
        source=SOURCES[role],
        actor=work.actor,
        now=now,
    )
    if not rows:
        raise Unknown(Order.singular, order)
    if rows[0]["made"]:
        return Attached(rows[0]["ref"])
    if rows[0]["version"] != book.version:
        return None
    decision, candidates = _decision(found, rows, book)
    row = next((row for row in candidates if row["ref"] == decision.guest), None)
    joins_as_customer = _is_customer(work, role) or _by_rule(found, book)
    if row is None or decision.blocked or _change_of(row, fields, joins_as_customer) is not None:
        return None
    source = {"source": SOURCES[role], "actor": work.actor}
    return Attached(row["ref"], {**_reason(decision), **source})


def _written_at_once(
    work: Work, fields: Record, role: Role, evidence: Evidence, book: IdentityRules
) -> dict[str, Any]:
    """Parameters of a look that writes: the guest to make when nobody has a key, and what one who
    has a key must know already to be joined."""
    by_rule = _by_rule(evidence, book)
    created = ledger.new_guest({**fields, "guest_type": _type(work, role, by_rule)})
    reasons = identity.reasons(evidence) if by_rule else {}
    return {
        "wanted": list(reasons) or evidence.keys(),
        "ref": created["ref"],
        "guest_type": created["guest_type"],
        "body": Json(ledger.body_members(created)),
        "guest_keys": guest_keys(created, book.keys(created)),
        **_reason(identity.creation(evidence)),
        "reasons": Json(list(reasons.values())),
        "members": list(mirror_email(fields).keys() - {"identifiers"}),
        "identifiers": Json(fields.get("identifiers", [])),
    }


async def _resolved(
    work: Work, fields: Record, role: Role, order: UUID, order_contacts: Sequence[Record]
) -> UUID:
    """Steps 2 to 6 of rest-v2.1.md section 8, by the rules in force."""
    source = _source(work, SOURCES[role], order)
    book = await rulebook.current(work)
    while True:
        found, decision, candidates = await decide(work, fields, book)
        if found is None:
            book = await rulebook.read(work)
            continue
        by_rule = _by_rule(found, book)
        row = next((row for row in candidates if row["ref"] == decision.guest), None)
        joins_as_customer = _is_customer(work, role) or by_rule
        if (
            row is None
            and role == "consumer"
            and not (found.rule_matches or fields.get("identifiers"))
        ):
            namesake = identity.names_match(fields, order_contacts, book.never)
            row = await work.one("merges.guest", ref=namesake) if namesake else None
            joins_as_customer = False
        if row is not None:
            await _join(work, row, fields, joins_as_customer)
            await _note(work, row["ref"], decision, source)
            return row["ref"]  # type: ignore[no-any-return]
        created = ledger.new_guest({**fields, "guest_type": _type(work, role, by_rule)})
        if await ledger.insert_guest(work, created, book, {**_reason(decision), **source}):
            await _record_blocked(work, created["ref"], decision, source)
            return created["ref"]  # type: ignore[no-any-return]
        book = await rulebook.read(work)


def _by_rule(evidence: Evidence, book: IdentityRules) -> bool:
    """Whether a rule is met, and not merely an identifier told."""
    return bool(evidence.rule_matches) and bool(book.rules)


def _is_customer(work: Work, role: Role) -> bool:
    return role == "contact" and work.settings.contact_is_customer


def _type(work: Work, role: Role, by_rule: bool) -> str:
    """What a guest is made as (step 5)."""
    if _is_customer(work, role) or by_rule:
        return CUSTOMER
    return TRAVELLER if role == "consumer" and work.settings.travel_tenant else VISITOR


def _reason(decision: Decision) -> dict[str, Any]:
    """Why a record joined a guest, as notes hold it."""
    return {"rule": decision.rule, "evidence": Json(decision.evidence)}


async def decide(
    work: Work, fields: Record, book: IdentityRules
) -> tuple[Evidence | None, Decision, list[Row]]:
    """Evidence, its keys locked, candidates, decision; no evidence when `book` is out of date."""
    found = identity.evidence_of(fields, book, clock.now())
    if not found.rule_matches:
        return found, identity.creation(found), []
    rows = await work.all("identity.candidates", **_looked_up(found, book))
    if rows[0]["version"] != book.version:
        return None, Decision(None), []
    return found, *_decision(found, rows, book)


def _looked_up(evidence: Evidence, book: IdentityRules) -> dict[str, Any]:
    """Parameters of a look at who has a key of some evidence."""
    keys = evidence.keys()
    locks = sorted(lock_of(key) for key in keys)
    return {"locks": locks, "keys": keys, "most": book.group_limit + 1}


def _decision(
    evidence: Evidence, rows: list[Row], book: IdentityRules
) -> tuple[Decision, list[Row]]:
    """What follows of the rows of a look, and those of them that are guests."""
    now = clock.now()
    rows = [row for row in rows if row["ref"] is not None]
    candidates = [{**ledger.own_record(row), "key": row["key"]} for row in rows]
    if book.rules:
        return identity.resolve(evidence, candidates, book, now), rows
    return identity.resolve_without_rules(evidence, candidates, now), rows


async def identify(
    work: Work,
    guest: UUID,
    identifiers: Sequence[Record],
    person: Record,
    *,
    source: str = "IDENTITY event",
    source_ref: UUID | None = None,
) -> UUID:
    """The guest a browser points to after its person said who they are (identity.md 3).

    `guest` is the guest the browser points to, `identifiers` are `[{provider, id, expiryDate?}]`
    and `person` the other fields of a guest, all of them read like those of a REST body. Store
    what is returned as the browser's guest: like `attach`, it may be one that others stand for.

    - No rule is met: the guest stays; what was sent is added to it.
    - A rule is met and another guest owns the identifier: the browser points to that one, which
      what was sent is written to. The current guest is merged into it when it is an anonymous
      visitor; one that is somebody else is left alone.
    - A rule is met and nobody owns it: the current guest becomes a customer, unless it is
      somebody else by the same rule: then a new guest is made.

    Raises `Unknown` when the guest was deleted. Call it in the transaction that stores the event.
    """
    fields = _identity_fields(identifiers, person)
    book = await rulebook.current(work)
    while True:
        found, decision, rows = await decide(work, fields, book)
        current = await work.one("merges.guest", ref=guest)
        if current is None:
            raise Unknown(Guest.singular, guest)
        if found is None:
            book = await rulebook.read(work)
            continue
        meant = await _meant(work, current, fields, found, decision, rows, book, source)
        if meant is None:
            book = await rulebook.read(work)
            continue
        target, root = meant
        customer = _by_rule(found, book)
        change = intent("identify", clock.now(), person=fields, customer=customer)
        await ledger.write_group(work, target, change, root=root)
        await _note(work, target, decision, _source(work, source, source_ref))
        return target


async def _meant(
    work: Work,
    current: Row,
    fields: Record,
    evidence: Evidence,
    decision: Decision,
    rows: list[Row],
    book: IdentityRules,
    source: str,
) -> tuple[UUID, UUID | None] | None:
    """Whom somebody at the browser of `current` is, and who stands for that guest, if another; None
    when `book` is out of date. Merges or makes a guest where `identify` says so."""
    if decision.guest is not None and decision.guest != current["ref"]:
        await _absorb_visitor(work, current, decision, book, source)
        owner = next(row for row in rows if row["ref"] == decision.guest)
        return owner["ref"], owner["survivor_ref"]
    if decision.guest is None and identity.contradicts(
        _matched_by(current, book), evidence.rule_matches
    ):
        created = ledger.new_guest({**fields, "guest_type": CUSTOMER})
        return (created["ref"], None) if await ledger.insert_guest(work, created, book) else None
    return current["ref"], current["survivor_ref"]


def _identity_fields(identifiers: Sequence[Record], person: Record) -> Record:
    """What an IDENTITY event tells, as fields of a guest."""
    known = Guest.fields.keys() - COLUMNS
    fields = {name: value for name, value in person.items() if name in known and value}
    return {**fields, "identifiers": list(identifiers)} if identifiers else fields


async def _absorb_visitor(
    work: Work, current: Row, decision: Decision, book: IdentityRules, source: str
) -> None:
    """Merge the guest a browser pointed to into the one it points to now, unless it is somebody."""
    if decision.guest is not None and _is_anonymous(current, book):
        why: dict[str, Any] = {"rule": decision.rule, "evidence": decision.evidence}
        await merges.absorb(work, decision.guest, current["ref"], source=source, **why)


def _matched_by(guest: Row, book: IdentityRules) -> list[RuleMatch]:
    return identity.evidence(ledger.own_record(guest), book, clock.now()).rule_matches


def _is_anonymous(guest: Row, book: IdentityRules) -> bool:
    """Whether a guest is nobody yet: a visitor whom no rule, or without rules no id, knows."""
    own = ledger.own_record(guest)
    known = identity.evidence_of(own, book, clock.now()).rule_matches
    return own["guest_type"] == VISITOR and not known


async def _join(work: Work, row: Row, fields: Record, customer: bool) -> None:
    """Step 6: what attaching adds to the guest, and to those that stand for it."""
    change = _change_of(row, fields, customer)
    if change is not None:
        await ledger.write_group(work, row["ref"], change, root=row["survivor_ref"])


def _change_of(row: Row, fields: Record, customer: bool) -> Intent | None:
    """What attaching writes to a guest; None when it changes nothing and nobody stands for it."""
    change = intent("join", clock.now(), person=fields, customer=customer)
    if row["survivor_ref"] is None and row["own"] is None:
        seen = ledger.visible_record(row)
        if written(seen, change) is seen:
            return None
    return change


def _source(work: Work, source: str, ref: UUID | None) -> dict[str, Any]:
    """Where a record comes from, as notes keep it."""
    return {"source": source, "source_ref": ref, "actor": work.actor}


async def _note(work: Work, guest: UUID, decision: Decision, source: dict[str, Any]) -> None:
    """Keep why a record joined a guest, and what guards kept from deciding it."""
    await work.run(
        "identity.note_join",
        guest=guest,
        now=clock.now(),
        **_reason(decision),
        **source,
    )
    await _record_blocked(work, guest, decision, source)


async def _record_blocked(
    work: Work, guest: UUID, decision: Decision, source: dict[str, Any]
) -> None:
    for stopped in decision.blocked:
        await work.run(
            "identity.note_guarded",
            rule=stopped.rule,
            reason=stopped.reason,
            evidence=Json(stopped.evidence),
            guests=[guest],
            now=clock.now(),
            **source,
        )
