"""Contacts and consumers of orders: each matches or creates a guest (rest-v2.1.md 7, 8)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID, uuid4

from innkeeper.actions.identity import ledger
from innkeeper.actions.identity.resolve import attach, attach_directly, attach_event_consumer
from innkeeper.actions.paging import flat
from innkeeper.actions.privacy import block_list
from innkeeper.actions.records.children import Children
from innkeeper.errors import Invalid, Unknown
from innkeeper.resources.base import Changes, Record, without_nulls
from innkeeper.resources.naming import field_problem
from innkeeper.resources.orders import Order, OrderConsumer, OrderContact
from innkeeper.resources.values import NOT_VALID
from innkeeper.rules.attachment import SOURCES, Role
from innkeeper.rules.orders import Show, check_identifiable, has_new_evidence, person_of
from innkeeper.store.work import Json, Row, Work


@dataclass(frozen=True)
class People(Children):
    """The operations on one kind of person."""

    role: Role
    read_columns = frozenset({"recorded_ref"})

    async def create(self, work: Work, changes: Changes, **parent: UUID) -> Record:
        """Create a person on an order, with its guest; raises `Unknown`, `Invalid` (P-1).

        Raises `Forbidden` for a person on the block list.
        """
        order = parent["order"]
        check_identifiable(changes)
        await block_list.refuse_blocked(work, changes)
        if not (changes.get("guest_ref") or changes.get("order_items")):
            created = await self._create_directly(work, order, changes)
            if created is not None:
                return created
        async with work.transaction():
            if changes.get("order_items"):
                await self.lock_parent(work, order)
                await self._check_items(work, order, changes)
            guest = await self._attach(work, order, changes)
            return await self._insert(work, order, guest, changes)

    async def ensure_person(self, work: Work, order: UUID, guest: Row) -> None:
        """Make a guest a contact of an order, unless it is one (O-10, N-19, N-21).

        `guest` is its row. The contact has the guest's own fields, not those of guests merged into
        it: it remains when a merge is undone. Call it in a transaction.
        """
        if await work.one("order_contacts.is_contact", order=order, guest=guest["ref"]) is None:
            person = person_of(ledger.unmerged_record(guest))
            attached = await attach(
                work, person, role="contact", order=order, named_guest=guest["ref"]
            )
            await self._insert(work, order, attached, person)

    async def create_from_event(self, work: Work, order: UUID, changes: Changes) -> None:
        """Create the consumer that an event names, without identity rules (stream-api.md 4.2).

        Raises `Invalid` (P-1, P-6). Call it in a transaction.
        """
        check_identifiable(changes)
        await self._check_items(work, order, changes)
        contacts = await _contacts(work, order)
        await self._insert(
            work, order, await attach_event_consumer(work, changes, order, contacts), changes
        )

    async def create_for_guest(self, work: Work, order: UUID, guest: UUID, person: Changes) -> None:
        """Create a person on an order for a guest, which does not change and may be absorbed.

        For events: their browser determines the guest.
        """
        note = {"rule": None, "evidence": Json([]), "source": SOURCES[self.role]}
        created = _new(work, order, person)
        await self._store(work, created, guest, person, {**note, "actor": work.actor})

    async def replace(
        self, work: Work, changes: Changes, preserved: Mapping[str, Show] | None = None, **ref: UUID
    ) -> Record:
        """PUT: replace the person's fields, except `preserved` ones (P-5).

        The guest changes only if the evidence changes. Raises `Unknown` and `Invalid`.
        """
        check_identifiable(changes)
        return await super().replace(work, changes, preserved, **ref)

    def defaults(self, _: Record) -> Changes:
        """No items."""
        return {"order_items": []} if "order_items" in self.resource.fields else {}

    async def _create_directly(self, work: Work, order: UUID, person: Changes) -> Record | None:
        """Create a person by the fast path of `attach_directly`; None if that does not apply."""
        created = _new(work, order, person)
        attached = await attach_directly(
            work,
            person,
            role=self.role,
            order=order,
            ref=created["ref"],
            record=self.body(person),
            now=created["created_at"],
        )
        if attached is None:
            return None
        if attached.note is None:
            return {**created, "guest_ref": attached.guest}
        return await self._store(work, created, attached.guest, person, attached.note)

    async def _insert(self, work: Work, order: UUID, guest: UUID, person: Changes) -> Record:
        return await self._store(work, _new(work, order, person), guest, person)

    async def _store(
        self,
        work: Work,
        created: Record,
        guest: UUID,
        person: Changes,
        note: Mapping[str, Any] | None = None,
    ) -> Record:
        """Store a person and, with `note`, the join of the record; raises `Unknown`."""
        survivor = await work.one(
            f"{self.table}.create",
            parts={"joined": [f"{self.table}.insert_join"]} if note else {},
            ref=created["ref"],
            parent=created["order_ref"],
            guest=guest,
            body=self.body(person),
            items=[UUID(item) for item in person.get("order_items") or ()],
            now=created["created_at"],
            **(note or {}),
        )
        if survivor is None:
            raise Unknown(Order.singular, created["order_ref"])
        return {**created, **survivor}

    async def write(self, work: Work, stored: Record, changes: Changes, after: Record) -> Record:
        """Store a locked person, with its guest; raises `Invalid`."""
        await self._check_items(work, stored["order_ref"], changes)
        guest = await self._guest_after(work, stored, changes)
        survivor = await work.one(
            f"{self.table}.rewrite",
            ref=stored["ref"],
            guest=guest,
            body=self.body(after),
            now=after["modified_at"],
        )
        if "order_items" in changes:
            items = [UUID(item) for item in changes["order_items"] or ()]
            await work.run("order_consumers.delete_items", ref=stored["ref"])
            await work.run("order_consumers.use_items", ref=stored["ref"], items=items)
        return survivor or {}

    async def _guest_after(self, work: Work, stored: Record, changes: Changes) -> UUID:
        """Return the guest to store after a change: another one only if evidence changed (P-5)."""
        recorded: UUID = stored["recorded_ref"]
        named = changes.get("guest_ref")
        is_other = named is not None and UUID(named) != stored["guest_ref"]
        after = {**stored, "guest_ref": None, **changes}
        if not is_other and not has_new_evidence(stored, after):
            return recorded
        return await self._attach(work, stored["order_ref"], after)

    async def _attach(self, work: Work, order: UUID, person: Changes) -> UUID:
        """Match or create the guest of a person and return it; raises `Invalid` (P-6)."""
        named = person.get("guest_ref")
        contacts: list[Record] = []
        if self.role == "consumer" and named is None:
            contacts = await _contacts(work, order)
        return await attach(
            work,
            person,
            role=self.role,
            order=order,
            named_guest=UUID(named) if named else None,
            order_contacts=contacts,
        )

    async def _check_items(self, work: Work, order: UUID, changes: Changes) -> None:
        """Raise `Invalid` for items that do not exist or belong to another order (P-6)."""
        items = [UUID(item) for item in changes.get("order_items") or ()]
        if not items:
            return
        rows = await work.all("order_consumers.items_of_order", items=items, order=order)
        stored = {row["ref"] for row in rows}
        problems = [
            field_problem(f"order_items.items[{index}].href", NOT_VALID)
            for index, item in enumerate(items)
            if item not in stored
        ]
        if problems:
            raise Invalid(*problems)


CONTACTS: Final = People(OrderContact, "contact")
CONSUMERS: Final = People(OrderConsumer, "consumer")


def _new(work: Work, order: UUID, person: Changes) -> Record:
    """Return the record of a new person on an order, without its guest."""
    now = work.stamp()
    return {
        **without_nulls(person),
        "ref": uuid4(),
        "order_ref": order,
        "created_at": now,
        "modified_at": now,
    }


async def _contacts(work: Work, order: UUID) -> list[Record]:
    """Return the contacts of an order, with the guests as stored."""
    return [flat(row) for row in await work.all("order_contacts.contacts_of", order=order)]
