"""Guests of a chunk of records: whom each is about, and what it changes (batch-api.md 6, 7)."""

from collections.abc import Sequence
from uuid import UUID

from innkeeper.actions.bulk.guest_batch import GuestBatch
from innkeeper.actions.bulk.outcomes import Outcomes
from innkeeper.actions.privacy import block_list
from innkeeper.resources.base import Changes
from innkeeper.resources.guests import CUSTOMER, VISITOR
from innkeeper.rules import batch as rules
from innkeeper.rules.batch import (
    BatchRecord,
    ExtensionRecord,
    GuestWrite,
    RecordError,
    RecordRejected,
)
from innkeeper.rules.identity import Decision, Evidence
from innkeeper.rules.merging import intent

Written = tuple[BatchRecord, GuestWrite]


async def write(guest_batch: GuestBatch, outcomes: Outcomes, entries: Sequence[Written]) -> None:
    """Carry out guest writes in their order; what fails does so alone."""
    evidence = [guest_batch.evidence(what.changes) for _, what in entries]
    people = [what.changes for _, what in entries]
    blocked = await block_list.blocked_among(
        guest_batch.work, people, count=not guest_batch.rehearses
    )
    await guest_batch.gather(evidence)
    if any(what.groups for _, what in entries):
        await guest_batch.read_groups()
    for position, ((entry, what), found) in enumerate(zip(entries, evidence, strict=True)):
        if not found.rule_matches:
            outcomes.fail(entry, rules.NO_IDENTITY)
        elif position in blocked:
            outcomes.fail(entry, rules.SUPPRESSED)
        else:
            outcome = await _one(guest_batch, what, found)
            if isinstance(outcome, RecordError):
                outcomes.fail(entry, outcome)
            else:
                outcomes.count(outcome)
    await guest_batch.flush()


async def _one(guest_batch: GuestBatch, what: GuestWrite, evidence: Evidence) -> str | RecordError:
    """What became of a record: `created`, `updated`, `unchanged` or why it failed."""
    decision = guest_batch.decide(evidence)
    # With no rule nobody can be a customer: guests are matched by all their identifiers, and
    # stay visitors (identity.md 9).
    kind = {"guest_type": CUSTOMER} if guest_batch.book.rules else {}
    changes: Changes = {**what.changes, **kind}
    try:
        if decision.guest is None:
            return _create(guest_batch, what, {"guest_type": VISITOR, **changes}, decision)
        if what.mode == "create":
            return rules.EXISTS
        merges = guest_batch.rehearses and guest_batch.state_of(decision.guest).of_file
        outcome = await _change(guest_batch, decision.guest, changes, what.groups, decision)
        return "merged" if merges else outcome
    except RecordRejected as refused:
        return refused.fault


def _create(guest_batch: GuestBatch, what: GuestWrite, changes: Changes, decision: Decision) -> str:
    if what.groups:
        # Before the guest exists: a record that fails leaves nothing behind.
        rules.check_groups({}, what.groups)
    ref = guest_batch.create(changes)
    if what.groups:
        guest_batch.put_groups(ref, what.groups)
    guest_batch.note(ref, decision)
    return "created"


async def _change(
    guest_batch: GuestBatch,
    guest: UUID,
    changes: Changes,
    groups: Sequence[ExtensionRecord],
    decision: Decision,
) -> str:
    changed = False
    if groups:
        holder = await holder_of(guest_batch, guest)
        await guest_batch.read_groups([holder])
        # Refuses before anything of the record is written.
        guest_batch.put_groups(holder, groups, dry=True)
        changed = guest_batch.put_groups(holder, groups)
    changed |= await guest_batch.write(guest, intent("upsert", guest_batch.now, changes=changes))
    if changed:
        guest_batch.note(guest, decision)
    return "updated" if changed else "unchanged"


async def holder_of(guest_batch: GuestBatch, guest: UUID) -> UUID:
    """Whose data extensions a record writes: those of the guest that callers see."""
    row = guest_batch.state_of(guest).stored
    survivor: UUID | None = row["survivor_ref"] if row is not None else None
    if survivor is None:
        return guest
    await guest_batch.meet([survivor])
    return survivor
