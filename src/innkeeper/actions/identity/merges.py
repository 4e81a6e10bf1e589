"""The ledger of merges: merge two guests, undo it exactly, and tell why a guest is who it is.

A merge moves nothing. The absorbed guest keeps its fields, extensions, orders, sessions and
events, and `survivor_ref` says who stands for it; reads follow that. What is written to the
survivor meanwhile is journalled (see `ledger`), so that undoing a merge gives the survivor the
fields it would have had, at a cost that depends on the writes since, not on what it owns.
"""

from collections.abc import Collection, Sequence
from typing import Any, Final
from uuid import UUID, uuid4

from innkeeper import clock
from innkeeper.actions.admin import audit
from innkeeper.actions.identity import ledger, rulebook
from innkeeper.actions.paging import Page, PageRequest
from innkeeper.errors import Conflict, Invalid, Problem, Unknown
from innkeeper.resources.base import Record
from innkeeper.resources.guests import Guest
from innkeeper.resources.values import NOT_VALID
from innkeeper.rules import identity
from innkeeper.rules.identity_rules import Evidence1
from innkeeper.rules.merging import repeated
from innkeeper.store.work import Json, Row, Work

BY_HAND: Final = "by hand"
MOST_JOINS: Final = 1000
"""Joined records that an explanation lists, newest first."""
AS_GUEST: Final = "guest"
"""Source of a record that was sent as a guest: it looked for nobody (rest-v2.1.md G-1)."""


async def create(
    work: Work,
    survivor: UUID,
    absorbed: UUID,
    *,
    rule: str | None = None,
    evidence: Sequence[Evidence1] = (),
    source: str = BY_HAND,
) -> Record:
    """Merge two live guests; the row of the ledger. Raises `Invalid` for a guest that does not
    exist or is retired, and when both are one."""
    if survivor == absorbed:
        raise Invalid(Problem("absorbed", "must be another guest than survivor"))
    wanted = {"survivor": survivor, "absorbed": absorbed}
    async with work.transaction():
        # Looked at before it is locked: who holds a retired guest may keep its survivor waiting.
        for query in ("merges.two", "merges.lock_two"):
            rows = {row["ref"]: row for row in await work.all(query, refs=[*wanted.values()])}
            problems = [
                Problem(name, NOT_VALID)
                for name, ref in wanted.items()
                if ref not in rows or rows[ref]["survivor_ref"] is not None
            ]
            if problems:
                raise Invalid(*problems)
        row = await _merge(work, rows[survivor], absorbed, rule, evidence, source)
        await _record(work, "merge.create", row)
        return row


async def _record(work: Work, action: str, row: Record) -> None:
    about = audit.AuditSubject(audit.GUEST, str(row["survivor_ref"]))
    await audit.note(work, action, row["survivor_ref"], about=about, merge=str(row["ref"]))


async def absorb(
    work: Work,
    survivor: UUID,
    absorbed: UUID,
    *,
    rule: str | None,
    evidence: Sequence[Evidence1],
    source: str,
) -> Record | None:
    """Merge whoever stands for two guests now; None when they are one already, or one is gone."""
    wanted, query = (survivor, absorbed), "merges.two"
    async with work.transaction():
        while True:
            rows = {row["ref"]: row for row in await work.all(query, refs=[*wanted])}
            if len({*wanted} & rows.keys()) < 2:
                return None
            live = tuple(rows[ref]["survivor_ref"] or ref for ref in wanted)
            if live == wanted and query == "merges.lock_two":
                return await _merge(work, rows[live[0]], live[1], rule, evidence, source)
            # Only guests that were live a moment ago are locked, and looked at again then.
            wanted, query = (live[0], live[1]), "merges.lock_two"


async def undo(work: Work, merge: UUID) -> Record:
    """End a merge: both guests are what they would be had it never been (identity.md 9).

    Merges made before and after it stand. Raises `Unknown`, and `Conflict` for one undone before.
    """
    async with work.transaction():
        row = await work.one("merges.fetch", ref=merge)
        if row is None:
            raise Unknown("Merge", merge)
        above = await work.one("merges.guest", ref=row["survivor_ref"])
        root = above["survivor_ref"] if above else None
        book, path = await ledger.lock_path(work, row["survivor_ref"], root)
        # The group is locked now: is the merge still in force?
        row = await work.one("merges.fetch", ref=merge)
        if row is None or row["undone_at"] is not None:
            raise Conflict(f"Merge {merge} is undone already.")
        now = clock.now()
        undone = await work.one(
            "merges.release", ref=merge, absorbed=row["absorbed_ref"], now=now, actor=work.actor
        )
        refs = [guest["ref"] for guest in path]
        await work.run("merges.forget", guests=refs, merge=merge)
        holding = await work.all("merges.holding", guests=refs)
        still = {found["survivor_ref"] for found in holding}
        for guest in path:
            own = guest["own"]
            if guest["ref"] in still:
                journal = await work.all("merges.journal", guest=guest["ref"])
                base = ledger.restore_record(guest, own["base"])
                seen = repeated(base, (entry["intent"] for entry in journal))
            else:
                seen, own = ledger.own_record(guest), None
                await work.run("merges.drop_journal", guest=guest["ref"])
            await ledger.store_guest(work, seen, own, book)
        await _record(work, "merge.undo", row)
    return undone or row


async def survivors(work: Work, guests: Sequence[UUID]) -> list[Record]:
    """`ref` and `survivor_ref`, None of a live one, of those of some guests that exist."""
    return await work.all("merges.two", refs=list(guests))


async def lock_live_guests(work: Work, guests: Sequence[UUID]) -> bool:
    """Lock live guests until the transaction ends; whether all of them exist and are live."""
    # Looked at before they are locked, as `create` does.
    for query in ("merges.two", "merges.lock_two"):
        rows = await work.all(query, refs=list(guests))
        if len(rows) < len({*guests}) or any(row["survivor_ref"] is not None for row in rows):
            return False
    return True


async def lock_merge(work: Work, merge: UUID) -> None:
    """Lock the guests that undoing a merge changes until the transaction ends; raises `Unknown`."""
    row = await fetch(work, merge)
    above = await work.one("merges.guest", ref=row["survivor_ref"])
    await ledger.lock_path(work, row["survivor_ref"], above["survivor_ref"] if above else None)


async def fetch(work: Work, merge: UUID) -> Record:
    """One merge; raises `Unknown`."""
    row = await work.one("merges.fetch", ref=merge)
    if row is None:
        raise Unknown("Merge", merge)
    return row


async def list_(work: Work, page_request: PageRequest, guest: UUID | None = None) -> Page:
    """A page of merges, undone ones too, newest first; those of one guest when it is named."""
    rows = await work.all(
        "merges.list", guest=guest, limit=page_request.limit, offset=page_request.offset
    )
    total = rows[0]["total"] if rows else 0
    if not rows and page_request.offset:
        first = await work.one("merges.list", guest=guest, limit=1, offset=0)
        total = first["total"] if first else 0
    return Page(rows, total)


async def group_refs(work: Work, guest: UUID) -> list[UUID]:
    """A guest and all that it stands for: whose orders, sessions and events are its own."""
    return [row["ref"] for row in await work.all("merges.group", guest=guest)]


async def explain(work: Work, guest: UUID) -> dict[str, Any]:
    """Why a guest is who it is: merges in force, and every record that made or joined it or a guest
    it stands for, newest first. Raises `Unknown`; a retired guest's names the survivor.

    Of a guest of whom nothing is stored it says by what rule and values the guest is known now.
    """
    members = await _members(work, guest)
    joined = await work.all("merges.joins", guests=members, limit=MOST_JOINS)
    if len(joined) < MOST_JOINS:
        made = await work.all("merges.creations", guests=members, limit=MOST_JOINS - len(joined))
        joined += [_creation(row) for row in made]
        joined += await _current_reasons(work, {*members} - {row["guest_ref"] for row in joined})
        joined.sort(key=lambda each: each["joined_at"], reverse=True)
    return {
        "guest": guest,
        "guests": members,
        "merges": await work.all("merges.in_force", guest=guest),
        "joined": joined,
    }


def _creation(row: Row) -> Row:
    """Why a guest that was posted is a guest, as of a record that joined it."""
    reason: Row = {"rule": None, **row["creation_reason"]}
    at = {"guest_ref": row["guest_ref"], "joined_at": row["created_at"]}
    return {**at, **reason, "source": AS_GUEST, "source_ref": None}


async def _current_reasons(work: Work, guests: Collection[UUID]) -> list[Row]:
    """By which rule and values guests are known, as if a record had joined each; not those whom no
    rule knows."""
    if not guests:
        return []
    book, found = await rulebook.read(work), list[Row]()
    for row in await work.all("guest_writes.read", refs=list(guests)):
        known = identity.evidence_of(ledger.own_record(row), book, clock.now())
        reason = identity.creation(known)
        if reason.rule is not None:
            why: Row = {"rule": reason.rule, "evidence": reason.evidence}
            source = {"source": AS_GUEST, "source_ref": None, "actor": None}
            found.append({"guest_ref": row["ref"], **why, **source, "joined_at": row["created_at"]})
    return sorted(found, key=lambda each: (each["joined_at"], each["guest_ref"]), reverse=True)


async def history(work: Work, guest: UUID) -> list[dict[str, Any]]:
    """Every merge and undo that touched a guest or one it stands for, oldest first."""
    await _members(work, guest)
    events: list[dict[str, Any]] = []
    for row in await work.all("merges.touching", guest=guest):
        events.append({"event": "merged", "at": row["merged_at"], "by": row["actor"], "merge": row})
        if row["undone_at"] is not None:
            undone = {"event": "undone", "at": row["undone_at"], "by": row["undone_by"]}
            events.append({**undone, "merge": row})
    return sorted(events, key=lambda event: event["at"])


async def _members(work: Work, guest: UUID) -> list[UUID]:
    row = await work.one("guests.fetch", ref=guest)
    if row is None or row["survivor_ref"] is not None:
        raise Unknown(Guest.singular, guest, survivor=row and row["survivor_ref"])
    return await group_refs(work, guest)


async def _merge(
    work: Work,
    survivor: Row,
    absorbed: UUID,
    rule: str | None,
    evidence: Sequence[Evidence1],
    source: str,
) -> Record:
    state = ledger.state_of(ledger.visible_record(survivor))
    row = await work.one(
        "merges.create",
        ref=uuid4(),
        survivor=survivor["ref"],
        absorbed=absorbed,
        rule=rule,
        evidence=Json(list(evidence)),
        source=source,
        actor=work.actor,
        now=clock.now(),
        own=Json({"base": state, "now": state}),
    )
    assert row is not None  # noqa: S101 - an INSERT … RETURNING has a row
    return row
