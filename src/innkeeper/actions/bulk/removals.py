"""Apply the deletes and migrations of a chunk of records (batch-api.md 6 and 9)."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final
from uuid import UUID

from innkeeper.actions.bulk.guest_batch import GuestBatch
from innkeeper.actions.bulk.outcomes import Outcomes
from innkeeper.actions.identity import merges
from innkeeper.actions.privacy import erasure
from innkeeper.resources.values import instant
from innkeeper.rules import batch as rules
from innkeeper.rules.batch import BatchRecord, GuestDelete, GuestMigration, OrderDelete, RecordError
from innkeeper.rules.identity import Decision
from innkeeper.rules.identity_keys import reference_key
from innkeeper.store.work import Work

ORDERED_AT_TOLERANCE: Final = timedelta(hours=24)
"""Greatest difference between `orderedAt` of an order delete and of the order (batch-api.md 6)."""


async def delete_guests(
    guest_batch: GuestBatch, outcomes: Outcomes, entries: Sequence[tuple[BatchRecord, GuestDelete]]
) -> None:
    """Delete guests: the first of several matches, but none with an open session."""
    evidence = [guest_batch.evidence(operation.person) for _, operation in entries]
    await guest_batch.gather(evidence)
    chosen: list[tuple[BatchRecord, GuestDelete, UUID]] = []
    for (record, operation), one in zip(entries, evidence, strict=True):
        guest = guest_batch.decide({}, one).guest if one.rule_matches else None
        if not one.rule_matches:
            outcomes.fail(record, rules.TOO_LITTLE)
        elif guest is None:
            outcomes.fail(record, rules.NO_GUEST)
        else:
            root = _root(guest_batch, guest)
            chosen.append((record, operation, root))
            guest_batch.exclude(root)
    guest_batch.clear()
    busy = await erasure.find_open_sessions(guest_batch.work, [root for *_, root in chosen])
    for record, _, root in chosen:
        if root in busy:
            outcomes.fail(record, rules.SESSION_OPEN)
    for mode in rules.REMOVALS:
        roots = [
            root for _, operation, root in chosen if operation.mode == mode and root not in busy
        ]
        if roots:
            await erasure.erase(guest_batch.work, roots, mode)
            outcomes.outcomes["deleted"] += len(roots)


async def migrate(
    guest_batch: GuestBatch,
    outcomes: Outcomes,
    entries: Sequence[tuple[BatchRecord, GuestMigration]],
) -> None:
    """Merge guests into others, one record at a time: each merge changes what the next matches."""
    for record, operation in entries:
        outcome = await _migrate(guest_batch, operation)
        guest_batch.clear()
        if isinstance(outcome, RecordError):
            outcomes.fail(record, outcome)
        else:
            outcomes.count(outcome)


async def delete_orders(
    work: Work, outcomes: Outcomes, entries: Sequence[tuple[BatchRecord, OrderDelete]]
) -> None:
    """Delete orders, each with its items, contacts, consumers and data extensions."""
    for record, operation in entries:
        outcome = await _find_order(work, operation)
        if isinstance(outcome, RecordError):
            outcomes.fail(record, outcome)
        else:
            await work.run("order_writes.delete", ref=outcome)
            outcomes.count("deleted")


async def _migrate(guest_batch: GuestBatch, operation: GuestMigration) -> str | RecordError:
    """Merge the source guest into the target; return `merged`, `unchanged`, or an error."""
    source, target = guest_batch.evidence(operation.source), guest_batch.evidence(operation.target)
    if not (source.rule_matches and target.rule_matches):
        return rules.NO_IDENTITY
    await guest_batch.gather([source, target])
    into: Decision = guest_batch.decide({}, target)
    guest = guest_batch.decide({}, source).guest
    if guest is None or into.guest is None:
        return rules.NO_GUEST
    roots = [_root(guest_batch, guest), _root(guest_batch, into.guest)]
    if roots[0] == roots[1]:
        return "unchanged"
    if await erasure.find_open_sessions(guest_batch.work, roots[:1]):
        return rules.MIGRATES_OPEN
    await merges.absorb(
        guest_batch.work,
        into.guest,
        guest,
        rule=into.rule,
        evidence=into.evidence,
        source="batch migration",
    )
    return "merged"


async def _find_order(work: Work, operation: OrderDelete) -> UUID | RecordError:
    """Return the order that a delete means, or an error (batch-api.md 9)."""
    rows = await work.all(
        "order_writes.of_reference",
        key=reference_key(operation.reference_id),
        reference_id=operation.reference_id,
    )
    if operation.ordered_at is not None:
        moment = instant(operation.ordered_at)
        rows = [row for row in rows if abs(row["ordered_at"] - moment) <= ORDERED_AT_TOLERANCE]
    if operation.ref is not None:
        rows = [row for row in rows if row["ref"] == UUID(operation.ref)]
    if not rows:
        return rules.NO_ORDER
    if len(rows) > 1 and operation.ordered_at is None:
        return rules.AMBIGUOUS_ORDER
    ref: UUID = rows[0]["ref"]
    return ref


def _root(guest_batch: GuestBatch, guest: UUID) -> UUID:
    """Return the survivor of a guest of the batch, or itself."""
    row = guest_batch.state_of(guest).stored
    survivor: UUID | None = row["survivor_ref"] if row is not None else None
    return survivor or guest
