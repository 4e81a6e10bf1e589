"""Deletes and migrations of a chunk of records (batch-api.md 6 and 9)."""

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

REACH: Final = timedelta(hours=24)
"""How far orderedAt of an order delete may be from the order's (batch-api.md 6)."""


async def delete_guests(
    guest_batch: GuestBatch, outcomes: Outcomes, entries: Sequence[tuple[BatchRecord, GuestDelete]]
) -> None:
    """Remove guests: of several matches the first, those with an open session not at all."""
    evidence = [guest_batch.evidence(what.person) for _, what in entries]
    await guest_batch.gather(evidence)
    chosen: list[tuple[BatchRecord, GuestDelete, UUID]] = []
    for (entry, what), found in zip(entries, evidence, strict=True):
        guest = guest_batch.decide(found).guest if found.rule_matches else None
        if not found.rule_matches:
            outcomes.fail(entry, rules.TOO_LITTLE)
        elif guest is None:
            outcomes.fail(entry, rules.NO_GUEST)
        else:
            root = _root(guest_batch, guest)
            chosen.append((entry, what, root))
            guest_batch.leave(root)
    guest_batch.forget()
    busy = await erasure.with_open_sessions(guest_batch.work, [root for *_, root in chosen])
    for entry, _, root in chosen:
        if root in busy:
            outcomes.fail(entry, rules.SESSION_OPEN)
    for mode in rules.REMOVALS:
        roots = [root for _, what, root in chosen if what.mode == mode and root not in busy]
        if roots:
            await erasure.erase(guest_batch.work, roots, mode)
            outcomes.outcomes["deleted"] += len(roots)


async def migrate(
    guest_batch: GuestBatch,
    outcomes: Outcomes,
    entries: Sequence[tuple[BatchRecord, GuestMigration]],
) -> None:
    """Merge guests into others, one record at a time: each changes whom the next one finds."""
    for entry, what in entries:
        outcome = await _migrate(guest_batch, what)
        guest_batch.forget()
        if isinstance(outcome, RecordError):
            outcomes.fail(entry, outcome)
        else:
            outcomes.count(outcome)


async def delete_orders(
    work: Work, outcomes: Outcomes, entries: Sequence[tuple[BatchRecord, OrderDelete]]
) -> None:
    """Remove orders, each with all that is part of it."""
    for entry, what in entries:
        outcome = await _delete_order(work, what)
        if isinstance(outcome, RecordError):
            outcomes.fail(entry, outcome)
        else:
            await work.run("order_writes.delete", ref=outcome)
            outcomes.count("deleted")


async def _migrate(guest_batch: GuestBatch, what: GuestMigration) -> str | RecordError:
    source, target = guest_batch.evidence(what.source), guest_batch.evidence(what.target)
    if not (source.rule_matches and target.rule_matches):
        return rules.NO_IDENTITY
    await guest_batch.gather([source, target])
    into: Decision = guest_batch.decide(target)
    guest = guest_batch.decide(source).guest
    if guest is None or into.guest is None:
        return rules.NO_GUEST
    roots = [_root(guest_batch, guest), _root(guest_batch, into.guest)]
    if roots[0] == roots[1]:
        return "unchanged"
    if await erasure.with_open_sessions(guest_batch.work, roots[:1]):
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


async def _delete_order(work: Work, what: OrderDelete) -> UUID | RecordError:
    """Which order is meant (batch-api.md 9)."""
    rows = await work.all(
        "order_writes.of_reference",
        key=reference_key(what.reference_id),
        reference_id=what.reference_id,
    )
    if what.ordered_at is not None:
        moment = instant(what.ordered_at)
        rows = [row for row in rows if abs(row["ordered_at"] - moment) <= REACH]
    if what.ref is not None:
        rows = [row for row in rows if row["ref"] == UUID(what.ref)]
    if not rows:
        return rules.NO_ORDER
    if len(rows) > 1 and what.ordered_at is None:
        return rules.AMBIGUOUS_ORDER
    ref: UUID = rows[0]["ref"]
    return ref


def _root(guest_batch: GuestBatch, guest: UUID) -> UUID:
    row = guest_batch.state_of(guest).stored
    survivor: UUID | None = row["survivor_ref"] if row is not None else None
    return survivor or guest
