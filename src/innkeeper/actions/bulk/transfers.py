"""Import records of another installation with their refs; no person is matched.

Each function writes one chunk of records in one transaction, set by set, and returns the counts of
what the chunk has and of what is stored afterwards. Transferring a record again writes nothing,
unless the source changed it later than this installation did. So an interrupted transfer can be
repeated. `batch` is the import for whose undo the changes are recorded.
"""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import islice
from typing import Any, Final
from uuid import UUID, uuid4

from innkeeper.actions.admin import configuration
from innkeeper.actions.bulk.guest_batch import GuestBatch
from innkeeper.actions.bulk.guest_state import RecordSource
from innkeeper.actions.bulk.import_changes import recorded
from innkeeper.actions.events import stream_settings
from innkeeper.actions.events.partitions import ensure_partition
from innkeeper.actions.identity import ledger, merges, rule_settings, rulebook
from innkeeper.actions.privacy import block_list
from innkeeper.actions.records.extensions import extension_ref
from innkeeper.resources.base import Changes, Record
from innkeeper.resources.guests import CUSTOMER, VISITOR
from innkeeper.resources.values import instant
from innkeeper.rules import transfers as rules
from innkeeper.rules.identity_keys import guest_keys
from innkeeper.rules.identity_rules import IdentityRule
from innkeeper.rules.transfers import MissingRecord, TransferCounts, TransferredRecord
from innkeeper.store.work import Json, Row, Work

SOURCE: Final = "sitecore import"
"""Source of the merges, as it is stored with them."""
UNKNOWN: Final = "unknown"
"""Point of sale of events and sessions that name none."""
_TARGETS: Final = 1000
"""Migrations that one statement adds."""
Records = Sequence[TransferredRecord]


async def transfer_rules(work: Work, requested: Sequence[IdentityRule]) -> int:
    """Put the source's identity rules in force; return the number of those in force.

    They replace those of a workspace without guests, and are added to those of any other.
    """
    row = await work.one("transfers.has_guests")
    stored = await rule_settings.list_rules(work)
    names = {rule.name for rule in stored}
    if row and row["has_guests"]:
        rules_after = [*stored, *(rule for rule in requested if rule.name not in names)]
    else:
        rules_after = [*requested]
    if rules_after != stored:
        await rule_settings.replace_rules(work, rules_after)
    return sum(rule in rules_after for rule in requested)


async def transfer_points_of_sale(work: Work, requested: Sequence[Changes]) -> int:
    """Create the points of sale that do not exist; return how many of the source's exist now."""
    stored = {row["name"] for row in await configuration.points_of_sale(work)}
    for point in {
        point["name"]: point for point in requested if point["name"] not in stored
    }.values():
        await configuration.create_point_of_sale(work, point)
    return len(requested)


async def transfer_guests(
    work: Work, records: Records, batch: UUID | None = None
) -> TransferCounts:
    """Write live guests with their keys and data extensions."""
    people = [{**one.row["body"], **_columns(one.row)} for one in records]
    blocked = await block_list.find_blocked(work, people)
    allowed = [one for at, one in enumerate(records) if at not in blocked]
    async with _transaction(work, batch):
        guest_batch = await _batch(work)
        rows = await work.all("transfers.guests", records=Json([one.row for one in allowed]))
        await _write_parts(work, guest_batch, allowed, {row["ref"] for row in rows}, are_new=False)
    refused = {one.ref for at, one in enumerate(records) if at in blocked}
    counts = await _counted(work, rules.GUESTS, "guests", records, "", refused)
    await _count_guest_parts(work, counts, records)
    return counts


async def transfer_retired(
    work: Work, records: Records, batch: UUID | None = None
) -> TransferCounts:
    """Write retired guests as guests that are merged into their survivors, where those are known.

    The survivor is the guest that the source names, or that a migration (`add_targets`) names, or
    that the identity rules find for the retired guest.
    """
    stored = await work.all("merges.survivors", refs=[one.ref for one in records])
    survivors = {row["ref"]: row["survivor_ref"] for row in stored}
    pending = [one for one in records if survivors.get(one.ref) is None]
    async with _transaction(work, batch):
        guest_batch = await _batch(work)
        resolved = await _survivors(work, guest_batch, pending)
        rows = [
            {**one.row, "survivor_ref": resolved[one.ref]["survivor"], "guest_type": kind}
            for one in pending
            if one.ref in resolved and one.ref not in survivors
            for kind in [CUSTOMER if resolved[one.ref]["is_customer"] else VISITOR]
        ]
        inserted = await work.all("transfers.retired_guests", records=Json(rows))
        new = {row["ref"] for row in inserted}
        await _write_parts(work, guest_batch, pending, new, are_new=True)
        await _write_merges(work, guest_batch, [one for one in pending if one.ref in new], resolved)
    for one in pending:
        if one.ref in survivors and one.ref in resolved:
            # They were live in an earlier transfer, and the source has retired them since.
            way = {name: resolved[one.ref][name] for name in ("rule", "evidence")}
            survivor = resolved[one.ref]["survivor"]
            async with _transaction(work, batch):
                await merges.absorb(work, survivor, one.ref, source=SOURCE, **way)
    counts = TransferCounts()
    counts.source[rules.RETIRED_GUESTS] = len(records)
    stored = await work.all("merges.survivors", refs=[one.ref for one in records])
    stored_refs = {row["ref"] for row in stored if row["survivor_ref"] is not None}
    counts.target[rules.RETIRED_GUESTS] = len(stored_refs)
    for one in records:
        counts.faults.update({(rules.RETIRED_GUESTS, fault): n for fault, n in one.faults.items()})
        if one.ref not in stored_refs:
            counts.missing.append(MissingRecord(rules.RETIRED_GUESTS, one.ref, rules.NO_SURVIVOR))
    return counts


async def add_targets(work: Work, migrations: Iterable[tuple[Record, Record]]) -> None:
    """Add migrations, for `transfer_retired` on this connection: (source, survivor) as people."""
    await work.run("transfers.create_targets")
    records = (
        {"key": key, "person": target}
        for source, target in migrations
        for key in guest_keys(source)
    )
    while chunk := list(islice(records, _TARGETS)):
        await work.run("transfers.add_targets", records=Json(chunk))


async def transfer_orders(
    work: Work, records: Records, batch: UUID | None = None
) -> TransferCounts:
    """Write orders with their contacts and data extensions; consumers follow the items."""
    contacts = [person for one in records for person in one.people if person["guest_ref"]]
    async with _transaction(work, batch):
        written = await work.all("transfers.orders", records=Json([one.row for one in records]))
        refs = {row["ref"] for row in written}
        if contacts:
            await work.run("transfers.contacts", records=Json(contacts))
        await _write_extensions(work, "order", records, refs)
    counts = await _counted(work, rules.ORDERS, "orders", records, "")
    counts.add(await _count_people(work, rules.CONTACTS, "contacts", contacts, counts.missing))
    return counts


async def transfer_items(work: Work, records: Records, batch: UUID | None = None) -> TransferCounts:
    """Write the items of stored orders, with their data extensions."""
    async with _transaction(work, batch):
        written = await work.all("transfers.items", records=Json([one.row for one in records]))
        refs = {row["ref"] for row in written}
        await _write_extensions(work, "item", records, refs)
    return await _counted(work, rules.ITEMS, "items", records, rules.NO_ORDER)


async def transfer_consumers(
    work: Work, records: Records, batch: UUID | None = None
) -> TransferCounts:
    """Write the consumers of orders, with the items that they use, which must be stored."""
    consumers = [person for one in records for person, _ in one.consumers]
    counts = TransferCounts()
    if not consumers:
        return counts
    uses = [
        {"order_consumer_ref": person["ref"], "order_item_ref": item, "position": position}
        for one in records
        for person, items in one.consumers
        for position, item in enumerate(items, start=1)
    ]
    async with _transaction(work, batch):
        await work.run("transfers.consumers", records=Json(consumers))
        if uses:
            await work.run("transfers.uses", records=Json(uses))
    counts.add(await _count_people(work, rules.CONSUMERS, "consumers", consumers, counts.missing))
    return counts


async def transfer_sessions(
    work: Work, records: Records, batch: UUID | None = None
) -> TransferCounts:
    """Write sessions of stored guests, with their browsers and their points of sale."""
    browsers = list({one.row["browser_ref"] for one in records} - {None})
    names = {one.row["details"].get("point_of_sale") for one in records} - {None}
    await transfer_points_of_sale(work, [{"name": name} for name in sorted(names)])
    async with _transaction(work, batch):
        await work.run("transfers.sessions", records=Json([one.row for one in records]))
        await work.run("transfers.browsers", refs=browsers)
    counts = await _counted(work, rules.SESSIONS, "sessions", records, rules.NO_GUEST)
    absent = await _absent(work, "browsers", browsers)
    counts.source[rules.BROWSERS] = len(browsers)
    counts.target[rules.BROWSERS] = len(browsers) - len(absent)
    counts.missing += [MissingRecord(rules.BROWSERS, ref, rules.NO_GUEST) for ref in absent]
    return counts


async def transfer_events(
    work: Work, records: Records, batch: UUID | None = None
) -> TransferCounts:
    """Write events of stored sessions."""
    times = {one.ref: instant(one.row["at"]) for one in records}
    config = await stream_settings.read(work)
    for at in {(at.year, at.month): at for at in times.values()}.values():
        await ensure_partition(work, config.version, at)
    names = {one.row["point_of_sale"] for one in records} - {None}
    await transfer_points_of_sale(work, [{"name": name} for name in sorted(names)])
    rows = [one.row for one in records]
    async with _transaction(work, batch):
        await work.run("transfers.events", records=Json(rows), point_of_sale=UNKNOWN)
        sessions = list({row["session_ref"] for row in rows} - {None})
        await work.run("transfers.count_events", refs=sessions)
    resolved = await work.all(
        "transfers.absent_events", refs=list(times), times=list(times.values())
    )
    absent = {row["ref"] for row in resolved}
    return _count(rules.EVENTS, records, absent, rules.NO_SESSION)


@asynccontextmanager
async def _transaction(work: Work, batch: UUID | None) -> AsyncIterator[None]:
    """Open a transaction whose changes are recorded for the undo of an import."""
    async with work.transaction(), recorded(work, batch):
        yield


async def _batch(work: Work) -> GuestBatch:
    """Return an empty batch under the identity rules in force, which stay so in the transaction."""
    settings = await work.row("batches.start_chunk")
    book = await rulebook.of_version(work, settings["version"])
    return GuestBatch(work, book, RecordSource(SOURCE))


async def _survivors(work: Work, batch: GuestBatch, records: Records) -> dict[UUID, Row]:
    """Return survivor, rule and evidence of the retired guests whose survivor is known."""
    await work.run("transfers.create_targets")
    keys = {one.ref: guest_keys(one.row["body"]) for one in records}
    rows = await work.all("transfers.targets", keys=[key for each in keys.values() for key in each])
    targets = {row["key"]: row["person"] for row in rows}
    people = {
        one.ref: next((targets[key] for key in keys[one.ref] if key in targets), one.row["body"])
        for one in records
    }
    own = {one.ref: batch.evidence(one.row["body"]) for one in records}
    evidence = {ref: batch.evidence(person) for ref, person in people.items()}
    await batch.gather(evidence.values())
    await batch.read_guests({one.survivor for one in records if one.survivor is not None})
    resolved: dict[UUID, Row] = {}
    for one in records:
        decision = batch.decide({}, evidence[one.ref])
        guest, rule, why = decision.guest, decision.rule, decision.evidence
        if one.survivor is not None:
            guest, rule, why = one.survivor, None, []
        root = _root(batch, guest)
        if root not in (None, one.ref):
            is_customer = bool(own[one.ref].rule_matches)
            resolved[one.ref] = {"survivor": root, "rule": rule, "evidence": why}
            resolved[one.ref]["is_customer"] = is_customer
    await batch.read_guests({row["survivor"] for row in resolved.values()})
    return resolved


def _root(batch: GuestBatch, guest: UUID | None) -> UUID | None:
    """Return the live guest of a guest of the batch; None if there is no such guest."""
    try:
        row = batch.state_of(guest).stored if guest is not None else None
    except KeyError:
        return None
    return (row["survivor_ref"] or guest) if row is not None else None


async def _write_merges(
    work: Work, batch: GuestBatch, records: Records, resolved: Mapping[UUID, Row]
) -> None:
    """Insert the merges of new retired guests into the ledger."""
    rows = [
        {
            **{
                "ref": uuid4(),
                "survivor_ref": resolved[one.ref]["survivor"],
                "absorbed_ref": one.ref,
            },
            **{"rule": resolved[one.ref]["rule"], "evidence": resolved[one.ref]["evidence"]},
            **{"source": SOURCE, "actor": work.actor, "merged_at": one.row["modified_at"]},
        }
        for one in records
    ]
    states = {}
    for row in rows:
        stored = batch.state_of(row["survivor_ref"]).stored
        if stored is not None and stored["unmerged"] is None:
            state = ledger.state_of(ledger.visible_record(stored))
            states[stored["ref"]] = {"base": state, "now": state}
    survivors = [{"ref": ref, "unmerged": unmerged} for ref, unmerged in states.items()]
    await work.run("transfers.merges", merges=Json(rows), survivors=Json(survivors))


async def _write_parts(
    work: Work, batch: GuestBatch, records: Records, written: set[UUID], *, are_new: bool
) -> None:
    """Write the keys and data extensions of the guests that were written."""
    pairs = [
        (key, one.ref)
        for one in records
        if one.ref in written
        for guest in [{**one.row["body"], **_columns(one.row)}]
        for key in guest_keys(guest, batch.book.keys(guest))
    ]
    if written and not are_new:
        await work.run("transfers.delete_keys", refs=list(written))
    if pairs:
        keys, refs = map(list, zip(*pairs, strict=True))
        await work.run("guest_writes.add_keys", keys=keys, refs=refs)
    await _write_extensions(work, "guest", records, written)


_OWNERS: Final = {"guest": "guest_ref", "order": "order_ref", "item": "order_item_ref"}


async def _write_extensions(work: Work, kind: str, records: Records, written: set[UUID]) -> None:
    """Write the data extensions of records that were written."""
    rows = {
        (one.ref, each["name"], each["key"]): {
            **each,
            **{_OWNERS[kind]: one.ref},
            "ref": each["ref"] or extension_ref(one.ref, each["name"], each["key"]),
            **{name: one.row[name] for name in ("created_at", "modified_at")},
        }
        for one in records
        if one.ref in written
        for each in one.extensions
    }
    if rows:
        await work.run(f"transfers.{kind}_extensions", records=Json(list(rows.values())))


async def _absent(work: Work, table: str, refs: Iterable[UUID]) -> set[UUID]:
    parts = {"table": (f"transfers.of_{table}",)}
    rows = await work.all("transfers.absent", parts=parts, refs=list(refs))
    return {row["ref"] for row in rows}


async def _counted(
    work: Work, entity: str, table: str, records: Records, reason: str, blocked: Iterable[UUID] = ()
) -> TransferCounts:
    """Count the records of a chunk, and those of them that a table has, with data extensions."""
    absent = await _absent(work, table, (one.ref for one in records))
    counts = _count(entity, records, absent, reason, blocked)
    if table in ("orders", "items"):
        refs = [one.ref for one in records if one.ref not in absent]
        row = await work.row("transfers.count_extensions", refs=refs)
        counts.source[rules.EXTENSIONS] += sum(len(one.extensions) for one in records)
        counts.target[rules.EXTENSIONS] += row["extensions"]
    return counts


def _count(
    entity: str, records: Records, absent: set[UUID], reason: str, blocked: Iterable[UUID] = ()
) -> TransferCounts:
    counts = TransferCounts()
    counts.source[entity] = len(records)
    counts.target[entity] = len(records) - len(absent)
    refused = {*blocked}
    for one in records:
        counts.faults.update({(entity, fault): n for fault, n in one.faults.items()})
        if one.ref in absent:
            why = rules.BLOCKED if one.ref in refused else reason
            counts.missing.append(MissingRecord(entity, one.ref, why))
    return counts


async def _count_guest_parts(work: Work, counts: TransferCounts, records: Records) -> None:
    """Count the identifiers and data extensions of a chunk of guests."""
    row = await work.row("transfers.count_guest_parts", refs=[one.ref for one in records])
    identifiers = sum(len(one.row["body"].get("identifiers") or ()) for one in records)
    counts.source[rules.IDENTIFIERS] = identifiers
    counts.target[rules.IDENTIFIERS] = int(row["identifiers"])
    counts.source[rules.EXTENSIONS] += sum(len(one.extensions) for one in records)
    counts.target[rules.EXTENSIONS] += row["extensions"]


async def _count_people(
    work: Work, entity: str, table: str, people: Sequence[Record], missing: list[MissingRecord]
) -> TransferCounts:
    """Count contacts or consumers of a chunk of orders; adds to `missing`."""
    absent = await _absent(work, table, (person["ref"] for person in people))
    missing += [MissingRecord(entity, ref, rules.NO_GUEST) for ref in absent]
    counts = TransferCounts()
    counts.source[entity] = len(people)
    counts.target[entity] = len(people) - len(absent)
    return counts


def _columns(row: Mapping[str, Any]) -> Record:
    """Return the columns of a guest's row that identity rules may read."""
    return {name: row[name] for name in ("ref", "guest_type")}
