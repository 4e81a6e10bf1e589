"""Resolve and write the guests of one chunk of a batch or import.

A chunk looks up its guests together, decides each record in file order, and writes all guests
together. Each record is decided like a single one (`attachment.decide`): same locks on identity
keys, same evidence, same rules. The chunk only saves round trips. A record sees the changes of
earlier records, to stored guests and to guests that the chunk creates.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import chain
from typing import Any, Final
from uuid import UUID

from innkeeper import clock
from innkeeper.actions.bulk.guest_state import GuestState, RecordSource
from innkeeper.actions.bulk.import_changes import ImportChanges
from innkeeper.actions.identity import ledger
from innkeeper.actions.records.extensions import extension_ref
from innkeeper.resources.base import Changes, Record
from innkeeper.resources.values import instant
from innkeeper.rules import identity
from innkeeper.rules.attachment import GUEST_RECORD, Terms, decide
from innkeeper.rules.batch import ExtensionRecord, check_groups
from innkeeper.rules.identity import Decision, Evidence
from innkeeper.rules.identity_keys import guest_keys, in_order, lock_of
from innkeeper.rules.identity_rules import IdentityRules
from innkeeper.rules.merging import Intent, written
from innkeeper.store.work import Json, Row, Work

_INDEXED: Final = frozenset({"email", "emails", "identifiers"})
"""Fields that are always indexed by identity keys."""


class GuestBatch:
    """The guests of one chunk: call `gather`, then `decide` and `write`, then `flush`.

    All in one transaction.
    """

    def __init__(self, work: Work, book: IdentityRules, source: RecordSource) -> None:
        """`book`: the rules that the caller's transaction keeps in force until it ends."""
        self.work = work
        self.book = book
        self.now: datetime = clock.now()
        self.changes = ImportChanges(work, source.ref if source.is_recorded else None, self.now)
        self._source = source
        self.tables = work.on_temporary_tables() if source.dry_run else work
        """The tables that the batch reads and writes; those of a dry run have copies of all rows
        that it reads."""
        self._guests: dict[UUID, GuestState] = {}
        self._owners: dict[UUID, list[UUID]] = defaultdict(list)
        self._joins: list[tuple[Any, ...]] = []
        self._guarded: list[tuple[Any, ...]] = []
        self._indexes = not book.is_indexed

    @property
    def source(self) -> RecordSource:
        """The source of the records."""
        return self._source

    @property
    def dry_run(self) -> bool:
        """Whether the batch stores nothing permanently."""
        return self._source.dry_run

    def evidence(self, person: Record) -> Evidence:
        """Return the identity evidence of a person's fields."""
        return identity.evidence_of(person, self.book, self.now)

    async def gather(self, every: Iterable[Evidence]) -> None:
        """Lock the keys of the evidence to be decided, and read the guests that have them."""
        keys = in_order({*chain.from_iterable(one.keys() for one in every)})
        if not keys:
            return
        find = ("guest_writes.find", {"keys": keys, "most": self.book.candidates_max})
        if self.dry_run:
            # Without locks: nothing is written that others must wait for.
            (stored,) = await self.work.in_turn(find)
            await self.copy_guests({pair["ref"] for pair in stored})
            (pairs,) = await self.tables.in_turn(find)
        else:
            locks = ("guest_writes.lock_keys", {"locks": [lock_of(key) for key in keys]})
            _, pairs = await self.work.in_turn(locks, find)
        await self.read_guests({pair["ref"] for pair in pairs})
        for pair in pairs:
            if pair["ref"] in self._guests and pair["ref"] not in self._owners[pair["key"]]:
                self._owners[pair["key"]].append(pair["ref"])

    async def read_guests(self, refs: Iterable[UUID]) -> None:
        """Read guests that the batch does not have yet, and lock the live ones.

        Guests that no longer exist stay absent.
        """
        missing = [ref for ref in refs if ref not in self._guests]
        if not missing:
            return
        created = set()
        if self.dry_run:
            await self.copy_guests(missing)
            rows = await self.work.all("dry_run.created_guests", refs=missing)
            created = {row["ref"] for row in rows}
        rows = await self.tables.all("guest_writes.lock_live", refs=missing)
        if len(rows) < len(missing):
            live = {row["ref"] for row in rows}
            others = [ref for ref in missing if ref not in live]
            rows += await self.tables.all("guest_writes.read", refs=others)
        for row in rows:
            self._guests[row["ref"]] = GuestState(
                row,
                ledger.visible_record(row),
                self._keys_of(row),
                created_by_dry_run=row["ref"] in created,
            )

    async def copy_guests(self, refs: Iterable[UUID]) -> None:
        """Copy stored guests to the tables of a dry run, unless they are there already."""
        await self.work.run("dry_run.copy_guests", refs=list(refs))

    async def read_extensions(self, refs: Iterable[UUID] | None = None) -> None:
        """Read the data extensions of some guests of the batch (None: of all), each once."""
        missing = {}
        for ref in list(self._guests) if refs is None else refs:
            state = self._guests[ref]
            if state.extensions is None:
                state.extensions = {}
                if state.stored is not None:
                    missing[ref] = state.extensions
        if missing:
            for row in await self.tables.all("guest_writes.extensions", refs=list(missing)):
                missing[row["guest_ref"]][row["name"], row["key"]] = row["pairs"]

    def decide(
        self,
        person: Record,
        evidence: Evidence,
        terms: Terms = GUEST_RECORD,
        contacts: Iterable[Record] = (),
    ) -> Decision:
        """Decide which guest of the batch, stored or new, a person is (`attachment.decide`)."""
        keys = evidence.keys()
        candidates = [
            {**self._unmerged(self._guests[ref]), "key": key}
            for key in keys
            for ref in self._owners.get(key, ())
        ]
        return decide(person, evidence, candidates, terms, self.book, self.now, contacts)

    def state_of(self, ref: UUID) -> GuestState:
        """Return a guest of the batch; raises KeyError."""
        return self._guests[ref]

    def create(self, changes: Changes) -> UUID:
        """Add a new guest and return its ref.

        `changes` holds all its fields, `guest_type` included; `first_seen` and `last_seen` are
        optional.
        """
        guest = ledger.new_guest(
            {name: value for name, value in changes.items() if name not in _GUEST_TIMES}
        )
        for name in _GUEST_TIMES:
            if changes.get(name) is not None:
                guest[name] = instant(changes[name])
        keys = guest_keys(guest, self.book.keys(guest) if self._indexes else ())
        ref: UUID = guest["ref"]
        self._guests[ref] = GuestState(None, guest, keys, extensions={})
        self._index_keys(ref, keys)
        return ref

    async def write(self, ref: UUID, change: Intent) -> bool:
        """Apply a change to a guest; return whether the guest, without merges, changed."""
        state = self._guests[ref]
        if state.is_merged and not self._source.dry_run:
            # Written even if it changes nothing now: a group journals every change.
            before = self._unmerged(state)
            await self._write_group(ref, state, change)
            return written(before, change) is not before
        after = written(state.visible, change)
        if after is state.visible:
            return False
        keyed = self._indexes or any(after.get(n) != state.visible.get(n) for n in _INDEXED)
        state.visible = after
        state.changed = True
        if keyed:
            state.keys = guest_keys(after, self.book.keys(after) if self._indexes else ())
            self._index_keys(ref, state.keys)
        return True

    def put_extensions(
        self, ref: UUID, records: Sequence[ExtensionRecord], *, dry_run: bool = False
    ) -> bool:
        """Overwrite data extensions, which must have been read; return whether any changes.

        Raises `RecordRejected` if the guest would exceed a limit. `dry_run` only checks.
        """
        state = self._guests[ref]
        stored = state.extensions if state.extensions is not None else {}
        after = check_groups(stored, list(records))
        different = {
            where: after[where]
            for where in ((group.name, group.key) for group in records)
            if stored.get(where) != after[where]
        }
        if not dry_run:
            state.extensions = after
            state.new_extensions |= different
        return bool(different)

    def add_join(self, ref: UUID, decision: Decision, source: RecordSource | None = None) -> None:
        """Add the join of a record to a guest, with its reason, and the evidence guards blocked."""
        source = source or self._source
        tail = (source.name, source.ref, self.work.actor, self.now)
        self._joins.append((ref, decision.rule, Json(decision.evidence), *tail))
        for blocked in decision.blocked:
            head = (blocked.rule, blocked.reason, Json(blocked.evidence), [ref])
            self._guarded.append((*head, *tail))

    async def flush(self) -> None:
        """Write all guests, keys, extensions and joins, and empty the batch."""
        tables = self.tables
        new = [state for state in self._guests.values() if state.stored is None]
        if new:
            await tables.copy_in("guest_writes.copy_guests", (_row(state.visible) for state in new))
            pairs = ((key, state.visible["ref"]) for state in new for key in state.keys)
            await tables.copy_in("guest_writes.copy_keys", pairs)
            self.changes.add_created(state.visible["ref"] for state in new)
        await self._rewrite([state for state in self._guests.values() if state.changed])
        await self._flush_extensions()
        if self._joins:
            await tables.copy_in("guest_writes.copy_joins", self._joins)
        if self._guarded:
            await tables.copy_in("guest_writes.copy_guarded", self._guarded)
        self.clear()

    def exclude(self, root: UUID) -> None:
        """Exclude a guest, about to be deleted, and the guests merged into it from matching."""
        excluded = {
            ref
            for ref, state in self._guests.items()
            if ref == root or (state.stored is not None and state.stored["survivor_ref"] == root)
        }
        for owners in self._owners.values():
            owners[:] = [ref for ref in owners if ref not in excluded]

    def clear(self) -> None:
        """Empty the batch without writing."""
        self._guests.clear()
        self._owners.clear()
        self._joins.clear()
        self._guarded.clear()

    async def _rewrite(self, changed: list[GuestState]) -> None:
        """Write the changed fields and keys of stored guests."""
        states = [state for state in changed if state.stored is not None]
        if not states:
            return
        guests = [state.visible for state in states]
        await self.changes.record_guests([guest["ref"] for guest in guests])
        await self.tables.run(
            "guest_writes.rewrite",
            refs=[guest["ref"] for guest in guests],
            types=[guest["guest_type"] for guest in guests],
            bodies=[Json(ledger.body_members(guest)) for guest in guests],
            first=[guest["first_seen"] for guest in guests],
            last=[guest["last_seen"] for guest in guests],
            modified=[guest["modified_at"] for guest in guests],
        )
        removed, added = [], []
        for state in states:
            assert state.stored is not None  # noqa: S101 - selected above
            ref, before, after = state.visible["ref"], self._keys_of(state.stored), state.keys
            if before != after:
                removed += [(key, ref) for key in before if key not in after]
                added += [(key, ref) for key in after if key not in before]
        for query, pairs in (("delete_keys", removed), ("add_keys", added)):
            if pairs:
                keys, refs = map(list, zip(*pairs, strict=True))
                await self.tables.run(f"guest_writes.{query}", keys=keys, refs=refs)

    async def _flush_extensions(self) -> None:
        """Write data extensions: those of new guests by COPY, others by upsert."""
        of_new: list[tuple[Any, ...]] = []
        others: list[tuple[Any, ...]] = []
        for state in self._guests.values():
            ref = state.visible["ref"]
            for (name, key), content in state.new_extensions.items():
                row = (ref, name, key, extension_ref(ref, name, key), Json(content))
                (of_new if state.stored is None else others).append(row)
        if of_new:
            rows = ((*row, self.now, self.now) for row in of_new)
            await self.tables.copy_in("guest_writes.copy_extensions", rows)
        if others:
            await self.changes.record_extensions("guest", (row[:3] for row in others))
            guests, names, keys, refs, pairs = map(list, zip(*others, strict=True))
            await self.tables.run(
                "guest_writes.put_extensions",
                guests=guests,
                names=names,
                keys=keys,
                refs=refs,
                pairs=pairs,
                now=self.now,
            )

    async def _write_group(self, ref: UUID, state: GuestState, change: Intent) -> None:
        """Write to a guest of a merged group through the ledger, then read its new state."""
        assert state.stored is not None  # noqa: S101 - a new guest is in no group
        root = state.stored["survivor_ref"]
        if self._source.is_recorded:
            _, path = await ledger.lock_path(self.work, ref, root)
            await self.changes.record_guests([row["ref"] for row in path])
        await ledger.write_group(self.work, ref, change, root=root)
        first_seen = (change.get("changes") or {}).get("first_seen")
        if first_seen is not None:
            moment = instant(first_seen)
            await self.work.run("guest_writes.first_seen", ref=ref, first_seen=moment)
        for row in await self.tables.all("guest_writes.read", refs=[ref]):
            state.stored, state.visible = row, ledger.visible_record(row)
            self._index_keys(ref, self._keys_of(row))

    def _unmerged(self, state: GuestState) -> Record:
        """Return the guest that matching uses: its state without any merge."""
        if state.is_merged and state.stored is not None:
            return ledger.unmerged_record(state.stored)
        return state.visible

    def _keys_of(self, row: Row) -> list[UUID]:
        """Return the identity keys of a stored guest without merges."""
        record = ledger.unmerged_record(row)
        return guest_keys(record, self.book.keys(record) if self._indexes else ())

    def _index_keys(self, ref: UUID, keys: Iterable[UUID]) -> None:
        """Add a guest to the owners of keys."""
        for key in keys:
            owners = self._owners[key]
            if ref not in owners:
                owners.append(ref)


_GUEST_TIMES: Final = ("first_seen", "last_seen")


def _row(guest: Record) -> tuple[Any, ...]:
    """Return a new guest as a row of `copy_guests`."""
    return (
        guest["ref"],
        guest["guest_type"],
        Json(ledger.body_members(guest)),
        guest["first_seen"],
        guest["last_seen"],
        guest["created_at"],
        guest["modified_at"],
    )
