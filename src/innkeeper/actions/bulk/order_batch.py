"""Match and write the orders of one chunk: read together, changed one by one, written together."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import msgspec

from innkeeper.actions.bulk.guest_batch import GuestBatch
from innkeeper.actions.records.extensions import extension_ref
from innkeeper.refs import new_ref
from innkeeper.resources.base import Changes, Record, Resource, without_nulls
from innkeeper.resources.orders import PLAIN_CHILDREN
from innkeeper.resources.values import instant
from innkeeper.rules.batch import ExtensionRecord, ItemRecord
from innkeeper.rules.identity_keys import in_order, lock_of, reference_key
from innkeeper.rules.order_lines import line_of, match_lines
from innkeeper.rules.orders import COLUMNS, one_order
from innkeeper.store.work import Json, Row

Body = dict[str, Any]
_encode: Final = msgspec.json.Encoder(decimal_format="number", order="sorted").encode
_PEOPLE: Final = {"contacts": "order_contacts.table", "consumers": "order_consumers.table"}


@dataclass(slots=True)
class OrderPart:
    """An item, contact or consumer of an order: a new one, or one that may change."""

    ref: UUID
    body: Body
    is_new: bool
    guest: UUID | None = None
    """The guest of a contact or consumer as stored: it may be an absorbed guest."""
    changed: bool = False
    ordered_at: datetime | None = None
    extensions: dict[tuple[str, str], Body] = field(default_factory=dict)
    """Data extensions of an item, by name and key."""
    file: UUID | None = None
    """The import whose row last matched or created the item."""
    marked: bool = False
    uses: list[UUID] = field(default_factory=list)


@dataclass(slots=True)
class OrderState:
    """An order of the chunk, stored or new."""

    ref: UUID
    reference_id: str
    ordered_at: datetime
    body: Body
    created_at: datetime
    is_new: bool
    changed: bool = False
    items: list[OrderPart] = field(default_factory=list)
    contacts: list[OrderPart] = field(default_factory=list)
    consumers: list[OrderPart] = field(default_factory=list)
    children: Counter[tuple[str, bytes]] = field(default_factory=Counter)
    """(table, body as JSON) of children that need nothing but their declaration -> number."""
    new_children: list[tuple[str, Body]] = field(default_factory=list)


class OrderBatch:
    """The orders of one chunk: call `gather`, then `find` and the `put_` methods, then `flush`.

    All in one transaction.
    """

    def __init__(self, guest_batch: GuestBatch) -> None:
        self._guest_batch = guest_batch
        self._work = guest_batch.tables
        self._keys: dict[str, UUID] = {}
        self._orders: dict[str, list[OrderState]] = defaultdict(list)
        self._extensions: dict[tuple[UUID, str, str], Body] = {}
        self._item_extensions: dict[tuple[UUID, str, str], Body] = {}
        self._stored_extensions: dict[tuple[UUID, str, str], Body] = {}

    async def gather(self, references: Iterable[str]) -> None:
        """Lock referenceIds, and read their orders with all parts."""
        self._keys = {name: reference_key(name) for name in references}
        keys = in_order({*self._keys.values()})
        find = ("order_writes.find", {"keys": keys})
        if self._guest_batch.dry_run:
            people = await self._guest_batch.work.all("dry_run.copy_orders", keys=keys)
            for child in PLAIN_CHILDREN:
                await self._guest_batch.work.run(f"{child.table}.copy_for_dry_run", keys=keys)
            await self._guest_batch.copy_guests(row["guest_ref"] for row in people)
            (rows,) = await self._work.in_turn(find)
        else:
            locks = ("order_writes.lock_references", {"locks": [lock_of(key) for key in keys]})
            _, rows = await self._work.in_turn(locks, find)
        states: dict[UUID, OrderState] = {}
        for row in rows:
            state = OrderState(**{k: row[k] for k in _READ}, is_new=False)
            states[row["ref"]] = state
            self._orders[row["reference_id"]].append(state)
        if states:
            await self._read_parts(states)

    def find(self, changes: Changes) -> OrderState | None:
        """Return the order that a record matches; None for a new one (O-1 to O-3).

        It is the order with the same referenceId and the nearest `orderedAt` within two days.
        """
        ordered_at = instant(changes["ordered_at"])
        states = self._orders[changes["reference_id"]]
        near = [state for state in states if one_order(state.ordered_at, ordered_at)]
        if not near:
            return None
        return min(near, key=lambda one: (abs(one.ordered_at - ordered_at), one.created_at))

    def put_order(self, changes: Changes, state: OrderState | None) -> OrderState:
        """Apply an order's fields to `state`, which `find` returned; None creates the order."""
        fields = {name: value for name, value in changes.items() if name not in COLUMNS}
        if state is None:
            reference_id, moment = changes["reference_id"], instant(changes["ordered_at"])
            body, now = without_nulls(fields), self._guest_batch.now
            state = OrderState(new_ref(), reference_id, moment, body, now, is_new=True)
            self._orders[reference_id].append(state)
            return state
        body = without_nulls({**state.body, **fields})
        if body != state.body:
            state.body, state.changed = body, True
        return state

    def put_items(
        self, order: OrderState, items: Sequence[ItemRecord], *, is_row: bool
    ) -> tuple[list[OrderPart], bool]:
        """Match or create the items of order lines; return them in order, and whether any changes.

        `is_row`: the record is one row of a file, and other rows of it hold other lines of the
        order. So each stored item matches one row of a file only.
        """
        file = self._guest_batch.source.ref if is_row else None
        candidates = [one for one in order.items if file is None or one.file != file]
        stored_lines = [
            line_of(one.body, one.ordered_at or order.ordered_at, one.extensions)
            for one in candidates
        ]
        record_lines = [line_of(each.changes, order.ordered_at, each.extensions) for each in items]
        parts, changed = [], False
        for item, position in zip(items, match_lines(stored_lines, record_lines), strict=True):
            if position is None:
                part = OrderPart(new_ref(), {}, is_new=True)
                order.items.append(part)
            else:
                part = candidates[position]
            changed |= self._put_item(order, part, item)
            if file is not None:
                part.file, part.marked = file, True
            parts.append(part)
        return parts, changed

    def _put_item(self, order: OrderState, part: OrderPart, item: ItemRecord) -> bool:
        """Write the fields of a line to an item; return whether that changes it."""
        ordered_at = item.changes.get("ordered_at")
        moment = instant(ordered_at) if ordered_at else part.ordered_at or order.ordered_at
        body = {name: value for name, value in item.changes.items() if name != "ordered_at"}
        changed = (part.body, part.ordered_at) != (body, moment)
        part.body, part.ordered_at = body, moment
        part.changed |= changed
        for where, pairs in item.extensions.items():
            if part.extensions.get(where) != pairs:
                part.extensions[where] = pairs
                self._item_extensions[(part.ref, *where)] = pairs
                changed = True
        return changed

    def put_extension(self, order: OrderState, group: ExtensionRecord | None) -> bool:
        """Overwrite a data extension of an order; return whether that changes it."""
        if group is None:
            return False
        where = (order.ref, group.name, group.key)
        if self._extensions.get(where, self._stored_extensions.get(where)) == group.pairs:
            return False
        self._extensions[where] = group.pairs
        return True

    def put_children(
        self, order: OrderState, children: Mapping[type[Resource], Sequence[Record]]
    ) -> bool:
        """Add the children that an order does not have with the same fields; return whether any."""
        before = len(order.new_children)
        for kind, bodies in children.items():
            each = Counter[tuple[str, bytes]]()
            for body in bodies:
                key = (kind.table, _encode(body))
                each[key] += 1
                if each[key] > order.children[key]:
                    order.children[key] += 1
                    order.new_children.append((kind.table, body))
        return len(order.new_children) > before

    async def flush(self) -> None:
        """Write all orders and parts. The guests of contacts and consumers must be stored."""
        states = [state for several in self._orders.values() for state in several]
        changes = self._guest_batch.changes
        await changes.record_orders(states, self._extensions, self._item_extensions)
        await self._copy("orders", (self._order_row(one) for one in states if one.is_new))
        await self._rewrite("orders", [one for one in states if one.changed and not one.is_new])
        await self._mark_items([part for one in states for part in one.items if part.marked])
        for name in ("items", "contacts", "consumers"):
            parts = [
                (one.ref, at, part) for one in states for at, part in enumerate(getattr(one, name))
            ]
            rows = (self._part_row(name, *part) for part in parts if part[2].is_new)
            await self._copy(name, rows)
            changed = [part for *_, part in parts if part.changed and not part.is_new]
            await self._rewrite(name, changed)
        for child in PLAIN_CHILDREN:
            await self._insert_children(child.table, states)
        consumers = [part for one in states for part in one.consumers if part.is_new]
        uses = [(c.ref, item, at) for c in consumers for at, item in enumerate(c.uses, 1)]
        await self._copy("uses", uses)
        new_refs = {one.ref for one in states if one.is_new}
        of_new = {where: pairs for where, pairs in self._extensions.items() if where[0] in new_refs}
        await self._copy("extensions", (self._extension_row(*group) for group in of_new.items()))
        self._extensions = {
            w: pairs for w, pairs in self._extensions.items() if w[0] not in new_refs
        }
        await self._put("put_extensions", self._extensions)
        await self._put("put_item_extensions", self._item_extensions)

    async def _read_parts(self, states: Mapping[UUID, OrderState]) -> None:
        """Read the items, contacts, consumers and data extensions of stored orders."""
        refs = list(states)
        items: dict[UUID, OrderPart] = {}
        for row in await self._work.all("order_writes.items", orders=refs):
            part = OrderPart(row["ref"], row["body"], is_new=False, ordered_at=row["ordered_at"])
            part.file = row["import_ref"]
            states[row["order_ref"]].items.append(part)
            items[part.ref] = part
        for row in await self._work.all("order_writes.item_extensions", orders=refs):
            items[row["order_item_ref"]].extensions[row["name"], row["key"]] = row["pairs"]
        for name, table in _PEOPLE.items():
            parts = {"table": [table]}
            for row in await self._work.all("order_writes.people", parts=parts, orders=refs):
                getattr(states[row["order_ref"]], name).append(_person(row))
        for child in PLAIN_CHILDREN:
            for row in await self._work.all(f"{child.table}.of_many", parents=refs):
                states[row["order_ref"]].children[child.table, _encode(row["body"])] += 1
        for row in await self._work.all("order_writes.extensions", orders=refs):
            self._stored_extensions[row["order_ref"], row["name"], row["key"]] = row["pairs"]

    async def _insert_children(self, table: str, states: Sequence[OrderState]) -> None:
        """Insert the new children of a table."""
        new = [
            (new_ref(), one, body)
            for one in states
            for name, body in one.new_children
            if name == table
        ]
        if new:
            added = [(ref, one.ref, None) for ref, one, _ in new if not one.is_new]
            await self._guest_batch.changes.record_parts(table, added)
            await self._work.run(
                f"{table}.insert_many",
                refs=[ref for ref, _, _ in new],
                parents=[one.ref for _, one, _ in new],
                bodies=[Json(body) for _, _, body in new],
                now=self._guest_batch.now,
            )

    async def _copy(self, name: str, rows: Iterable[Sequence[Any]]) -> None:
        """Insert new rows by the query `order_writes.copy_{name}`."""
        written = list(rows)
        if written:
            await self._work.copy_in(f"order_writes.copy_{name}", written)

    async def _rewrite(self, name: str, changed: Sequence[OrderState | OrderPart]) -> None:
        """Write changed rows by the query `order_writes.rewrite_{name}`."""
        if changed:
            times: dict[str, Any] = {}
            if name == "items":
                times["times"] = [one.ordered_at for one in changed]
            await self._work.run(
                f"order_writes.rewrite_{name}",
                refs=[one.ref for one in changed],
                bodies=[Json(one.body) for one in changed],
                now=self._guest_batch.now,
                **times,
            )

    async def _mark_items(self, marked: Sequence[OrderPart]) -> None:
        """Mark stored items as matched by this import, so that no other row of it matches them."""
        refs = [one.ref for one in marked if not one.is_new]
        if refs:
            await self._work.run(
                "order_writes.mark_items", refs=refs, source=self._guest_batch.source.ref
            )

    async def _put(self, query: str, extensions: Mapping[tuple[UUID, str, str], Body]) -> None:
        """Write data extensions by a query of `order_writes`."""
        if extensions:
            await self._work.run(
                f"order_writes.{query}",
                parents=[parent for parent, _, _ in extensions],
                names=[name for _, name, _ in extensions],
                keys=[key for _, _, key in extensions],
                refs=[extension_ref(*where) for where in extensions],
                pairs=[Json(pairs) for pairs in extensions.values()],
                now=self._guest_batch.now,
            )

    def _order_row(self, state: OrderState) -> tuple[Any, ...]:
        """Return a new order as a row of `copy_orders`."""
        now, key = self._guest_batch.now, self._keys[state.reference_id]
        return (state.ref, state.reference_id, key, state.ordered_at, Json(state.body), now, now)

    def _extension_row(self, where: tuple[UUID, str, str], pairs: Body) -> tuple[Any, ...]:
        """Return an order's data extension as a row of `copy_extensions`."""
        now = self._guest_batch.now
        return (*where, extension_ref(*where), Json(pairs), now, now)

    def _part_row(self, name: str, order: UUID, position: int, part: OrderPart) -> tuple[Any, ...]:
        """Return the part at a position of an order as a row of `copy_{name}`."""
        ordered_at_or_guest = part.ordered_at if name == "items" else part.guest
        # Lists are sorted by age (L-10): a millisecond per position preserves the record's order.
        now = self._guest_batch.now
        created_at = now + timedelta(milliseconds=position)
        row = (part.ref, order, ordered_at_or_guest, Json(part.body))
        file = (part.file,) if name == "items" else ()
        return (*row, *file, created_at, now)


_READ: Final = ("ref", "reference_id", "ordered_at", "body", "created_at")


def _person(row: Row) -> OrderPart:
    """Return a stored contact or consumer as a part."""
    return OrderPart(row["ref"], row["body"], is_new=False, guest=row["guest_ref"])
