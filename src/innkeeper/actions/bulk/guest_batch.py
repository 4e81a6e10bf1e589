"""The guests that a chunk of records is about: found together, decided one by one, in the order
of the file, and written together.

Who a record belongs to is decided as for a single one (`resolution`): the same locks on identity
keys, the same evidence, the same rules. What a chunk saves is round trips. A record sees what
those before it did, whether the guest was there before or came with the chunk.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain
from typing import Any, Final
from uuid import UUID

from innkeeper import clock
from innkeeper.actions.identity import ledger, rulebook
from innkeeper.actions.records.extensions import extension_ref
from innkeeper.resources.base import Changes, Record
from innkeeper.resources.values import instant
from innkeeper.rules import identity
from innkeeper.rules.batch import ExtensionRecord, check_groups
from innkeeper.rules.identity import Decision, Evidence
from innkeeper.rules.identity_keys import guest_keys, in_order, lock_of
from innkeeper.rules.identity_rules import IdentityRules
from innkeeper.rules.merging import Intent, written
from innkeeper.store.work import Json, Row, Work

_INDEXED: Final = frozenset({"email", "emails", "identifiers"})
"""Fields that every guest is found by."""
Groups = dict[tuple[str, str], dict[str, Any]]


@dataclass(slots=True)
class GuestState:
    """A guest of the crowd: as stored (None for a new one), and as it is now."""

    stored: Row | None
    seen: Record
    keys: list[UUID]
    changed: bool = False
    groups: Groups | None = None
    """Its data extensions once they were asked for."""
    put: Groups = field(default_factory=dict)
    """Those to be written."""

    @property
    def of_file(self) -> bool:
        """Whether an earlier record of the chunk, or of a rehearsal, brought it."""
        return self.stored is None or bool(self.stored.get("rehearsed"))

    @property
    def grouped(self) -> bool:
        """Whether it is merged, or others into it: the ledger writes to such a guest."""
        row = self.stored
        return row is not None and (row["survivor_ref"] is not None or row["own"] is not None)


@dataclass(frozen=True, slots=True)
class RecordSource:
    """What is noted of where records come from."""

    name: str
    ref: UUID | None = None
    rehearse: bool = False
    """Write nothing but what this connection alone sees, to tell what would happen."""


class GuestBatch:
    """Call `gather`, then decide and write, then `flush`, in one transaction."""

    def __init__(self, work: Work, book: IdentityRules, source: RecordSource) -> None:
        self.work = work
        self.book = book
        self.now: datetime = clock.now()
        self._source = source
        self._store = "rehearsal" if source.rehearse else "guest_writes"
        self._guests: dict[UUID, GuestState] = {}
        self._owners: dict[UUID, list[UUID]] = defaultdict(list)
        self._joins: list[tuple[Any, ...]] = []
        self._guarded: list[tuple[Any, ...]] = []
        self._indexes = not all(rule.always_indexed for rule in book.rules)

    @classmethod
    async def of(cls, work: Work, source: RecordSource, version: UUID) -> "GuestBatch":
        """An empty crowd with the rules of a version that is in force, and stays so until the
        transaction ends."""
        book = await rulebook.current(work)
        if version != book.version:
            book = await rulebook.read(work)
        return cls(work, book, source)

    @property
    def source(self) -> RecordSource:
        """Where the records come from."""
        return self._source

    @property
    def rehearses(self) -> bool:
        """Whether nothing is to be written for good."""
        return self._source.rehearse

    def evidence(self, person: Record) -> Evidence:
        """What a record says about who it is."""
        return identity.evidence_of(person, self.book, self.now)

    async def gather(self, every: Iterable[Evidence]) -> None:
        """Lock the keys of what is to be decided, and find the guests that they lead to."""
        keys = in_order({*chain.from_iterable(found.keys() for found in every)})
        if not keys:
            return
        locks = [lock_of(key) for key in keys]
        _, pairs = await self.work.in_turn(
            (f"{self._store}.lock_keys", {"locks": locks}),
            (f"{self._store}.find", {"keys": keys, "most": self.book.group_limit + 1}),
        )
        await self.meet({pair["ref"] for pair in pairs})
        for pair in pairs:
            if pair["ref"] in self._guests and pair["ref"] not in self._owners[pair["key"]]:
                self._owners[pair["key"]].append(pair["ref"])

    async def meet(self, refs: Iterable[UUID]) -> None:
        """Read guests and hold the live ones; those that are gone stay unknown."""
        wanted = [ref for ref in refs if ref not in self._guests]
        if not wanted:
            return
        rows = await self.work.all(f"{self._store}.lock_live", refs=wanted)
        if len(rows) < len(wanted):
            live = {row["ref"] for row in rows}
            others = [ref for ref in wanted if ref not in live]
            rows += await self.work.all(f"{self._store}.read", refs=others)
        for row in rows:
            self._guests[row["ref"]] = GuestState(
                row, ledger.visible_record(row), self._keys_of(row)
            )

    async def read_groups(self, refs: Iterable[UUID] | None = None) -> None:
        """Read the data extensions of guests that are to get some, or of all that are known."""
        wanted = {}
        for ref in list(self._guests) if refs is None else refs:
            known = self._guests[ref]
            if known.groups is None:
                known.groups = {}
                if known.stored is not None:
                    wanted[ref] = known.groups
        if wanted:
            for row in await self.work.all(f"{self._store}.extensions", refs=list(wanted)):
                wanted[row["guest_ref"]][row["name"], row["key"]] = row["pairs"]

    def decide(self, evidence: Evidence) -> Decision:
        """The guest that evidence leads to, of those gathered and those new."""
        keys = evidence.keys()
        candidates = [
            {**self._own(self._guests[ref]), "key": key}
            for key in keys
            for ref in self._owners.get(key, ())
        ]
        if not candidates:
            return identity.creation(evidence)
        if self.book.rules:
            return identity.resolve(evidence, candidates, self.book, self.now)
        return identity.resolve_without_rules(evidence, candidates, self.now)

    def state_of(self, ref: UUID) -> GuestState:
        """A guest of the crowd; raises KeyError."""
        return self._guests[ref]

    def create(self, changes: Changes) -> UUID:
        """A new guest, `guest_type` included; `first_seen` and `last_seen` may be told."""
        guest = ledger.new_guest(
            {name: told for name, told in changes.items() if name not in _GUEST_TIMES}
        )
        for name in _GUEST_TIMES:
            if changes.get(name) is not None:
                guest[name] = instant(changes[name])
        keys = guest_keys(guest, self.book.keys(guest) if self._indexes else ())
        ref: UUID = guest["ref"]
        self._guests[ref] = GuestState(None, guest, keys, groups={})
        self._own_keys(ref, keys)
        return ref

    async def write(self, ref: UUID, change: Intent) -> bool:
        """Carry out a write; whether it changed anything."""
        known = self._guests[ref]
        if known.grouped and not self._source.rehearse:
            await self._reach(ref, known, change)
            return True
        after = written(known.seen, change)
        if after is known.seen:
            return False
        keyed = self._indexes or any(after.get(n) != known.seen.get(n) for n in _INDEXED)
        known.seen = after
        known.changed = True
        if keyed:
            known.keys = guest_keys(after, self.book.keys(after) if self._indexes else ())
            self._own_keys(ref, known.keys)
        return True

    def put_groups(self, ref: UUID, sent: Sequence[ExtensionRecord], *, dry: bool = False) -> bool:
        """Overwrite data extensions, which were read; whether that changes any.

        Raises `Refused` when the guest would break a limit; `dry` only finds that out.
        """
        known = self._guests[ref]
        stored = known.groups if known.groups is not None else {}
        after = check_groups(stored, list(sent))
        different = {
            where: after[where]
            for where in ((group.name, group.key) for group in sent)
            if stored.get(where) != after[where]
        }
        if not dry:
            known.groups = after
            known.put |= different
        return bool(different)

    def note(self, ref: UUID, decision: Decision, source: RecordSource | None = None) -> None:
        """Keep why a record joined a guest, and what guards kept from deciding it."""
        about = source or self._source
        tail = (about.name, about.ref, self.work.actor, self.now)
        self._joins.append((ref, decision.rule, Json(decision.evidence), *tail))
        for stopped in decision.blocked:
            told = (stopped.rule, stopped.reason, Json(stopped.evidence), [ref])
            self._guarded.append((*told, *tail))

    async def flush(self) -> None:
        """Write everything; the crowd is empty then."""
        work = self.work
        new = [known for known in self._guests.values() if known.stored is None]
        if new:
            await work.copy_in(f"{self._store}.copy_guests", (_row(known.seen) for known in new))
            pairs = ((key, known.seen["ref"]) for known in new for key in known.keys)
            await work.copy_in(f"{self._store}.copy_keys", pairs)
        await self._rewrite([known for known in self._guests.values() if known.changed])
        await self._put_groups()
        if self._joins and not self._source.rehearse:
            await work.copy_in("guest_writes.copy_joins", self._joins)
        if self._guarded and not self._source.rehearse:
            await work.copy_in("guest_writes.copy_guarded", self._guarded)
        self.forget()

    def leave(self, root: UUID) -> None:
        """A guest is to be removed with all that it stands for: nobody finds it any more."""
        gone = {
            ref
            for ref, known in self._guests.items()
            if ref == root or (known.stored is not None and known.stored["survivor_ref"] == root)
        }
        for owners in self._owners.values():
            owners[:] = [ref for ref in owners if ref not in gone]

    def forget(self) -> None:
        """Start again with nobody."""
        self._guests.clear()
        self._owners.clear()
        self._joins.clear()
        self._guarded.clear()

    async def _rewrite(self, changed: list[GuestState]) -> None:
        guests = [known for known in changed if known.stored is not None]
        if not guests:
            return
        seen = [known.seen for known in guests]
        await self.work.run(
            f"{self._store}.rewrite",
            refs=[guest["ref"] for guest in seen],
            types=[guest["guest_type"] for guest in seen],
            bodies=[Json(ledger.body_members(guest)) for guest in seen],
            first=[guest["first_seen"] for guest in seen],
            last=[guest["last_seen"] for guest in seen],
            modified=[guest["modified_at"] for guest in seen],
        )
        gone, added = [], []
        for known in guests:
            assert known.stored is not None  # noqa: S101 - selected above
            ref, before, after = known.seen["ref"], self._keys_of(known.stored), known.keys
            if before != after:
                gone += [(key, ref) for key in before if key not in after]
                added += [(key, ref) for key in after if key not in before]
        for query, pairs in (("forget_keys", gone), ("add_keys", added)):
            if pairs:
                keys, refs = map(list, zip(*pairs, strict=True))
                await self.work.run(f"{self._store}.{query}", keys=keys, refs=refs)

    async def _put_groups(self) -> None:
        fresh: list[tuple[Any, ...]] = []
        others: list[tuple[Any, ...]] = []
        for known in self._guests.values():
            ref = known.seen["ref"]
            for (name, key), told in known.put.items():
                row = (ref, name, key, extension_ref(ref, name, key), Json(told))
                (fresh if known.stored is None else others).append(row)
        if fresh:
            rows = ((*row, self.now, self.now) for row in fresh)
            await self.work.copy_in(f"{self._store}.copy_extensions", rows)
        if others:
            guests, names, keys, refs, pairs = map(list, zip(*others, strict=True))
            await self.work.run(
                f"{self._store}.put_extensions",
                guests=guests,
                names=names,
                keys=keys,
                refs=refs,
                pairs=pairs,
                now=self.now,
            )

    async def _reach(self, ref: UUID, state: GuestState, change: Intent) -> None:
        """A write to a guest of a merged group, by the ledger; then see what became of it."""
        assert state.stored is not None  # noqa: S101 - a new guest is in no group
        await ledger.write_group(self.work, ref, change, root=state.stored["survivor_ref"])
        first_seen = (change.get("changes") or {}).get("first_seen")
        if first_seen is not None:
            moment = instant(first_seen)
            await self.work.run("guest_writes.first_seen", ref=ref, first_seen=moment)
        for row in await self.work.all(f"{self._store}.read", refs=[ref]):
            state.stored, state.seen = row, ledger.visible_record(row)
            self._own_keys(ref, self._keys_of(row))

    def _own(self, state: GuestState) -> Record:
        """A guest as matching sees it: as it would be without any merge."""
        if state.grouped and state.stored is not None:
            return ledger.own_record(state.stored)
        return state.seen

    def _keys_of(self, row: Row) -> list[UUID]:
        record = ledger.own_record(row)
        return guest_keys(record, self.book.keys(record) if self._indexes else ())

    def _own_keys(self, ref: UUID, keys: Iterable[UUID]) -> None:
        for key in keys:
            owners = self._owners[key]
            if ref not in owners:
                owners.append(ref)


_GUEST_TIMES: Final = ("first_seen", "last_seen")


def _row(guest: Record) -> tuple[Any, ...]:
    return (
        guest["ref"],
        guest["guest_type"],
        Json(ledger.body_members(guest)),
        guest["first_seen"],
        guest["last_seen"],
        guest["created_at"],
        guest["modified_at"],
    )
