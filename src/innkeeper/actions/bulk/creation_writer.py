"""Write the creations of a chunk: records whose keys no stored guest or order has."""

import asyncio
from collections.abc import Sequence
from typing import Any, Final

from innkeeper.actions.bulk.creations import CreationTerms, encode_creations
from innkeeper.actions.bulk.encoded_creations import Creations
from innkeeper.actions.bulk.guest_state import RecordSource
from innkeeper.actions.bulk.outcomes import Outcomes
from innkeeper.actions.bulk.packed_records import PackedRecords
from innkeeper.actions.identity import rulebook
from innkeeper.actions.identity.resolve import order_terms
from innkeeper.actions.privacy import block_list
from innkeeper.rules.batch import BatchRecord
from innkeeper.rules.identity_rules import IdentityRules
from innkeeper.store import binary_rows
from innkeeper.store.adapters import EncodedNumbers, EncodedRefs
from innkeeper.store.work import Work

_ROOTS: Final = ("guest_writes.copy_guests", "order_writes.copy_orders")
_PARTS: Final = (
    *("guest_writes.copy_keys", "creations.copy_words", "creations.copy_joins"),
    *("guest_writes.copy_extensions", "order_writes.copy_items"),
    *("order_writes.copy_item_extensions", "order_writes.copy_contacts"),
    "order_writes.copy_extensions",
)
"""The queries of encoded rows, whose rows refer to those of earlier queries."""


async def creation_terms(
    work: Work, source: RecordSource, book: IdentityRules | None = None
) -> CreationTerms:
    """Return the terms of the creations of a source, under the given rules or those in force."""
    book = book or await rulebook.current(work)
    contact = order_terms(work, "contact")
    return CreationTerms(book, contact, source.name, source.ref, work.actor)


async def terms_in_advance(work: Work, source: RecordSource) -> CreationTerms | None:
    """Return the terms under which a reader encodes creations; None where none are written."""
    return None if source.recording is not None else await creation_terms(work, source)


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
    creations = await _unmatched(work, creations, book)
    count = len(creations.positions)
    if count:
        await _write(work, creations, source)
        outcomes.outcomes["created"] += count
    if count == len(records):
        return ()
    written = {*creations.positions}
    return [records[at] for at in range(len(records)) if at not in written]


async def _unmatched(work: Work, creations: Creations, book: IdentityRules) -> Creations:
    """Lock the keys of a chunk, and return the creations whose keys no guest or order has."""
    queries: list[tuple[str, dict[str, Any]]] = []
    for name, lock, find in (
        ("references", "order_writes.lock_references", "creations.stored_orders"),
        ("keys", "guest_writes.lock_keys", "creations.stored_keys"),
    ):
        if name in creations.locked:
            keys = creations.locked[name]
            queries.append((lock, {"locks": EncodedNumbers(keys.locks)}))
            queries.append((find, {"keys": EncodedRefs(keys.refs)}))
    results = await work.in_turn(*queries)
    stored = {row["key"].bytes for rows in results for row in rows if "key" in row}
    matched = creations.having(stored) if stored else set()
    # A stored guest that another record changes may gain the key of a rule with several conditions.
    if (matched or not creations.is_complete) and not book.is_indexed:
        matched = {*range(len(creations.positions))}
    return creations.without(matched)


async def _write(work: Work, creations: Creations, source: RecordSource) -> None:
    """Write the rows of creations."""
    await work.one("creations.begin")
    await _copy(work, _ROOTS, creations)
    await work.one("creations.begin_parts")
    await _copy(work, _PARTS, creations)
    await work.one("creations.end_parts")
    await work.one(
        "creations.end",
        words=[*{word for names in creations.names for word in names}],
        providers=[*{provider for each in creations.providers for provider in each}],
    )
    if source.is_recorded:
        await work.run(
            "import_changes.record_chunk",
            batch=source.ref,
            written_at=creations.written_at,
            guests=EncodedRefs(binary_rows.refs(creations.guests)),
            orders=EncodedRefs(binary_rows.refs(creations.orders)),
        )


async def _copy(work: Work, queries: Sequence[str], creations: Creations) -> None:
    """Insert the rows of queries, in their order."""
    for query in queries:
        if query in creations.rows:
            content = binary_rows.content(creations.rows[query].content)
            await work.copy_encoded(query, content)
