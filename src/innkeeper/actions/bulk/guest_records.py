"""Write the guest records of a chunk: match or create each guest (batch-api.md 6, 7)."""

from collections.abc import Sequence
from uuid import UUID

from innkeeper.actions.bulk.guest_batch import GuestBatch
from innkeeper.actions.bulk.outcomes import Match, Outcomes
from innkeeper.actions.privacy import block_list
from innkeeper.resources.base import Changes
from innkeeper.resources.guests import CUSTOMER
from innkeeper.rules import batch as rules
from innkeeper.rules.batch import (
    BatchRecord,
    ExtensionRecord,
    GuestWrite,
    RecordError,
    RecordRejected,
)
from innkeeper.rules.identity import Decision
from innkeeper.rules.merging import intent

Written = tuple[BatchRecord, GuestWrite]


async def write(guest_batch: GuestBatch, outcomes: Outcomes, entries: Sequence[Written]) -> None:
    """Apply guest writes in file order; a record that fails does not affect the others."""
    evidence = [guest_batch.evidence(operation.changes) for _, operation in entries]
    people = [operation.changes for _, operation in entries]
    blocked = await block_list.find_blocked(guest_batch.work, people, count=not guest_batch.dry_run)
    await guest_batch.gather(evidence)
    if any(operation.groups for _, operation in entries):
        await guest_batch.read_extensions()
    for position, ((record, operation), record_evidence) in enumerate(
        zip(entries, evidence, strict=True)
    ):
        if not record_evidence.rule_matches:
            outcomes.fail(record, rules.NO_IDENTITY)
        elif position in blocked:
            outcomes.fail(record, rules.SUPPRESSED)
        else:
            decision = guest_batch.decide(operation.changes, record_evidence)
            outcome = await _one(guest_batch, operation, decision)
            if isinstance(outcome, RecordError):
                outcomes.fail(record, outcome)
            else:
                outcomes.count(outcome)
                if guest_batch.dry_run and outcome in ("merged", "updated"):
                    stored = None if outcome == "merged" else decision.guest
                    match = Match(record.line, outcome, stored, decision.rule, decision.evidence)
                    outcomes.match(match)
    await guest_batch.flush()


async def _one(
    guest_batch: GuestBatch, operation: GuestWrite, decision: Decision
) -> str | RecordError:
    """Apply one record; return `created`, `updated`, `unchanged` or an error.

    A dry run returns `merged` for a record that updates a guest of an earlier record.
    """
    kind = {"guest_type": CUSTOMER} if decision.customer else {}
    changes: Changes = {**operation.changes, **kind}
    try:
        if decision.guest is None:
            created = {**changes, "guest_type": decision.guest_type}
            return _create(guest_batch, operation, created, decision)
        if operation.mode == "create":
            return rules.EXISTS
        merges = guest_batch.dry_run and guest_batch.state_of(decision.guest).is_from_file
        outcome = await _change(guest_batch, decision.guest, changes, operation.groups, decision)
        return "merged" if merges else outcome
    except RecordRejected as rejected:
        return rejected.fault


def _create(
    guest_batch: GuestBatch, operation: GuestWrite, changes: Changes, decision: Decision
) -> str:
    """Create the guest of a record, with its data extensions; raises `RecordRejected`."""
    if operation.groups:
        # Checked before the guest exists: a record that fails writes nothing.
        rules.check_groups({}, operation.groups)
    ref = guest_batch.create(changes)
    if operation.groups:
        guest_batch.put_extensions(ref, operation.groups)
    guest_batch.add_join(ref, decision)
    return "created"


async def _change(
    guest_batch: GuestBatch,
    guest: UUID,
    changes: Changes,
    groups: Sequence[ExtensionRecord],
    decision: Decision,
) -> str:
    """Update a guest and its data extensions; return `updated` or `unchanged`.

    Raises `RecordRejected`.
    """
    changed = False
    if groups:
        holder = await holder_of(guest_batch, guest)
        await guest_batch.read_extensions([holder])
        # Rejects the record before anything of it is written.
        guest_batch.put_extensions(holder, groups, dry_run=True)
        changed = guest_batch.put_extensions(holder, groups)
    changed |= await guest_batch.write(guest, intent("upsert", guest_batch.now, changes=changes))
    if changed:
        guest_batch.add_join(guest, decision)
    return "updated" if changed else "unchanged"


async def holder_of(guest_batch: GuestBatch, guest: UUID) -> UUID:
    """Return the guest that holds the data extensions: the survivor of `guest`, or itself."""
    row = guest_batch.state_of(guest).stored
    survivor: UUID | None = row["survivor_ref"] if row is not None else None
    if survivor is None:
        return guest
    await guest_batch.read_guests([survivor])
    return survivor
