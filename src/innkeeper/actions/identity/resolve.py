"""Resolve the guest that a record belongs to: evidence → candidates → decision → write.

The caller stores the guest that the evidence leads to *as if there were no merges*: an order
contact that matches an identifier of an absorbed guest belongs to that guest. Reads follow
`guests.survivor_ref` and show the contact with the survivor. So a merge and its undo change no
order, session or event, and a record written after a merge stays with the identifier it came with.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal
from uuid import UUID

from innkeeper import clock
from innkeeper.actions.identity import ledger, rulebook
from innkeeper.errors import Invalid, Problem, Unknown
from innkeeper.resources.base import Record
from innkeeper.resources.guests import CUSTOMER, TRAVELLER, VISITOR, Person
from innkeeper.resources.orders import Order
from innkeeper.resources.values import NOT_VALID
from innkeeper.rules import identity
from innkeeper.rules.guests import mirror_email
from innkeeper.rules.identity import Decision, Evidence
from innkeeper.rules.identity_keys import guest_keys, lock_of
from innkeeper.rules.identity_rules import IdentityRules
from innkeeper.rules.merging import Intent, intent, written
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
    """Match or create the guest of an order's contact or consumer, and return it (rest-v2.1.md 8).

    `person`: the contact or consumer as stored (only the fields of `Person` are used).
    `named_guest`: the guest that `guest.href` names; raises `Invalid` if unknown or retired (P-6).
    `order_contacts`: the order's contacts, to match a consumer by name (ID-7); each has
    `first_name`, `last_name` and the stored `guest_ref`.

    Store the returned ref unchanged: it may be an absorbed guest, and reads show
    `coalesce(guests.survivor_ref, guests.ref)`. Call it in the transaction that stores the contact;
    the locks on the person's identity keys are held until that transaction ends.
    """
    fields = {name: person[name] for name in Person.fields if person.get(name)}
    if named_guest is not None:
        row = await work.one("merges.guest", ref=named_guest)
        if row is None or row["survivor_ref"] is not None:
            raise Invalid(Problem("guest.href", NOT_VALID))
        decision, guest = Decision(named_guest), named_guest
        await _add_person(work, row, fields, _is_customer(work, role))
        await record_join(work, guest, decision, source_params(work, SOURCES[role], order))
        return guest
    return await _resolve(work, fields, role, order, order_contacts)


async def attach_event_consumer(
    work: Work, person: Record, order: UUID, order_contacts: Sequence[Record]
) -> UUID:
    """Return the guest of a consumer that an event names, without rules (stream-api.md 4.2).

    It is the guest of a contact if both are the same person, else a new traveller. The traveller is
    stored without emails and identifiers: with them, later records would match the traveller
    instead of the guest who already has them. Call it in the transaction that stores the consumer.
    """
    fields = {name: person[name] for name in Person.fields if person.get(name)}
    book = await rulebook.current(work)
    source = source_params(work, SOURCES["consumer"], order)
    companion = identity.same_person(fields, order_contacts, book, clock.now())
    if companion.guest is not None:
        await record_join(work, companion.guest, companion, source)
        return companion.guest
    anonymous = {
        name: value for name, value in fields.items() if name not in ("emails", "identifiers")
    }
    traveller = ledger.new_guest({**anonymous, "guest_type": TRAVELLER})
    while not await ledger.insert_guest(work, traveller, book, {**_reason(companion), **source}):
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
    fields = {name: person[name] for name in Person.fields if person.get(name)}
    book = await rulebook.current(work)
    evidence = identity.evidence_of(fields, book, clock.now())
    if evidence.blocked or (
        role == "consumer" and not (evidence.rule_matches or fields.get("identifiers"))
    ):
        return None
    rows = await work.all(
        "identity.attach_person",
        **_candidate_params(evidence, book),
        **_creation_params(work, fields, role, evidence, book),
        version=book.version,
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
    decision, candidates = _decide_among(evidence, rows, book)
    row = next((row for row in candidates if row["ref"] == decision.guest), None)
    joins_as_customer = _is_customer(work, role) or meets_rule(evidence, book)
    if row is None or decision.blocked or _join_change(row, fields, joins_as_customer) is not None:
        return None
    source = {"source": SOURCES[role], "actor": work.actor}
    return Attached(row["ref"], {**_reason(decision), **source})


def _creation_params(
    work: Work, fields: Record, role: Role, evidence: Evidence, book: IdentityRules
) -> dict[str, Any]:
    """Return the parameters of `identity.attach_person` that let it write.

    They are the guest to create if no guest has a key, and the fields that a guest who has a key
    must already hold to be joined.
    """
    by_rule = meets_rule(evidence, book)
    created = ledger.new_guest({**fields, "guest_type": _new_guest_type(work, role, by_rule)})
    reasons = identity.reasons(evidence) if by_rule else {}
    return {
        "ordered_keys": list(reasons) or evidence.keys(),
        "ref": created["ref"],
        "guest_type": created["guest_type"],
        "body": Json(ledger.body_members(created)),
        "guest_keys": guest_keys(created, book.keys(created)),
        **_reason(identity.creation(evidence)),
        "reasons": Json(list(reasons.values())),
        "members": list(mirror_email(fields).keys() - {"identifiers"}),
        "identifiers": Json(fields.get("identifiers", [])),
    }


async def _resolve(
    work: Work, fields: Record, role: Role, order: UUID, order_contacts: Sequence[Record]
) -> UUID:
    """Run steps 2 to 6 of rest-v2.1.md section 8 with the rules in force; return the guest."""
    source = source_params(work, SOURCES[role], order)
    book = await rulebook.current(work)
    while True:
        evidence, decision, candidates = await decide(work, fields, book)
        if evidence is None:
            book = await rulebook.read(work)
            continue
        by_rule = meets_rule(evidence, book)
        row = next((row for row in candidates if row["ref"] == decision.guest), None)
        joins_as_customer = _is_customer(work, role) or by_rule
        if (
            row is None
            and role == "consumer"
            and not (evidence.rule_matches or fields.get("identifiers"))
        ):
            namesake = identity.names_match(fields, order_contacts, book.never)
            row = await work.one("merges.guest", ref=namesake) if namesake else None
            joins_as_customer = False
        if row is not None:
            await _add_person(work, row, fields, joins_as_customer)
            await record_join(work, row["ref"], decision, source)
            return row["ref"]  # type: ignore[no-any-return]
        created = ledger.new_guest({**fields, "guest_type": _new_guest_type(work, role, by_rule)})
        if await ledger.insert_guest(work, created, book, {**_reason(decision), **source}):
            await _record_blocked(work, created["ref"], decision, source)
            return created["ref"]  # type: ignore[no-any-return]
        book = await rulebook.read(work)


def meets_rule(evidence: Evidence, book: IdentityRules) -> bool:
    """Return whether an identity rule is met. Identifiers without rules do not count."""
    return bool(evidence.rule_matches) and bool(book.rules)


def _is_customer(work: Work, role: Role) -> bool:
    """Return whether a person of this role is a customer by the workspace's settings."""
    return role == "contact" and work.settings.contact_is_customer


def _new_guest_type(work: Work, role: Role, by_rule: bool) -> str:
    """Return the `guest_type` of a guest that a person on an order creates (step 5)."""
    if _is_customer(work, role) or by_rule:
        return CUSTOMER
    return TRAVELLER if role == "consumer" and work.settings.travel_tenant else VISITOR


def _reason(decision: Decision) -> dict[str, Any]:
    """Return the reason of a decision as columns of `guest_joins`."""
    return {"rule": decision.rule, "evidence": Json(decision.evidence)}


async def decide(
    work: Work, fields: Record, book: IdentityRules
) -> tuple[Evidence | None, Decision, list[Row]]:
    """Lock the keys of a record's evidence and decide which guest it belongs to.

    Returns the evidence, the decision and the candidates. The evidence is None if `book` is out of
    date; then nothing is decided.
    """
    evidence = identity.evidence_of(fields, book, clock.now())
    if not evidence.rule_matches:
        return evidence, identity.creation(evidence), []
    rows = await work.all("identity.candidates", **_candidate_params(evidence, book))
    if rows[0]["version"] != book.version:
        return None, Decision(None), []
    return evidence, *_decide_among(evidence, rows, book)


def _candidate_params(evidence: Evidence, book: IdentityRules) -> dict[str, Any]:
    """Return the parameters that look up the guests with a key of `evidence`."""
    keys = evidence.keys()
    locks = sorted(lock_of(key) for key in keys)
    return {"locks": locks, "keys": keys, "most": book.candidates_max}


def _decide_among(
    evidence: Evidence, rows: list[Row], book: IdentityRules
) -> tuple[Decision, list[Row]]:
    """Decide among the rows of a lookup; return the decision and the rows that are guests."""
    now = clock.now()
    rows = [row for row in rows if row["ref"] is not None]
    candidates = [{**ledger.unmerged_record(row), "key": row["key"]} for row in rows]
    if book.rules:
        return identity.resolve(evidence, candidates, book, now), rows
    return identity.resolve_without_rules(evidence, candidates, now), rows


async def _add_person(work: Work, row: Row, fields: Record, customer: bool) -> None:
    """Step 6: add the fields of an attached person to the guest and its survivors."""
    change = _join_change(row, fields, customer)
    if change is not None:
        await ledger.write_group(work, row["ref"], change, root=row["survivor_ref"])


def _join_change(row: Row, fields: Record, customer: bool) -> Intent | None:
    """Return the change that attaching a person makes to a guest.

    None if it changes nothing and the guest is in no merged group (a group journals every change).
    """
    change = intent("join", clock.now(), person=fields, customer=customer)
    if row["survivor_ref"] is None and row["own"] is None:
        visible = ledger.visible_record(row)
        if written(visible, change) is visible:
            return None
    return change


def source_params(work: Work, source: str, ref: UUID | None) -> dict[str, Any]:
    """Return the source of a record as columns of `guest_joins` and `identity_guarded`."""
    return {"source": source, "source_ref": ref, "actor": work.actor}


async def record_join(work: Work, guest: UUID, decision: Decision, source: dict[str, Any]) -> None:
    """Store why a record joined a guest, and the evidence that guards blocked."""
    await work.run(
        "identity.insert_join",
        guest=guest,
        now=clock.now(),
        **_reason(decision),
        **source,
    )
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
            now=clock.now(),
            **source,
        )
