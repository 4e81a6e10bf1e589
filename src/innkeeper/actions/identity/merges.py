"""Merge two guests, undo a merge exactly, and explain a guest's identity.

A merge moves no rows. The absorbed guest keeps its fields, extensions, orders, sessions and events;
its `survivor_ref` names the survivor, and reads follow it. Later writes to the survivor are
journalled (see `ledger`), so that an undo gives the survivor the fields it would have without the
merge. The cost of an undo depends on the writes since the merge, not on what the survivor owns.
"""

from collections.abc import Collection, Sequence
from typing import Any, Final
from uuid import UUID, uuid4

from innkeeper import clock
from innkeeper.actions.admin import audit
from innkeeper.actions.identity import ledger, rulebook
from innkeeper.actions.paging import Page, PageRequest, read_page
from innkeeper.errors import Conflict, Invalid, Problem, Unknown, existing
from innkeeper.resources.base import Record
from innkeeper.resources.guests import Guest
from innkeeper.resources.values import NOT_VALID
from innkeeper.rules import identity
from innkeeper.rules.identity_rules import MatchedValue
from innkeeper.rules.merging import repeated
from innkeeper.store.work import Json, Row, Work

BY_HAND: Final = "by hand"
MOST_JOINS: Final = 1000
"""Most joined records in an explanation, newest first."""
AS_GUEST: Final = "guest"
"""Source of a record posted as a guest, for which no match is looked up (rest-v2.1.md G-1)."""


async def create(
    work: Work,
    survivor: UUID,
    absorbed: UUID,
    *,
    rule: str | None = None,
    evidence: Sequence[MatchedValue] = (),
    source: str = BY_HAND,
) -> Record:
    """Merge two live guests and return the merge.

    Raises `Invalid` if a guest does not exist or is retired, or if both are the same guest.
    """
    if survivor == absorbed:
        raise Invalid(Problem("absorbed", "must not be the survivor"))
    refs_by_name = {"survivor": survivor, "absorbed": absorbed}
    async with work.transaction():
        # Read before locking: a transaction that holds a retired guest may wait for its survivor.
        for query in ("merges.survivors", "merges.lock_guests"):
            rows = {row["ref"]: row for row in await work.all(query, refs=[*refs_by_name.values()])}
            problems = [
                Problem(name, NOT_VALID)
                for name, ref in refs_by_name.items()
                if ref not in rows or rows[ref]["survivor_ref"] is not None
            ]
            if problems:
                raise Invalid(*problems)
        row = await _merge(work, rows[survivor], absorbed, rule, evidence, source)
        await _record(work, "merge.create", row)
        return row


async def _record(work: Work, action: str, row: Record) -> None:
    """Write a merge or undo to the audit log."""
    about = audit.AuditSubject(audit.GUEST, str(row["survivor_ref"]))
    await audit.note(work, action, row["survivor_ref"], about=about, merge=str(row["ref"]))


async def absorb(
    work: Work,
    survivor: UUID,
    absorbed: UUID,
    *,
    rule: str | None,
    evidence: Sequence[MatchedValue],
    source: str,
    job: UUID | None = None,
) -> Record | None:
    """Merge the current survivors of two guests and return the merge; `job` is the application of
    rules that makes it.

    Returns None if both have the same survivor already, or if one of them no longer exists.
    """
    pair, query = (survivor, absorbed), "merges.survivors"
    async with work.transaction():
        while True:
            rows = {row["ref"]: row for row in await work.all(query, refs=[*pair])}
            if len({*pair} & rows.keys()) < 2:
                return None
            live = tuple(rows[ref]["survivor_ref"] or ref for ref in pair)
            if live == pair and query == "merges.lock_guests":
                return await _merge(work, rows[live[0]], live[1], rule, evidence, source, job)
            # Lock only guests that were just read as live, then check them again.
            pair, query = (live[0], live[1]), "merges.lock_guests"


async def undo(work: Work, merge: UUID) -> Record:
    """Undo a merge: both guests become what they would be without it (identity.md 9).

    Earlier and later merges stay in force. Returns the merge. Raises `Unknown`, and `Conflict` if
    the merge is undone already.
    """
    async with work.transaction():
        undone = await undo_unrecorded(work, merge)
        await _record(work, "merge.undo", undone)
    return undone


async def undo_unrecorded(work: Work, merge: UUID) -> Record:
    """Undo a merge as `undo` does, without an entry in the audit log."""
    async with work.transaction():
        row = await fetch(work, merge)
        above = await work.one("merges.guest", ref=row["survivor_ref"])
        root = above["survivor_ref"] if above else None
        book, path = await ledger.lock_path(work, row["survivor_ref"], root)
        # The group is locked now: is the merge still in force?
        row = await fetch(work, merge)
        if row["undone_at"] is not None:
            raise Conflict(f"Merge {merge} is undone already.")
        now = clock.now()
        undone = await work.one("merges.undo", ref=merge, absorbed=row["absorbed_ref"], now=now)
        refs = [guest["ref"] for guest in path]
        await work.run("merges.delete_journalled", guests=refs, merge=merge)
        holding = await work.all("merges.survivors_among", guests=refs)
        survivor_refs = {row["survivor_ref"] for row in holding}
        for guest in path:
            own = guest["unmerged"]
            if guest["ref"] in survivor_refs:
                journal = await work.all("merges.journal", guest=guest["ref"])
                base = ledger.restore_record(guest, own["base"])
                visible = repeated(base, (entry["intent"] for entry in journal))
            else:
                visible, own = ledger.unmerged_record(guest), None
                await work.run("merges.delete_journal", guest=guest["ref"])
            await ledger.store_guest(work, visible, own, book)
    return undone or row


async def survivors(work: Work, guests: Sequence[UUID]) -> list[Record]:
    """Return `ref` and `survivor_ref` (None for a live guest) of the guests that exist."""
    return await work.all("merges.survivors", refs=list(guests))


async def lock_live_guests(work: Work, guests: Sequence[UUID]) -> bool:
    """Lock guests until the transaction ends; return whether all exist and are live."""
    # Read before locking, as `create` does.
    for query in ("merges.survivors", "merges.lock_guests"):
        rows = await work.all(query, refs=list(guests))
        if len(rows) < len({*guests}) or any(row["survivor_ref"] is not None for row in rows):
            return False
    return True


async def lock_merge(work: Work, merge: UUID) -> None:
    """Lock the guests that the undo of a merge changes until the transaction ends.

    Raises `Unknown`.
    """
    row = await fetch(work, merge)
    above = await work.one("merges.guest", ref=row["survivor_ref"])
    await ledger.lock_path(work, row["survivor_ref"], above["survivor_ref"] if above else None)


async def fetch(work: Work, merge: UUID) -> Record:
    """Return one merge; raises `Unknown`."""
    return existing(await work.one("merges.fetch", ref=merge), "Merge", merge)


async def list_(work: Work, page_request: PageRequest, guest: UUID | None = None) -> Page:
    """Return a page of merges, undone ones too, newest first; only those of `guest` if given."""
    return await read_page(work, "merges.list", page_request, guest=guest)


async def group_refs(work: Work, guest: UUID) -> list[UUID]:
    """Return the refs of a live guest and of all guests merged into it.

    The orders, sessions and events of all of them belong to the live guest.
    """
    return [row["ref"] for row in await work.all("merges.group", guest=guest)]


async def explain(work: Work, guest: UUID) -> dict[str, Any]:
    """Explain a guest's identity: the merges in force, and the records behind its merged group.

    `joined` lists every record that created or joined a guest of the group, newest first. For a
    guest without such a record, it states the rule and values that identify the guest now. Raises
    `Unknown`, which names the survivor of a retired guest.
    """
    members = await _members(work, guest)
    joined = await work.all("merges.joins", guests=members, limit=MOST_JOINS)
    if len(joined) < MOST_JOINS:
        creations = await work.all(
            "merges.creations", guests=members, limit=MOST_JOINS - len(joined)
        )
        joined += [_creation(row) for row in creations]
        joined += await _current_reasons(work, {*members} - {row["guest_ref"] for row in joined})
        joined.sort(key=lambda each: each["joined_at"], reverse=True)
    return {
        "guest": guest,
        "guests": members,
        "merges": await work.all("merges.in_force", guest=guest),
        "joined": joined,
    }


def _creation(row: Row) -> Row:
    """Return the stored creation reason of a posted guest, in the shape of a join."""
    reason: Row = {"rule": None, **row["creation_reason"]}
    at = {"guest_ref": row["guest_ref"], "joined_at": row["created_at"]}
    return {**at, **reason, "source": AS_GUEST, "source_ref": None}


async def _current_reasons(work: Work, guests: Collection[UUID]) -> list[Row]:
    """Return the rule and values that identify guests now, in the shape of joins, newest first.

    Guests that meet no rule are left out.
    """
    if not guests:
        return []
    book, joins = await rulebook.read(work), list[Row]()
    for row in await work.all("guest_writes.read", refs=list(guests)):
        evidence = identity.evidence_of(ledger.unmerged_record(row), book, clock.now())
        reason = identity.creation(evidence)
        if reason.rule is not None:
            why: Row = {"rule": reason.rule, "evidence": reason.evidence}
            source = {"source": AS_GUEST, "source_ref": None, "actor": None}
            joins.append({"guest_ref": row["ref"], **why, **source, "joined_at": row["created_at"]})
    return sorted(joins, key=lambda each: (each["joined_at"], each["guest_ref"]), reverse=True)


async def history(work: Work, guest: UUID) -> list[dict[str, Any]]:
    """Return every merge and undo of a guest's merged group, oldest first; raises `Unknown`."""
    await _members(work, guest)
    events: list[dict[str, Any]] = []
    for row in await work.all("merges.history", guest=guest):
        events.append({"event": "merged", "at": row["merged_at"], "by": row["actor"], "merge": row})
        if row["undone_at"] is not None:
            undone = {"event": "undone", "at": row["undone_at"], "by": row["undone_by"]}
            events.append({**undone, "merge": row})
    return sorted(events, key=lambda event: event["at"])


async def _members(work: Work, guest: UUID) -> list[UUID]:
    """Return the merged group of a live guest.

    Raises `Unknown`, which names the survivor of a retired guest.
    """
    row = await work.one("guests.fetch", ref=guest)
    if row is None or row["survivor_ref"] is not None:
        raise Unknown(Guest.singular, guest, survivor=row and row["survivor_ref"])
    return await group_refs(work, guest)


async def _merge(
    work: Work,
    survivor: Row,
    absorbed: UUID,
    rule: str | None,
    evidence: Sequence[MatchedValue],
    source: str,
    job: UUID | None = None,
) -> Record:
    """Insert a merge of two locked live guests and return it."""
    state = ledger.state_of(ledger.visible_record(survivor))
    return await work.row(
        "merges.create",
        ref=uuid4(),
        survivor=survivor["ref"],
        absorbed=absorbed,
        rule=rule,
        evidence=Json(list(evidence)),
        source=source,
        job=job,
        unmerged=Json({"base": state, "now": state}),
    )
