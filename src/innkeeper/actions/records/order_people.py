"""Contacts and consumers of orders: each matches or creates a guest (rest-v2.1.md 7, 8)."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID, uuid4

from innkeeper import clock
from innkeeper.actions.identity.resolve import (
    SOURCES,
    Role,
    attach,
    attach_directly,
    attach_event_consumer,
)
from innkeeper.actions.paging import Page, PageRequest, flat, read_page
from innkeeper.actions.privacy import block_list
from innkeeper.errors import Invalid, Problem, Unknown
from innkeeper.resources.base import Changes, Record, Resource
from innkeeper.resources.orders import Order, OrderConsumer, OrderContact
from innkeeper.resources.values import NOT_VALID
from innkeeper.rules.orders import (
    Show,
    check_identifiable,
    has_new_evidence,
    person_of,
    replacement,
)
from innkeeper.store.work import Json, Work


@dataclass(frozen=True)
class People:
    """The operations on one kind of person.

    Their `ref` is named `order_contact` or `order_consumer`.
    """

    resource: type[Resource]
    role: Role
    table: str
    items: tuple[str, ...] = ()
    """Query part of the items that such a person uses."""

    async def create(self, work: Work, order: UUID, changes: Changes) -> Record:
        """Create a person on an order, with its guest; raises `Unknown`, `Invalid` (P-1).

        Raises `Forbidden` for a person on the block list.
        """
        check_identifiable(changes)
        await block_list.refuse_blocked(work, changes)
        if not (changes.get("guest_ref") or changes.get("order_items")):
            created = await self._create_directly(work, order, changes)
            if created is not None:
                return created
        async with work.transaction():
            if changes.get("order_items"):
                await _lock_order(work, order)
                await self._check_items(work, order, changes)
            guest = await self._attach(work, order, changes)
            return await self._insert(work, order, guest, changes)

    async def ensure_person(self, work: Work, order: UUID, guest: Record) -> None:
        """Make a guest a contact of an order, unless it is one (O-10, N-19, N-21).

        Call it in a transaction.
        """
        if await work.one("order_people.is_contact", order=order, guest=guest["ref"]) is None:
            person = person_of(guest)
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

    async def fetch(self, work: Work, **ref: UUID) -> Record:
        """Return one person; raises `Unknown`."""
        (person_ref,) = ref.values()
        row = await work.one_batched("order_people.fetch", parts=self._parts(), ref=person_ref)
        if row is None:
            raise Unknown(self.resource.singular, person_ref)
        return flat(row)

    async def list_(self, work: Work, page_request: PageRequest, order: UUID) -> Page:
        """Return a page of an order's people of this kind, oldest first; raises `Unknown`."""
        parts = {**self._parts(), "total": ["order_people.count"]}
        page = await read_page(work, "order_people.list", page_request, parts=parts, order=order)
        if not page.total:
            await _lock_order(work, order)
        return page

    async def of_many(self, work: Work, refs: Iterable[UUID]) -> dict[UUID, list[Record]]:
        """Return the people of several orders, by order."""
        by_order: dict[UUID, list[Record]] = {ref: [] for ref in refs}
        rows = await work.all("order_people.of_many", parts=self._parts(), parents=list(by_order))
        for row in rows:
            by_order[row["order_ref"]].append(flat(row))
        return by_order

    async def replace(
        self, work: Work, changes: Changes, preserved: Mapping[str, Show] | None = None, **ref: UUID
    ) -> Record:
        """PUT: replace the person's fields, except `preserved` ones (P-5).

        The guest changes only if the evidence changes. Raises `Unknown` and `Invalid`.
        """
        check_identifiable(changes)

        def replace_fields(stored: Record) -> Changes:
            person = {name: value for name, value in stored.items() if name not in self._columns}
            whole = replacement(person, changes, preserved or {})
            return {"order_items": [], **whole} if self.items else whole

        return await self._rewrite(work, ref, replace_fields)

    async def patch(self, work: Work, changes: Changes, **ref: UUID) -> Record:
        """PATCH: change only the fields in the request (P-5); raises `Unknown` and `Invalid`."""
        return await self._rewrite(work, ref, lambda _: changes)

    async def delete(self, work: Work, **ref: UUID) -> None:
        """Delete a person from an order; the guest and the order stay (P-4). Raises `Unknown`."""
        (person_ref,) = ref.values()
        if not await work.run("order_people.delete", parts=self._in_table(), ref=person_ref):
            raise Unknown(self.resource.singular, person_ref)

    @property
    def _columns(self) -> frozenset[str]:
        fields = self.resource.fields.items()
        return frozenset({*(n for n, field in fields if field.column), "order_ref", "recorded_ref"})

    def _in_table(self) -> dict[str, Sequence[str]]:
        return {"table": [self.table]}

    def _parts(self) -> dict[str, Sequence[str]]:
        return {"table": [self.table], "columns": ["order_people.columns", *self.items]}

    async def _create_directly(self, work: Work, order: UUID, person: Changes) -> Record | None:
        """Create a person by the fast path of `attach_directly`; None if that does not apply."""
        created = _new(work, order, person)
        attached = await attach_directly(
            work,
            person,
            role=self.role,
            order=order,
            ref=created["ref"],
            record=self._body(person),
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
            "order_people.create",
            parts={**self._in_table(), "join": ["order_people.insert_join"] if note else []},
            ref=created["ref"],
            order=created["order_ref"],
            guest=guest,
            body=self._body(person),
            items=[UUID(item) for item in person.get("order_items") or ()],
            now=created["created_at"],
            **(note or {}),
        )
        if survivor is None:
            raise Unknown(Order.singular, created["order_ref"])
        return {**created, **survivor}

    async def _rewrite(
        self, work: Work, ref: Mapping[str, UUID], change: Callable[[Record], Changes]
    ) -> Record:
        """Store the result of `change` on a person and return the person.

        Raises `Unknown` and `Invalid`.
        """
        (person_ref,) = ref.values()
        async with work.transaction():
            row = await work.one("order_people.lock", parts=self._parts(), ref=person_ref)
            if row is None:
                raise Unknown(self.resource.singular, person_ref)
            stored = flat(row)
            changes = change(stored)
            await self._check_items(work, stored["order_ref"], changes)
            guest = await self._guest_after(work, stored, changes)
            after = {**stored, **changes}
            after["modified_at"] = clock.now()
            survivor = await work.one(
                "order_people.rewrite",
                parts=self._in_table(),
                ref=person_ref,
                guest=guest,
                body=self._body(after),
                now=after["modified_at"],
            )
            if "order_items" in changes:
                items = [UUID(item) for item in changes["order_items"] or ()]
                await work.run("order_people.delete_items", ref=person_ref)
                await work.run("order_people.use_items", ref=person_ref, items=items)
        after |= survivor or {}
        return {name: value for name, value in after.items() if value is not None}

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
        rows = await work.all("order_people.items_of_order", items=items, order=order)
        stored = {row["ref"] for row in rows}
        problems = [
            Problem(f"orderItems.items[{index}].href", NOT_VALID)
            for index, item in enumerate(items)
            if item not in stored
        ]
        if problems:
            raise Invalid(*problems)

    def _body(self, person: Mapping[str, Any]) -> Json:
        columns = self._columns
        return Json(
            {
                name: value
                for name, value in person.items()
                if value is not None and name not in columns
            }
        )


CONTACTS: Final = People(OrderContact, "contact", "order_people.contacts")
CONSUMERS: Final = People(
    OrderConsumer, "consumer", "order_people.consumers", ("order_people.items",)
)


def _new(work: Work, order: UUID, person: Changes) -> Record:
    """Return the record of a new person on an order, without its guest."""
    now = work.stamp()
    return {
        **{name: value for name, value in person.items() if value is not None},
        "ref": uuid4(),
        "order_ref": order,
        "created_at": now,
        "modified_at": now,
    }


async def _contacts(work: Work, order: UUID) -> list[Record]:
    """Return the contacts of an order, with the guests as stored."""
    return [flat(row) for row in await work.all("order_people.contacts_of", order=order)]


async def _lock_order(work: Work, order: UUID) -> None:
    """Lock an order against deletion until the transaction ends; raises `Unknown`."""
    if await work.one("orders.lock_against_deletion", ref=order) is None:
        raise Unknown(Order.singular, order)
