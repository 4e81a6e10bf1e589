"""Orders: create or match, fetch, list, replace, patch, delete."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any
from uuid import UUID, uuid4

from innkeeper import clock
from innkeeper.actions.paging import Page, PageRequest, flat, read_page
from innkeeper.actions.records import child_records, guests
from innkeeper.actions.records.order_people import CONTACTS
from innkeeper.errors import Invalid, Problem, Unknown
from innkeeper.resources.base import Changes, Record, Resource, without_nulls
from innkeeper.resources.guests import Guest
from innkeeper.resources.naming import camel, field_problem
from innkeeper.resources.orders import Order
from innkeeper.resources.values import NOT_VALID
from innkeeper.rules.identity_keys import lock_of, reference_key
from innkeeper.rules.orders import COLUMNS, TOLERANCE, Show, replacement, without_fixed
from innkeeper.rules.versions import ROW_VERSION, Expected, expect
from innkeeper.store.work import Json, Work


async def create(
    work: Work, changes: Changes, guest: UUID | None = None, contact: UUID | None = None
) -> Record:
    """Create an order, or update the one it matches with the fields sent (O-1 to O-3).

    `guest` becomes a contact unless it is one (N-19, N-21); raises `Unknown` if it is not live.
    `contact` does the same but raises `Invalid` (O-10). The record's `fresh` is true if the order
    is new and has no parts yet.
    """
    guest_ref = guest or contact
    if guest_ref is None:
        return await _create_or_match(work, changes)
    async with work.transaction():
        row = await work.one("merges.guest", ref=guest_ref)
        if row is None or row["survivor_ref"] is not None:
            if guest is None:
                raise Invalid(field_problem("guest_ref", NOT_VALID))
            raise Unknown(Guest.singular, guest)
        order = await _create_or_match(work, changes)
        await CONTACTS.ensure_person(work, order["ref"], row)
    return {**order, "fresh": False}


async def _create_or_match(work: Work, changes: Changes) -> Record:
    """Create or match an order in one round trip, by a database function that locks and writes."""
    fields = {name: value for name, value in changes.items() if name not in COLUMNS}
    reference_id = changes["reference_id"]
    key = reference_key(reference_id)
    row = await work.create_batched(
        "orders.create_or_match",
        "orders.create_all",
        key=key,
        lock=lock_of(key),
        tolerance=TOLERANCE,
        ref=uuid4(),
        reference_key=key,
        reference_id=reference_id,
        ordered_at=changes["ordered_at"],
        body=Json(without_nulls(fields)),
        cleared=[name for name, value in fields.items() if value is None],
        now=clock.now(),
    )
    assert row is not None  # noqa: S101 - the function always returns one row
    return flat(row)


async def fetch(
    work: Work, order: UUID, guest: UUID | None = None, children: Collection[type[Resource]] = ()
) -> Record:
    """Return one order; raises `Unknown`. With `guest`, only if it is linked to that guest (N-24).

    Its children of the given kinds are in the record's `children`.
    """
    of_guest, params = _of_guest(guest)
    parts = {**of_guest, **child_records.query_parts(children)}
    row = await work.one_batched("orders.fetch", parts=parts, ref=order, **params)
    if row is None:
        return await _raise_unknown(work, order, guest)
    by_kind = child_records.take_children(row, children)
    return {**flat(row), "children": by_kind} if children else flat(row)


async def list_(work: Work, page_request: PageRequest, guest: UUID | None = None) -> Page:
    """Return a page of orders: all, or those of a guest or referenceId (O-6 to O-8).

    With `guest`, the orders of that live guest, sorted by `ordered_at` (N-18); raises `Unknown`.
    Raises `Invalid` for a sort key that is not allowed.
    """
    filters, sort = dict(page_request.filters), page_request.sort
    if guest is not None:
        filters["guest_ref"] = guest
        sort = (("ordered_at", False),)
    elif "guest_ref" not in filters and any(name == "ordered_at" for name, _ in sort):
        names = f"{camel('ordered_at')} is only valid together with {camel('guest_ref')}"
        raise Invalid(Problem("sort", names))
    if "reference_id" in filters:
        filters["reference_key"] = reference_key(filters["reference_id"])
    order = [f"orders.sort_{name}_{'desc' if down else 'asc'}" for name, down in sort]
    parts = {
        "total": ["orders.count" if filters else "orders.count_all"],
        "filters": [f"orders.by_{name}" for name in filters if name != "reference_key"],
        "order": [*order, "orders.sort_last"],
        "page": [page_request.part],
    }
    page = await read_page(work, "orders.list", page_request, parts=parts, **filters)
    if not page.total and guest is not None:
        await guests.fetch(work, guest)
    return page


async def replace(
    work: Work,
    order: UUID,
    changes: Changes,
    guest: UUID | None = None,
    preserved: Mapping[str, Show] | None = None,
    expected: Expected | None = None,
) -> Record:
    """PUT: clear optional fields that are not in the request (O-5), except `preserved` ones.

    See N-17 and N-22. Returns the order; raises `Unknown` and `Outdated`.
    """

    def replace_fields(stored: Record, fields: Changes) -> Changes:
        mutable = {name: value for name, value in stored.items() if name not in COLUMNS}
        return replacement(mutable, fields, preserved or {})

    return await _rewrite(work, order, changes, guest, replace_fields, expected)


async def patch(
    work: Work, order: UUID, changes: Changes, expected: Expected | None = None
) -> Record:
    """PATCH: change only the fields in the request; None clears (O-5).

    Returns the order; raises `Unknown` and `Outdated`.
    """
    return await _rewrite(work, order, changes, None, lambda _, fields: fields, expected)


async def delete(
    work: Work, order: UUID, guest: UUID | None = None, expected: Expected | None = None
) -> None:
    """Delete an order with all its parts; its guests stay (O-11).

    Raises `Unknown` and `Outdated`.
    """
    parts, params = _of_guest(guest)
    if expected is not None:
        async with work.transaction():
            row = await work.one("orders.lock", parts=parts, ref=order, **params)
            expect(expected, row or await _raise_unknown(work, order, guest))
            return await delete(work, order, guest)
    if not await work.run("orders.delete", parts=parts, ref=order, **params):
        await _raise_unknown(work, order, guest)


async def _rewrite(
    work: Work,
    order: UUID,
    changes: Changes,
    guest: UUID | None,
    change: Callable[[Record, Changes], Changes],
    expected: Expected | None,
) -> Record:
    """Store the result of `change` on the stored order and the mutable fields sent; return it."""
    parts, params = _of_guest(guest)
    async with work.transaction():
        row = await work.one("orders.lock", parts=parts, ref=order, **params)
        stored = flat(row or await _raise_unknown(work, order, guest))
        expect(expected, stored)
        del stored[ROW_VERSION]
        after = {**stored, **change(stored, without_fixed(stored, changes))}
        after = without_nulls(after)
        after["modified_at"] = clock.now()
        body = {name: value for name, value in after.items() if name not in COLUMNS}
        now = after["modified_at"]
        rewritten = await work.one("orders.rewrite", ref=order, body=Json(body), now=now)
    return {**after, **(rewritten or {})}


def _of_guest(guest: UUID | None) -> tuple[dict[str, Sequence[str]], dict[str, Any]]:
    """Return the query parts and parameters that restrict orders to those of a guest."""
    if guest is None:
        return {}, {}
    return {"filters": ["orders.by_guest_ref"]}, {"guest_ref": guest}


async def _raise_unknown(work: Work, order: UUID, guest: UUID | None) -> Record:
    """Raise `Unknown` for the guest if it is not live, else for the order."""
    if guest is not None:
        await guests.fetch(work, guest)
    raise Unknown(Order.singular, order)
