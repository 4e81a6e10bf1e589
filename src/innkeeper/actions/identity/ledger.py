"""Writes to guests, each reaching the guest it is meant for and every survivor above it.

Two states of a guest are kept once others were merged into it: its row, which is what callers
see, and `own["now"]`, which is what it would be had nothing been merged. Matching looks at the
second, so who a record belongs to never depends on merges, and undo has nothing to guess.

Locks: the live guest of a group is locked before anything of the group is read or written.
"""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from innkeeper import clock
from innkeeper.actions.identity import rulebook
from innkeeper.errors import Unknown
from innkeeper.refs import new_ref
from innkeeper.resources.base import Changes, Record
from innkeeper.resources.guests import Guest
from innkeeper.resources.values import instant, iso
from innkeeper.rules.guests import guest_fields
from innkeeper.rules.identity_keys import guest_keys
from innkeeper.rules.identity_rules import IdentityRules
from innkeeper.rules.merging import COLUMNS, Intent, written
from innkeeper.rules.versions import ROW_VERSION, Expected, expect
from innkeeper.store.work import Json, Row, Work


def visible_record(row: Row) -> Record:
    """A row as the record that callers see; columns that only merging knows are left out."""
    return {**row["body"], **{name: row[name] for name in COLUMNS}}


def own_record(row: Row) -> Record:
    """A row as the record it would be had nothing been merged into it."""
    if row["own"] is None:
        return visible_record(row)
    return restore_record(row, row["own"]["now"])


def restore_record(row: Row, state: Mapping[str, Any]) -> Record:
    """The record of a kept state of a row."""
    columns = {name: row[name] for name in COLUMNS}
    columns["guest_type"] = state["guest_type"]
    columns |= {name: instant(state[name]) for name in ("last_seen", "modified_at")}
    return {**state["body"], **columns}


def state_of(record: Record) -> dict[str, Any]:
    """What is kept of a record: JSON."""
    return {
        "guest_type": record["guest_type"],
        "last_seen": iso(record["last_seen"]),
        "modified_at": iso(record["modified_at"]),
        "body": body_members(record),
    }


def body_members(record: Record) -> dict[str, Any]:
    """The members of a guest that live in the row's body."""
    return {name: value for name, value in record.items() if name not in COLUMNS}


def new_guest(changes: Changes) -> Record:
    """A guest that is told of as a whole, `guest_type` included, ready to be stored."""
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
    """Store a new guest with its keys, in one statement; the version of its row, or None when
    `book` is out of date.

    `joined`: the record that made it, as `identity.note_created` notes it. `reason`: why it is a
    guest, where no record made it.
    """
    created = await work.one(
        "guests.create",
        parts={"noted": ["identity.note_created"]} if join else {},
        ref=guest["ref"],
        guest_type=guest["guest_type"],
        body=Json(body_members(guest)),
        keys=guest_keys(guest, book.keys(guest)),
        now=guest["created_at"],
        version=book.version,
        reason=reason and Json(reason),
        **(join or {}),
    )
    return str(created[ROW_VERSION]) if created else None


async def write_guest(
    work: Work, guest: UUID, change: Intent, expected: Expected | None = None
) -> Record:
    """A caller's write to a live guest; raises `Unknown`, naming the survivor of a retired one,
    and `Outdated` where the caller expects another version.

    Call it in a transaction.
    """
    row = await work.one("merges.lock", ref=guest)
    if row is None or row["survivor_ref"] is not None:
        raise Unknown(Guest.singular, guest, survivor=row and row["survivor_ref"])
    expect(expected, row)
    return await _write_one(work, row, change, guest, [], await _book(work, row))


async def write_group(work: Work, guest: UUID, change: Intent, root: UUID | None = None) -> None:
    """A write that evidence leads to `guest`, live or absorbed, and so to its survivor.

    `root`: the survivor as last seen, which saves a question. Raises `Unknown` for a guest that
    was deleted meanwhile. Call it in a transaction.
    """
    book, path = await lock_path(work, guest, root)
    for row in path:
        await _write_one(work, row, change, guest, row["merges"], book)


async def lock_path(
    work: Work, guest: UUID, root: UUID | None = None
) -> tuple[IdentityRules, list[Row]]:
    """The guest and those above it, up to the live one, whose lock holds the whole group."""
    expected = root or guest
    while True:
        row = await work.one("merges.lock", ref=expected)
        if row is None:
            raise Unknown(Guest.singular, guest)
        if row["survivor_ref"] is not None:
            expected = row["survivor_ref"]
            continue
        book = await _book(work, row)
        if expected == guest:
            return book, [{**row, "merges": []}]
        path = await work.all("merges.path", ref=guest)
        if not path:
            raise Unknown(Guest.singular, guest)
        if path[-1]["ref"] == expected:
            return book, path
        # A merge or its undo came between: lock who is live now.
        expected = path[-1]["ref"]


async def _book(work: Work, row: Row) -> IdentityRules:
    book = await rulebook.current(work)
    return book if book.version == row["version"] else await rulebook.read(work)


async def _write_one(
    work: Work, row: Row, change: Intent, source: UUID, merges: list[UUID], book: IdentityRules
) -> Record:
    """A write as it arrives at one guest of a locked group; what callers see of it then."""
    before = visible_record(row)
    after = written(before, change)
    own = row["own"]
    version = row.get(ROW_VERSION)
    if own is None:
        if after is not before:
            version = await store_guest(work, after, None, book)
        return {**after, ROW_VERSION: version}
    if not merges:
        own = {"base": own["base"], "now": state_of(written(own_record(row), change))}
    # Noted even where it changes nothing now: once another write is undone, it may.
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
    """Write both states of a guest, the keys of both, and a journal entry if there is one; the
    version of its row then."""
    keys = [*guest_keys(visible, book.keys(visible))]
    if own is not None:
        alone = {**visible, **dict.fromkeys(body_members(visible)), **own["now"]["body"]}
        keys += guest_keys(alone, book.keys(alone))
    rewritten = await work.one(
        "merges.rewrite",
        ref=visible["ref"],
        guest_type=visible["guest_type"],
        body=Json(body_members(visible)),
        last_seen=visible["last_seen"],
        modified_at=visible["modified_at"],
        own=None if own is None else Json(own),
        keys=sorted({*keys}),
        intent=intent,
        source=source,
        merges=merges or [],
    )
    return str(rewritten[ROW_VERSION]) if rewritten else None
