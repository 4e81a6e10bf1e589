"""Contacts and consumers of orders, each of whom finds or makes a guest (rest-v2.1.md 7, 8)."""

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
    """The verbs for one kind of person; `ref` in them is `order_contact` or `order_consumer`."""

    resource: type[Resource]
    role: Role
    table: str
    items: tuple[str, ...] = ()
    """Query of the items such a person uses."""

    async def create(self, work: Work, order: UUID, changes: Changes) -> Record:
        """A person on an order, with the guest who this is; raises `Unknown`, `Invalid` (P-1)."""
        check_identifiable(changes)
        await block_list.refuse_blocked(work, changes)
        if not (changes.get("guest_ref") or changes.get("order_items")):
            quickly = await self._created_quickly(work, order, changes)
            if quickly is not None:
                return quickly
        async with work.transaction():
            if changes.get("order_items"):
                await _hold(work, order)
                await self._check_items(work, order, changes)
            guest = await self._guest(work, order, changes)
            return await self._insert(work, order, guest, changes)

    async def link(self, work: Work, order: UUID, guest: Record) -> None:
        """Make a guest a contact of an order unless it is one (O-10, N-19, N-21).

        Call it in a transaction.
        """
        if await work.one("order_people.is_contact", order=order, guest=guest["ref"]) is None:
            person = person_of(guest)
            given = await attach(
                work, person, role="contact", order=order, named_guest=guest["ref"]
            )
            await self._insert(work, order, given, person)

    async def accompany(self, work: Work, order: UUID, changes: Changes) -> None:
        """Put somebody on an order whom an event tells of as a consumer; identity rules are not run
        for one (stream-api.md 4.2). Raises `Invalid` (P-1, P-6). Call it in a transaction."""
        check_identifiable(changes)
        await self._check_items(work, order, changes)
        contacts = await _contacts(work, order)
        await self._insert(
            work, order, await attach_event_consumer(work, changes, order, contacts), changes
        )

    async def record(self, work: Work, order: UUID, guest: UUID, person: Changes) -> None:
        """Put a known guest on an order as it is, even one that others stand for; the guest
        does not change. Events do so, whose guest their browser names."""
        note = {"rule": None, "evidence": Json([]), "source": SOURCES[self.role]}
        created = _new(work, order, person)
        await self._store(work, created, guest, person, {**note, "actor": work.actor})

    async def fetch(self, work: Work, **ref: UUID) -> Record:
        """One person; raises `Unknown`."""
        (wanted,) = ref.values()
        row = await work.one("order_people.fetch", parts=self._parts(), ref=wanted)
        if row is None:
            raise Unknown(self.resource.singular, wanted)
        return flat(row)

    async def list_(self, work: Work, page_request: PageRequest, order: UUID) -> Page:
        """A page of an order's people of this kind, oldest first."""
        page = await read_page(work, page_request, "order_people", self._parts(), order=order)
        if not page.total:
            await _hold(work, order)
        return page

    async def of_many(self, work: Work, refs: Iterable[UUID]) -> dict[UUID, list[Record]]:
        """The people of several orders, by order."""
        found: dict[UUID, list[Record]] = {ref: [] for ref in refs}
        rows = await work.all("order_people.of_many", parts=self._parts(), parents=list(found))
        for row in rows:
            found[row["order_ref"]].append(flat(row))
        return found

    async def replace(
        self, work: Work, changes: Changes, kept: Mapping[str, Show] | None = None, **ref: UUID
    ) -> Record:
        """PUT: the person fields are replaced, the guest stays until evidence moves it (P-5)."""
        check_identifiable(changes)

        def replaced(stored: Record) -> Changes:
            person = {name: value for name, value in stored.items() if name not in self._columns}
            whole = replacement(person, changes, kept or {})
            return {"order_items": [], **whole} if self.items else whole

        return await self._rewrite(work, ref, replaced)

    async def patch(self, work: Work, changes: Changes, **ref: UUID) -> Record:
        """PATCH: only the fields sent change (P-5)."""
        return await self._rewrite(work, ref, lambda _: changes)

    async def delete(self, work: Work, **ref: UUID) -> None:
        """Take a person off the order; the guest and the order stay (P-4)."""
        (wanted,) = ref.values()
        if not await work.run("order_people.delete", parts=self._in_table(), ref=wanted):
            raise Unknown(self.resource.singular, wanted)

    @property
    def _columns(self) -> frozenset[str]:
        fields = self.resource.fields.items()
        return frozenset({*(n for n, field in fields if field.column), "order_ref", "recorded_ref"})

    def _in_table(self) -> dict[str, Sequence[str]]:
        return {"table": [self.table]}

    def _parts(self) -> dict[str, Sequence[str]]:
        return {"table": [self.table], "columns": ["order_people.columns", *self.items]}

    async def _created_quickly(self, work: Work, order: UUID, person: Changes) -> Record | None:
        """A person who is somebody new, or whom a guest is known to be; None for any other."""
        created = _new(work, order, person)
        found = await attach_directly(
            work,
            person,
            role=self.role,
            order=order,
            ref=created["ref"],
            record=self._body(person),
            now=created["created_at"],
        )
        if found is None:
            return None
        if found.note is None:
            return {**created, "guest_ref": found.guest}
        return await self._store(work, created, found.guest, person, found.note)

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
        standing = await work.one(
            "order_people.create",
            parts={**self._in_table(), "noted": ["order_people.note_join"] if note else []},
            ref=created["ref"],
            order=created["order_ref"],
            guest=guest,
            body=self._body(person),
            items=[UUID(item) for item in person.get("order_items") or ()],
            now=created["created_at"],
            **(note or {}),
        )
        if standing is None:
            raise Unknown(Order.singular, created["order_ref"])
        return {**created, **standing}

    async def _rewrite(
        self, work: Work, ref: Mapping[str, UUID], change: Callable[[Record], Changes]
    ) -> Record:
        (wanted,) = ref.values()
        async with work.transaction():
            row = await work.one("order_people.lock", parts=self._parts(), ref=wanted)
            if row is None:
                raise Unknown(self.resource.singular, wanted)
            stored = flat(row)
            changes = change(stored)
            await self._check_items(work, stored["order_ref"], changes)
            guest = await self._moved(work, stored, changes)
            after = {**stored, **changes}
            after["modified_at"] = clock.now()
            standing = await work.one(
                "order_people.rewrite",
                parts=self._in_table(),
                ref=wanted,
                guest=guest,
                body=self._body(after),
                now=after["modified_at"],
            )
            if "order_items" in changes:
                items = [UUID(item) for item in changes["order_items"] or ()]
                await work.run("order_people.delete_items", ref=wanted)
                await work.run("order_people.use_items", ref=wanted, items=items)
        after |= standing or {}
        return {name: value for name, value in after.items() if value is not None}

    async def _moved(self, work: Work, stored: Record, changes: Changes) -> UUID:
        """The guest to record after a change: another one only where evidence changed (P-5)."""
        recorded: UUID = stored["recorded_ref"]
        named = changes.get("guest_ref")
        is_other = named is not None and UUID(named) != stored["guest_ref"]
        after = {**stored, "guest_ref": None, **changes}
        if not is_other and not has_new_evidence(stored, after):
            return recorded
        return await self._guest(work, stored["order_ref"], after)

    async def _guest(self, work: Work, order: UUID, person: Changes) -> UUID:
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
        """Refuse items that are not of this order, or nowhere (P-6)."""
        items = [UUID(item) for item in changes.get("order_items") or ()]
        if not items:
            return
        rows = await work.all("order_people.items_of_order", items=items, order=order)
        known = {row["ref"] for row in rows}
        problems = [
            Problem(f"orderItems.items[{index}].href", NOT_VALID)
            for index, item in enumerate(items)
            if item not in known
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
    """The record of a person who is put on an order now, but for its guest."""
    now = work.stamp()
    return {
        **{name: value for name, value in person.items() if value is not None},
        "ref": uuid4(),
        "order_ref": order,
        "created_at": now,
        "modified_at": now,
    }


async def _contacts(work: Work, order: UUID) -> list[Record]:
    return [flat(row) for row in await work.all("order_people.contacts_of", order=order)]


async def _hold(work: Work, order: UUID) -> None:
    """Keep an order from being deleted while the transaction lasts; raises `Unknown`."""
    if await work.one("orders.hold", ref=order) is None:
        raise Unknown(Order.singular, order)
