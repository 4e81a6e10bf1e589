"""The orders of a chunk of records: found together, changed one by one, written together."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from innkeeper.actions.bulk.guest_batch import GuestBatch
from innkeeper.actions.records.extensions import extension_ref
from innkeeper.actions.records.orders import COLUMNS
from innkeeper.refs import new_ref
from innkeeper.resources.base import Changes, Record
from innkeeper.resources.values import instant
from innkeeper.rules.batch import ExtensionRecord, ItemRecord
from innkeeper.rules.identity_keys import in_order, lock_of, reference_key
from innkeeper.rules.order_lines import line_of, match_lines
from innkeeper.rules.orders import one_order
from innkeeper.store.work import Json, Row

Body = dict[str, Any]
_PEOPLE: Final = {"contacts": "order_people.contacts", "consumers": "order_people.consumers"}


@dataclass(slots=True)
class OrderPart:
    """An item, contact or consumer of an order: a new one, or one that may change."""

    ref: UUID
    body: Body
    fresh: bool
    guest: UUID | None = None
    """Who a contact or consumer is, as recorded; `root` is who stands for it."""
    root: UUID | None = None
    changed: bool = False
    ordered_at: datetime | None = None
    groups: dict[tuple[str, str], Body] = field(default_factory=dict)
    """Data extensions of an item, by name and key."""
    file: UUID | None = None
    """The import whose rows an item was last matched by, or made of."""
    marked: bool = False
    uses: list[UUID] = field(default_factory=list)


@dataclass(slots=True)
class OrderState:
    """An order of the chunk, stored before or new."""

    ref: UUID
    reference_id: str
    ordered_at: datetime
    body: Body
    created_at: datetime
    fresh: bool
    changed: bool = False
    items: list[OrderPart] = field(default_factory=list)
    contacts: list[OrderPart] = field(default_factory=list)
    consumers: list[OrderPart] = field(default_factory=list)


class OrderBatch:
    """Call `gather`, then `place` and add pieces, then `flush`, in one transaction."""

    def __init__(self, guest_batch: GuestBatch) -> None:
        self._crowd = guest_batch
        self._work = guest_batch.work
        self._keys: dict[str, UUID] = {}
        self._orders: dict[str, list[OrderState]] = defaultdict(list)
        self._groups: dict[tuple[UUID, str, str], Body] = {}
        self._item_groups: dict[tuple[UUID, str, str], Body] = {}
        self._stored_groups: dict[tuple[UUID, str, str], Body] = {}

    async def gather(self, references: Iterable[str]) -> None:
        """Lock referenceIds, and read the orders that have them with their parts."""
        self._keys = {name: reference_key(name) for name in references}
        keys = in_order({*self._keys.values()})
        if self._crowd.rehearses:
            rows = await self._work.all("rehearsal.find_orders", keys=keys)
        else:
            locks = [lock_of(key) for key in keys]
            _, rows = await self._work.in_turn(
                ("order_writes.lock_references", {"locks": locks}),
                ("order_writes.find", {"keys": keys}),
            )
        found: dict[UUID, OrderState] = {}
        for row in rows:
            placed = OrderState(**{k: row[k] for k in _READ}, fresh=False)
            found[row["ref"]] = placed
            self._orders[row["reference_id"]].append(placed)
        if found:
            await self._read_parts(found)

    def find(self, changes: Changes) -> OrderState | None:
        """The order that a record is about, the nearest of its referenceId within two days
        (O-1 to O-3); None for a new one."""
        ordered_at = instant(changes["ordered_at"])
        known = self._orders[changes["reference_id"]]
        near = [placed for placed in known if one_order(placed.ordered_at, ordered_at)]
        if not near:
            return None
        return min(near, key=lambda one: (abs(one.ordered_at - ordered_at), one.created_at))

    def put_order(self, changes: Changes, placed: OrderState | None) -> OrderState:
        """The order that a record is about, `placed` as `find` found it, changed by it; or new."""
        told = {name: value for name, value in changes.items() if name not in COLUMNS}
        if placed is None:
            reference_id, moment = changes["reference_id"], instant(changes["ordered_at"])
            body, now = _present(told), self._crowd.now
            placed = OrderState(new_ref(), reference_id, moment, body, now, fresh=True)
            self._orders[reference_id].append(placed)
            return placed
        body = _present({**placed.body, **told})
        if body != placed.body:
            placed.body, placed.changed = body, True
        return placed

    def put_items(
        self, order: OrderState, items: Sequence[ItemRecord], *, is_row: bool
    ) -> tuple[list[OrderPart], bool]:
        """The items that lines of an order are, in order, and whether that changes anything.

        `is_row`: the message is the file, of which this is one row, so that an item is matched by
        one row of it only.
        """
        file = (self._crowd.source.ref or _UNNAMED) if is_row else None
        before = [one for one in order.items if file is None or one.file != file]
        stored = [
            line_of(one.body, one.ordered_at or order.ordered_at, one.groups) for one in before
        ]
        sent = [line_of(each.changes, order.ordered_at, each.extensions) for each in items]
        pieces, changed = [], False
        for item, position in zip(items, match_lines(stored, sent), strict=True):
            if position is None:
                piece = OrderPart(new_ref(), {}, fresh=True)
                order.items.append(piece)
            else:
                piece = before[position]
            changed |= self._put_item(order, piece, item)
            if file is not None:
                piece.file, piece.marked = file, True
            pieces.append(piece)
        return pieces, changed

    def _put_item(self, order: OrderState, piece: OrderPart, item: ItemRecord) -> bool:
        """Make a piece what a line says; whether that changes it."""
        told = item.changes.get("ordered_at")
        moment = instant(told) if told else piece.ordered_at or order.ordered_at
        body = {name: value for name, value in item.changes.items() if name != "ordered_at"}
        changed = (piece.body, piece.ordered_at) != (body, moment)
        piece.body, piece.ordered_at = body, moment
        piece.changed |= changed
        for where, pairs in item.extensions.items():
            if piece.groups.get(where) != pairs:
                piece.groups[where] = pairs
                self._item_groups[(piece.ref, *where)] = pairs
                changed = True
        return changed

    def put_group(self, order: OrderState, group: ExtensionRecord | None) -> bool:
        """Overwrite the data extension of an order; whether that changes it."""
        if group is None:
            return False
        where = (order.ref, group.name, group.key)
        if self._groups.get(where, self._stored_groups.get(where)) == group.pairs:
            return False
        self._groups[where] = group.pairs
        return True

    async def flush(self) -> None:
        """Write everything. The guests of contacts and consumers must have been written."""
        every = [placed for several in self._orders.values() for placed in several]
        if self._crowd.rehearses:
            await self._rehearse([placed for placed in every if placed.fresh or placed.changed])
            return
        await self._copy("orders", (self._order_row(one) for one in every if one.fresh))
        await self._rewrite("orders", [one for one in every if one.changed and not one.fresh])
        await self._mark_items([piece for one in every for piece in one.items if piece.marked])
        for name in ("items", "contacts", "consumers"):
            pieces = [
                (one.ref, at, piece) for one in every for at, piece in enumerate(getattr(one, name))
            ]
            rows = (self._piece_row(name, *piece) for piece in pieces if piece[2].fresh)
            await self._copy(name, rows)
            changed = [piece for *_, piece in pieces if piece.changed and not piece.fresh]
            await self._rewrite(name, changed)
        consumers = [piece for one in every for piece in one.consumers if piece.fresh]
        uses = [(c.ref, item, at) for c in consumers for at, item in enumerate(c.uses, 1)]
        await self._copy("uses", uses)
        fresh = {one.ref for one in every if one.fresh}
        new = {where: pairs for where, pairs in self._groups.items() if where[0] in fresh}
        await self._copy("extensions", (self._group_row(*group) for group in new.items()))
        self._groups = {w: pairs for w, pairs in self._groups.items() if w[0] not in fresh}
        await self._put("put_extensions", self._groups)
        await self._put("put_item_extensions", self._item_groups)

    async def _rehearse(self, orders: Sequence[OrderState]) -> None:
        await self._work.run(
            "rehearsal.put_orders",
            refs=[one.ref for one in orders],
            ids=[one.reference_id for one in orders],
            keys=[self._keys[one.reference_id] for one in orders],
            times=[one.ordered_at for one in orders],
            bodies=[Json(one.body) for one in orders],
            created=[one.created_at for one in orders],
            now=self._crowd.now,
        )

    async def _read_parts(self, found: Mapping[UUID, OrderState]) -> None:
        refs = list(found)
        items: dict[UUID, OrderPart] = {}
        for row in await self._work.all("order_writes.items", orders=refs):
            piece = OrderPart(row["ref"], row["body"], fresh=False, ordered_at=row["ordered_at"])
            piece.file = row["import_ref"]
            found[row["order_ref"]].items.append(piece)
            items[piece.ref] = piece
        for row in await self._work.all("order_writes.item_extensions", orders=refs):
            items[row["order_item_ref"]].groups[row["name"], row["key"]] = row["pairs"]
        for name, table in _PEOPLE.items():
            parts = {"table": [table]}
            for row in await self._work.all("order_writes.people", parts=parts, orders=refs):
                getattr(found[row["order_ref"]], name).append(_person(row))
        for row in await self._work.all("order_writes.extensions", orders=refs):
            self._stored_groups[row["order_ref"], row["name"], row["key"]] = row["pairs"]

    async def _copy(self, name: str, rows: Iterable[Sequence[Any]]) -> None:
        written = list(rows)
        if written:
            await self._work.copy_in(f"order_writes.copy_{name}", written)

    async def _rewrite(self, name: str, changed: Sequence[OrderState | OrderPart]) -> None:
        if changed:
            times: dict[str, Any] = {}
            if name == "items":
                times["times"] = [one.ordered_at for one in changed]
            await self._work.run(
                f"order_writes.rewrite_{name}",
                refs=[one.ref for one in changed],
                bodies=[Json(one.body) for one in changed],
                now=self._crowd.now,
                **times,
            )

    async def _mark_items(self, marked: Sequence[OrderPart]) -> None:
        """Note which stored items a row of this import was: no other row of it is one of them."""
        refs = [one.ref for one in marked if not one.fresh]
        if refs:
            await self._work.run(
                "order_writes.mark_items", refs=refs, source=self._crowd.source.ref
            )

    async def _put(self, query: str, groups: Mapping[tuple[UUID, str, str], Body]) -> None:
        if groups:
            await self._work.run(
                f"order_writes.{query}",
                parents=[parent for parent, _, _ in groups],
                names=[name for _, name, _ in groups],
                keys=[key for _, _, key in groups],
                refs=[extension_ref(*where) for where in groups],
                pairs=[Json(pairs) for pairs in groups.values()],
                now=self._crowd.now,
            )

    def _order_row(self, one: OrderState) -> tuple[Any, ...]:
        now, key = self._crowd.now, self._keys[one.reference_id]
        return (one.ref, one.reference_id, key, one.ordered_at, Json(one.body), now, now)

    def _group_row(self, where: tuple[UUID, str, str], pairs: Body) -> tuple[Any, ...]:
        now = self._crowd.now
        return (*where, extension_ref(*where), Json(pairs), now, now)

    def _piece_row(self, name: str, order: UUID, at: int, piece: OrderPart) -> tuple[Any, ...]:
        second = piece.ordered_at if name == "items" else piece.guest
        # Lists are by age (L-10): this keeps the order of the record.
        now = self._crowd.now + timedelta(milliseconds=at)
        row = (piece.ref, order, second, Json(piece.body), now, now)
        return (*row, piece.file) if name == "items" else row


_UNNAMED: Final = UUID(int=0)
"""A rehearsal, which has no ref."""
_READ: Final = ("ref", "reference_id", "ordered_at", "body", "created_at")


def _person(row: Row) -> OrderPart:
    return OrderPart(
        row["ref"], row["body"], fresh=False, guest=row["guest_ref"], root=row["root_ref"]
    )


def _present(members: Mapping[str, Any]) -> Record:
    return {name: value for name, value in members.items() if value is not None}
