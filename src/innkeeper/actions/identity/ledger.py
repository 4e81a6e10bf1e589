"""Write guests: each write goes to its guest and to every survivor above that guest.

A survivor has two states. Its row is the visible state, which callers see. `unmerged["now"]` is the
unmerged state: what the guest would be without any merge. Matching uses the unmerged state, so the
guest that a record belongs to never depends on merges, and undo restores an exact state.

Locks: the live guest of a merged group is locked before any row of the group is read or written.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from innkeeper import clock
from innkeeper.actions.identity import rulebook
from innkeeper.errors import Unknown, existing
from innkeeper.refs import new_ref
from innkeeper.resources.base import Changes, Record
from innkeeper.resources.guests import Guest
from innkeeper.resources.values import instant, iso
from innkeeper.rules.guests import guest_fields
from innkeeper.rules.identity_keys import guest_keys
from innkeeper.rules.identity_rules import IdentityRules
from innkeeper.rules.merging import COLUMNS, Intent, written
from innkeeper.rules.versions import ROW_VERSION, Expected, expect
from innkeeper.store.batching import ALONE, Alone
from innkeeper.store.work import Json, Row, Work


def visible_record(row: Row) -> Record:
    """Return a row's visible record, without the columns that only merging uses."""
    return {**row["body"], **{name: row[name] for name in COLUMNS}}


def unmerged_record(row: Row) -> Record:
    """Return a row's unmerged record: what the guest would be without any merge."""
    if row["unmerged"] is None:
        return visible_record(row)
    return restore_record(row, row["unmerged"]["now"])


def restore_record(row: Row, state: Mapping[str, Any]) -> Record:
    """Return the record of a stored `state` (see `state_of`) of a row."""
    columns = {name: row[name] for name in COLUMNS}
    columns["guest_type"] = state["guest_type"]
    columns |= {name: instant(state[name]) for name in ("last_seen", "modified_at")}
    return {**state["body"], **columns}


def state_of(record: Record) -> dict[str, Any]:
    """Return a guest's state as JSON, as column `own` stores it."""
    return {
        "guest_type": record["guest_type"],
        "last_seen": iso(record["last_seen"]),
        "modified_at": iso(record["modified_at"]),
        "body": body_members(record),
    }


def body_members(record: Record) -> dict[str, Any]:
    """Return the fields of a guest that are stored in the row's `body`, not in columns."""
    return {name: value for name, value in record.items() if name not in COLUMNS}


def new_guest(changes: Changes) -> Record:
    """Build a new guest, ready to store. `changes` holds all its fields, `guest_type` included."""
    now = clock.now()
    return {
        **guest_fields(changes),
        "ref": new_ref(),
        "first_seen": now,
        "last_seen": now,
        "created_at": now,
        "modified_at": now,
    }


async def insert_guest(
    work: Work,
    guest: Record,
    book: IdentityRules,
    join: Mapping[str, Any] | None = None,
    reason: Mapping[str, Any] | None = None,
) -> str | None:
    """Store a new guest with its keys, in one statement.

    Returns the version of its row, or None, with nothing written, if `book` is out of date.
    `join`: parameters of `identity.insert_creation_join`, for a guest that a record creates.
    `reason`: the stored reason of a guest that no record creates.
    """
    params = {
        "ref": guest["ref"],
        "guest_type": guest["guest_type"],
        "body": Json(body_members(guest)),
        "keys": guest_keys(guest, book.keys(guest)),
        "now": guest["created_at"],
        "version": book.version,
        "reason": reason and Json(reason),
    }
    if join:
        parts = {"join": ["identity.insert_creation_join"]}
        created = await work.one("guests.create", parts=parts, **params, **join)
    else:
        created = await work.create_batched("guests.create", "guests.create_all", **params)
    return str(created[ROW_VERSION]) if created else None


async def write_guest(
    work: Work, guest: UUID, change: Intent, expected: Expected | None = None
) -> Record:
    """Write a caller's change to a live guest, and return its visible record with its version.

    Call it in a transaction. Raises `Unknown` (which names the survivor of a retired guest) and
    `Outdated` if the row does not have the `expected` version.
    """
    row = await work.one("merges.lock", ref=guest)
    if row is None or row["survivor_ref"] is not None:
        raise Unknown(Guest.singular, guest, survivor=row and row["survivor_ref"])
    expect(expected, row)
    return await _write_one(work, row, [change], guest, [], await _current_rules(work, row))


async def write_guests(work: Work, writes: Sequence[tuple[UUID, Intent]]) -> list[Record | Alone]:
    """Write changes to guests that are in no merged group, as `write_guest` does, in one
    transaction.

    Leaves alone: other guests, guests that others have locked, and the second change to a guest.
    """
    outcomes: list[Record | Alone] = [ALONE] * len(writes)
    async with work.transaction():
        rows = await work.all("merges.lock_unmerged", refs=[guest for guest, _ in writes])
        locked = {row["ref"]: row for row in rows}
        changed: list[Record] = []
        for position, (guest, change) in enumerate(writes):
            row = locked.pop(guest, None)
            if row is None:
                continue
            before = visible_record(row)
            after = written(before, change)
            outcomes[position] = {**after, ROW_VERSION: row[ROW_VERSION]}
            if after is not before:
                changed.append(after)
        versions = await _store_guests(work, changed, rows[0]) if changed else {}
    for outcome in outcomes:
        if not isinstance(outcome, Alone) and outcome["ref"] in versions:
            outcome[ROW_VERSION] = versions[outcome["ref"]]
    return outcomes


async def _store_guests(work: Work, guests: Sequence[Record], row: Row) -> dict[UUID, str]:
    """Store locked guests that are in no merged group, by the rules of the version that `row` was
    read with; returns their new versions."""
    book = await _current_rules(work, row)
    elements = [
        {
            **{name: guest[name] for name in ("ref", "guest_type", "last_seen", "modified_at")},
            "body": body_members(guest),
            "keys": sorted({*guest_keys(guest, book.keys(guest))}),
        }
        for guest in guests
    ]
    stored = await work.all("merges.rewrite_unmerged", elements=Json(elements))
    return {row["ref"]: row[ROW_VERSION] for row in stored}


async def write_group(work: Work, guest: UUID, *changes: Intent, root: UUID | None = None) -> UUID:
    """Write changes to `guest`, live or absorbed, and to every survivor above it; return the live
    one.

    `root`: the survivor as last read; it saves a statement. Call it in a transaction. Raises
    `Unknown` if the guest no longer exists.
    """
    book, path = await lock_path(work, guest, root)
    for row in path:
        await _write_one(work, row, changes, guest, row["merges"], book)
    live: UUID = path[-1]["ref"]
    return live


async def lock_path(
    work: Work, guest: UUID, root: UUID | None = None
) -> tuple[IdentityRules, list[Row]]:
    """Lock the live guest of a group; return the current rules, and the path from `guest` up to it.

    Each row of the path has `merges`: the merges between `guest` and that row. The lock on the live
    guest protects the whole group. Raises `Unknown` if the guest does not exist.
    """
    expected = root or guest
    while True:
        row = existing(await work.one("merges.lock", ref=expected), Guest.singular, guest)
        if row["survivor_ref"] is not None:
            expected = row["survivor_ref"]
            continue
        book = await _current_rules(work, row)
        if expected == guest:
            return book, [{**row, "merges": []}]
        path = await work.all("merges.path", ref=guest)
        if not path:
            raise Unknown(Guest.singular, guest)
        if path[-1]["ref"] == expected:
            return book, path
        # A merge or its undo was committed in between: lock the guest that is live now.
        expected = path[-1]["ref"]


async def _current_rules(work: Work, row: Row) -> IdentityRules:
    """Return the identity rules of the version that `row` was read with."""
    return await rulebook.of_version(work, row["version"])


async def _write_one(
    work: Work,
    row: Row,
    changes: Sequence[Intent],
    source: UUID,
    merges: list[UUID],
    book: IdentityRules,
) -> Record:
    """Apply changes to one guest of a locked group; return its visible record with its version.

    `source` is the guest that they are written to, `merges` are the merges between the two.
    """
    before = after = visible_record(row)
    own, version = row["unmerged"], row.get(ROW_VERSION)
    if own is None:
        for change in changes:
            after = written(after, change)
        if after is not before:
            version = await store_guest(work, after, None, book)
        return {**after, ROW_VERSION: version}
    unmerged = unmerged_record(row)
    for change in changes:
        after = written(after, change)
        if not merges:
            unmerged = written(unmerged, change)
            own = {"base": own["base"], "now": state_of(unmerged)}
        # Journalled even if it changes nothing now: it may change something after an undo.
        version = await store_guest(
            work, after, own, book, intent=Json(change), source=source, merges=merges
        )
    return {**after, ROW_VERSION: version}


async def store_guest(
    work: Work,
    visible: Record,
    own: Mapping[str, Any] | None,
    book: IdentityRules,
    *,
    intent: Json | None = None,
    source: UUID | None = None,
    merges: list[UUID] | None = None,
) -> str | None:
    """Store both states of a guest, the keys of both, and a journal entry if `intent` is given.

    Returns the version of the row, or None if the guest does not exist.
    """
    keys = [*guest_keys(visible, book.keys(visible))]
    if own is not None:
        unmerged = {**visible, **dict.fromkeys(body_members(visible)), **own["now"]["body"]}
        keys += guest_keys(unmerged, book.keys(unmerged))
    rewritten = await work.one(
        "merges.rewrite",
        ref=visible["ref"],
        guest_type=visible["guest_type"],
        body=Json(body_members(visible)),
        last_seen=visible["last_seen"],
        modified_at=visible["modified_at"],
        unmerged=None if own is None else Json(own),
        keys=sorted({*keys}),
        intent=intent,
        source=source,
        merges=merges or [],
    )
    return str(rewritten[ROW_VERSION]) if rewritten else None


async def add_keys(work: Work, pairs: Sequence[tuple[UUID, UUID]]) -> None:
    """Store keys of guests: pairs of a key and a guest."""
    keys, guests = [key for key, _ in pairs], [guest for _, guest in pairs]
    await work.run("identity.add_keys", keys=keys, guests=guests)


async def renew_keys(work: Work, rows: Sequence[Row], book: IdentityRules) -> None:
    """Replace the keys of guests by those of both of their states, visible and unmerged."""
    pairs = set[tuple[UUID, UUID]]()
    for row in rows:
        for state in (visible_record(row), unmerged_record(row)):
            pairs.update((key, row["ref"]) for key in guest_keys(state, book.keys(state)))
    await work.run("identity.delete_keys", guests=[row["ref"] for row in rows])
    await add_keys(work, [*pairs])
