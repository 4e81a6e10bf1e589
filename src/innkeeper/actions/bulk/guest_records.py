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


async def write(crowd: GuestBatch, tally: Outcomes, entries: Sequence[Written]) -> None:
    """Carry out guest writes in their order; what fails does so alone."""
    evidence = [crowd.evidence(what.changes) for _, what in entries]
    people = [what.changes for _, what in entries]
    blocked = await block_list.blocked_among(crowd.work, people, count=not crowd.rehearses)
    await crowd.gather(evidence)
    if any(what.groups for _, what in entries):
        await crowd.read_groups()
    for position, ((entry, what), found) in enumerate(zip(entries, evidence, strict=True)):
        if not found.rule_matches:
            tally.fail(entry, rules.NO_IDENTITY)
        elif position in blocked:
            tally.fail(entry, rules.SUPPRESSED)
        else:
            outcome = await _one(crowd, what, found)
            if isinstance(outcome, RecordError):
                tally.fail(entry, outcome)
            else:
                tally.count(outcome)
    await crowd.flush()


async def _one(crowd: GuestBatch, what: GuestWrite, found: Evidence) -> str | RecordError:
    """What became of a record: `created`, `updated`, `unchanged` or why it failed."""
    decision = crowd.decide(found)
    # With no rule nobody can be a customer: guests are matched by all their identifiers, and
    # stay visitors (identity.md 9).
    kind = {"guest_type": CUSTOMER} if crowd.book.rules else {}
    changes: Changes = {**what.changes, **kind}
    try:
        if decision.guest is None:
            return _create(crowd, what, {"guest_type": VISITOR, **changes}, decision)
        if what.mode == "create":
            return rules.EXISTS
        merges = crowd.rehearses and crowd.state_of(decision.guest).of_file
        outcome = await _change(crowd, decision.guest, changes, what.groups, decision)
        return "merged" if merges else outcome
    except RecordRejected as refused:
        return refused.fault


def _create(crowd: GuestBatch, what: GuestWrite, changes: Changes, decision: Decision) -> str:
    if what.groups:
        # Before the guest exists: a record that fails leaves nothing behind.
        rules.check_groups({}, what.groups)
    ref = crowd.create(changes)
    if what.groups:
        crowd.put_groups(ref, what.groups)
    crowd.note(ref, decision)
    return "created"


async def _change(
    crowd: GuestBatch,
    guest: UUID,
    changes: Changes,
    groups: Sequence[ExtensionRecord],
    decision: Decision,
) -> str:
    changed = False
    if groups:
        holder = await holder_of(crowd, guest)
        await crowd.read_groups([holder])
        # Refuses before anything of the record is written.
        crowd.put_groups(holder, groups, dry=True)
        changed = crowd.put_groups(holder, groups)
    changed |= await crowd.write(guest, intent("upsert", crowd.now, changes=changes))
    if changed:
        crowd.note(guest, decision)
    return "updated" if changed else "unchanged"


async def holder_of(crowd: GuestBatch, guest: UUID) -> UUID:
    """Whose data extensions a record writes: those of the guest that callers see."""
    row = crowd.state_of(guest).stored
    survivor: UUID | None = row["survivor_ref"] if row is not None else None
    if survivor is None:
        return guest
    await crowd.meet([survivor])
    return survivor
