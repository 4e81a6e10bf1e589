"""Identify the visitor of a browser: the guest after an IDENTITY event (identity.md 3)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from innkeeper import clock
from innkeeper.actions.identity import ledger, merges, rulebook
from innkeeper.actions.identity.resolve import (
    candidates_of,
    find_candidates,
    record_join,
    source_params,
)
from innkeeper.errors import Unknown
from innkeeper.resources.base import Record
from innkeeper.resources.guests import Guest
from innkeeper.rules import attachment, identity
from innkeeper.rules.merging import COLUMNS, intent
from innkeeper.store.work import Row, Work


@dataclass(frozen=True, slots=True)
class Identified:
    """The guest of a browser after an IDENTITY event."""

    guest: UUID
    """As the browser stores it: with `attach`, it may be an absorbed guest."""
    root: UUID
    """The live guest."""


async def identify(
    work: Work,
    guest: UUID,
    identifiers: Sequence[Record],
    person: Record,
    *,
    source: str = "IDENTITY event",
    source_ref: UUID | None = None,
    last_seen: datetime | None = None,
) -> Identified:
    """Resolve the guest of a browser whose visitor identified themselves (identity.md 3).

    `guest` is the browser's current guest, `identifiers` are `[{provider, id, expiryDate?}]` and
    `person` holds the other guest fields, all parsed like those of a REST body. A guest that stays
    the browser's was last seen at `last_seen`.

    - No rule matches: the guest stays, and the payload is added to it.
    - A rule matches and another guest owns the identifier: the browser points to that guest, and
      the payload is written to it. The current guest is merged into it if it is an anonymous
      visitor; an identified guest stays separate.
    - A rule matches and no guest owns the identifier: the current guest becomes a customer. If the
      same rule identifies it as another person, a new guest is created instead.

    Call it in the transaction that stores the event. Raises `Unknown` if the guest does not exist.
    """
    fields = _identity_fields(identifiers, person)
    book = await rulebook.current(work)
    while True:
        evidence = identity.evidence_of(fields, book, clock.now())
        candidates = await find_candidates(work, evidence, book, guest)
        if candidates is None:
            book = await rulebook.read(work)
            continue
        rows = [row for row in candidates if row["key"] is not None]
        current = next((row for row in candidates if row["key"] is None), None)
        if current is None:
            raise Unknown(Guest.singular, guest)
        decision, merges_current = attachment.decide_visitor(
            ledger.unmerged_record(current), evidence, candidates_of(rows), book, clock.now()
        )
        row = next((row for row in [current, *rows] if row["ref"] == decision.guest), None)
        if row is None:
            created = ledger.new_guest({**fields, "guest_type": decision.guest_type})
            if not await ledger.insert_guest(work, created, book):
                book = await rulebook.read(work)
                continue
            row = {"ref": created["ref"], "survivor_ref": None}
        target: UUID = row["ref"]
        if merges_current:
            why: Row = {"rule": decision.rule, "evidence": decision.evidence}
            await merges.absorb(work, target, guest, source=source, **why)
        changes = [intent("identify", clock.now(), person=fields, customer=decision.customer)]
        if last_seen is not None and target == guest:
            changes.append(intent("see", last_seen))
        root = await ledger.write_group(work, target, *changes, root=row["survivor_ref"])
        await record_join(work, target, decision, source_params(work, source, source_ref))
        return Identified(target, root)


def _identity_fields(identifiers: Sequence[Record], person: Record) -> Record:
    """Return the payload of an IDENTITY event as fields of a guest."""
    names = Guest.fields.keys() - COLUMNS
    fields = {name: value for name, value in person.items() if name in names and value}
    return {**fields, "identifiers": list(identifiers)} if identifiers else fields
