"""Write the creations of a chunk: records whose keys no stored guest or order has."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final

from innkeeper import clock
from innkeeper.actions.bulk.creations import Creation, Creations, CreationTerms, encode_creations
from innkeeper.actions.bulk.guest_state import RecordSource
from innkeeper.actions.bulk.import_changes import ImportChanges
from innkeeper.actions.bulk.outcomes import Outcomes
from innkeeper.actions.bulk.packed_records import PackedRecords
from innkeeper.actions.identity import rulebook
from innkeeper.actions.identity.resolve import order_terms
from innkeeper.actions.privacy import block_list
from innkeeper.refs import ref_of
from innkeeper.rules.batch import BatchRecord
from innkeeper.rules.identity_keys import in_order, lock_of
from innkeeper.rules.identity_rules import IdentityRules
from innkeeper.store.binary_rows import Offsets, encode
from innkeeper.store.work import Work

_COPIES: Final = (
    *("guest_writes.copy_guests", "guest_writes.copy_keys", "creations.copy_words"),
    *("guest_writes.copy_joins", "guest_writes.copy_extensions", "order_writes.copy_orders"),
    *("order_writes.copy_items", "order_writes.copy_item_extensions"),
    *("order_writes.copy_contacts", "order_writes.copy_extensions"),
)
"""The queries of encoded rows, each after those of the rows that its rows refer to."""


async def creation_terms(
    work: Work, source: RecordSource, book: IdentityRules | None = None
) -> CreationTerms:
    """Return the terms of the creations of a source, under the given rules or those in force."""
    book = book or await rulebook.current(work)
    contact = order_terms(work, "contact")
    return CreationTerms(book, contact, source.name, source.ref, work.actor)


async def write_creations(
    work: Work,
    records: Sequence[BatchRecord],
    source: RecordSource,
    book: IdentityRules,
    outcomes: Outcomes,
) -> Sequence[BatchRecord]:
    """Lock the keys of all records, write those that create, and return the others.

    Call it first in a transaction.
    """
    creations = records.creations if isinstance(records, PackedRecords) else None
    if creations is None or creations.version != book.version:
        terms = await creation_terms(work, source, book)
        creations = await asyncio.to_thread(encode_creations, records, terms)
    if creations is None or not await block_list.is_empty(work):
        return records
    each = await _unmatched(work, creations, book)
    if each:
        await _write(work, each, source)
        outcomes.outcomes["created"] += len(each)
    if len(each) == len(records):
        return ()
    written = {creation.position for creation in each}
    return [records[at] for at in range(len(records)) if at not in written]


async def _unmatched(work: Work, creations: Creations, book: IdentityRules) -> list[Creation]:
    """Lock the keys of a chunk, and return the creations whose keys no guest or order has."""
    keys = in_order(map(ref_of, creations.keys))
    references = in_order(map(ref_of, creations.references))
    queries: list[tuple[str, dict[str, Any]]] = []
    if references:
        locks = [lock_of(key) for key in references]
        queries.append(("order_writes.lock_references", {"locks": locks}))
        queries.append(("creations.stored_orders", {"keys": references}))
    if keys:
        queries.append(("guest_writes.lock_keys", {"locks": [lock_of(key) for key in keys]}))
        queries.append(("guest_writes.find", {"keys": keys, "most": 1}))
    results = await work.in_turn(*queries)
    stored = {row["key"].int for rows in results for row in rows if "key" in row}
    indexes = not all(rule.always_indexed for rule in book.rules)
    each = [
        creation
        for creation in creations.each
        if creation.reference not in stored and stored.isdisjoint(creation.keys)
    ]
    # A stored guest that another record changes may gain the key of a rule with several conditions.
    is_complete = creations.is_complete and len(each) == len(creations.each)
    return [] if indexes and not is_complete else each


async def _write(work: Work, each: Sequence[Creation], source: RecordSource) -> None:
    """Write the rows of creations."""
    now = clock.now()
    heads: dict[str, dict[Offsets, list[bytes]]] = defaultdict(lambda: defaultdict(list))
    for creation in each:
        for query, offsets, row in creation.rows:
            heads[query][offsets].append(row)
    await work.one("creations.begin")
    for query in _COPIES:
        if query in heads:
            await work.copy_encoded(query, encode(heads[query], now))
    await work.one(
        "creations.end",
        words=[*{word for creation in each for word in creation.names}],
        providers=[*{provider for creation in each for provider in creation.providers}],
    )
    changes = ImportChanges(work, source.ref if source.is_recorded else None, now)
    orders = (creation.order for creation in each if creation.order is not None)
    changes.add_created((ref_of(one.guest) for one in each), map(ref_of, orders))
    await changes.flush()
