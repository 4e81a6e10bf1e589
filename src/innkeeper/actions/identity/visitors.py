"""Identify the visitor of a browser: the guest after an IDENTITY event (identity.md 3)."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from innkeeper import clock
from innkeeper.actions.identity import ledger, merges, rulebook
from innkeeper.actions.identity.resolve import decide, meets_rule, record_join, source_params
from innkeeper.errors import Unknown
from innkeeper.resources.base import Record
from innkeeper.resources.guests import CUSTOMER, VISITOR, Guest
from innkeeper.rules import identity
from innkeeper.rules.identity import Decision, Evidence, RuleMatch
from innkeeper.rules.identity_rules import IdentityRules
from innkeeper.rules.merging import COLUMNS, intent
from innkeeper.store.work import Row, Work


async def identify(
    work: Work,
    guest: UUID,
    identifiers: Sequence[Record],
    person: Record,
    *,
    source: str = "IDENTITY event",
    source_ref: UUID | None = None,
) -> UUID:
    """Resolve the guest of a browser whose visitor identified themselves (identity.md 3).

    `guest` is the browser's current guest, `identifiers` are `[{provider, id, expiryDate?}]` and
    `person` holds the other guest fields, all parsed like those of a REST body. Store the returned
    ref as the browser's guest; as with `attach`, it may be an absorbed guest.

    - No rule is met: the guest stays, and the payload is added to it.
    - A rule is met and another guest owns the identifier: the browser points to that guest, and the
      payload is written to it. The current guest is merged into it if it is an anonymous visitor;
      an identified guest stays separate.
    - A rule is met and no guest owns the identifier: the current guest becomes a customer. If the
      same rule identifies it as another person, a new guest is created instead.

    Call it in the transaction that stores the event. Raises `Unknown` if the guest does not exist.
    """
    fields = _identity_fields(identifiers, person)
    book = await rulebook.current(work)
    while True:
        evidence, decision, rows = await decide(work, fields, book)
        current = await work.one("merges.guest", ref=guest)
        if current is None:
            raise Unknown(Guest.singular, guest)
        if evidence is None:
            book = await rulebook.read(work)
            continue
        resolved = await _resolve_browser(
            work, current, fields, evidence, decision, rows, book, source
        )
        if resolved is None:
            book = await rulebook.read(work)
            continue
        target, root = resolved
        customer = meets_rule(evidence, book)
        change = intent("identify", clock.now(), person=fields, customer=customer)
        await ledger.write_group(work, target, change, root=root)
        await record_join(work, target, decision, source_params(work, source, source_ref))
        return target


async def _resolve_browser(
    work: Work,
    current: Row,
    fields: Record,
    evidence: Evidence,
    decision: Decision,
    rows: list[Row],
    book: IdentityRules,
    source: str,
) -> tuple[UUID, UUID | None] | None:
    """Return the guest to point a browser of `current` to, and its survivor if it is absorbed.

    Merges or creates a guest where `identify` says so. Returns None if `book` is out of date.
    """
    if decision.guest is not None and decision.guest != current["ref"]:
        await _absorb_visitor(work, current, decision, book, source)
        owner = next(row for row in rows if row["ref"] == decision.guest)
        return owner["ref"], owner["survivor_ref"]
    if decision.guest is None and identity.contradicts(
        _rule_matches(current, book), evidence.rule_matches
    ):
        created = ledger.new_guest({**fields, "guest_type": CUSTOMER})
        return (created["ref"], None) if await ledger.insert_guest(work, created, book) else None
    return current["ref"], current["survivor_ref"]


def _identity_fields(identifiers: Sequence[Record], person: Record) -> Record:
    """Return the payload of an IDENTITY event as fields of a guest."""
    names = Guest.fields.keys() - COLUMNS
    fields = {name: value for name, value in person.items() if name in names and value}
    return {**fields, "identifiers": list(identifiers)} if identifiers else fields


async def _absorb_visitor(
    work: Work, current: Row, decision: Decision, book: IdentityRules, source: str
) -> None:
    """Merge a browser's previous guest into the decided one, if it is an anonymous visitor."""
    if decision.guest is not None and _is_anonymous(current, book):
        why: dict[str, Any] = {"rule": decision.rule, "evidence": decision.evidence}
        await merges.absorb(work, decision.guest, current["ref"], source=source, **why)


def _rule_matches(guest: Row, book: IdentityRules) -> list[RuleMatch]:
    """Return the rules that a stored guest meets by itself, without merges."""
    return identity.evidence(ledger.unmerged_record(guest), book, clock.now()).rule_matches


def _is_anonymous(guest: Row, book: IdentityRules) -> bool:
    """Return whether a guest is an anonymous visitor: it meets no rule (no rules: has no id)."""
    own = ledger.unmerged_record(guest)
    matches = identity.evidence_of(own, book, clock.now()).rule_matches
    return own["guest_type"] == VISITOR and not matches
