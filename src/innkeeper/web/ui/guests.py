"""Screens of guests: the search, and the page of one guest with its tabs."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from typing import Any, Final
from uuid import UUID

from starlette.responses import Response

from innkeeper.actions.audiences import static_lists, traits
from innkeeper.actions.events import sessions
from innkeeper.actions.paging import Page as ExtensionsPage
from innkeeper.actions.paging import PageRequest
from innkeeper.actions.privacy import erasure
from innkeeper.actions.records import guests, orders
from innkeeper.actions.records.extensions import OF_GUESTS
from innkeeper.resources.base import Record
from innkeeper.resources.events import Session
from innkeeper.resources.guests import Guest
from innkeeper.resources.naming import camel
from innkeeper.resources.segments import TRAIT
from innkeeper.resources.values import plain
from innkeeper.rules.access import Right
from innkeeper.rules.masking import masked
from innkeeper.rules.personal import is_personal
from innkeeper.rules.traits import Traits
from innkeeper.web.ui import bounded
from innkeeper.web.ui.downloads import StreamedObject, file, read_extensions, streamed_json_file
from innkeeper.web.ui.guest_form import form_fields
from innkeeper.web.ui.shell import PageRoute, Visit
from innkeeper.wire.json_text import encode
from innkeeper.wire.privacy import subject_page
from innkeeper.wire.privacy.subject import held_on

SESSIONS: Final = 100
"""Number of latest sessions whose channels are counted."""
ARRANGED: Final = frozenset(
    {
        *("first_name", "last_name", "guest_type", "emails", "email", "phone_numbers", "phone"),
        *("date_of_birth", "gender", "language", "street", "post_code", "city", "country"),
        *("identifiers", "zip_code", "identity_status", "subscriptions", "passport_number"),
        "passport_expiry",
    }
)
"""Fields that the overview shows in a form of its own, or that only the properties show."""
_REPEATED: Final = {"email": "emails", "phone": "phone_numbers", "zip_code": "post_code"}
"""Field -> the field that usually has its value as well."""
FIRST_ORDER: Final = PageRequest(limit=1)


async def load_guest(
    visit: Visit, orders_page: PageRequest = FIRST_ORDER
) -> tuple[Record, dict[str, Any]]:
    """Fetch the guest of the path; return it and the template context of every tab of its page.

    `guest_orders` of the context is that page of the guest's orders.
    """
    ref = visit.ref("guest")
    guest, members = await guests.fetch_with_group(visit.work, ref)
    of_guest = replace(orders_page, filters={"guest_ref": ref})
    guest_orders = await orders.list_(visit.work, of_guest)
    tabs = [
        ("", "Overview", None),
        ("/timeline", "Timeline", None),
        ("/orders", "Orders", guest_orders.total),
        ("/properties", "Properties", None),
        ("/identity", "Identity", len(members) if len(members) > 1 else None),
        ("/json", "Raw JSON", None),
    ]
    if not guest_orders.total:
        tabs = [tab for tab in tabs if tab[0] != "/orders"]
    return guest, {
        "guest": await visit.veil_whole(guest, Guest),
        "base": f"/guests/{ref}",
        "tabs": tabs,
        "orders_total": guest_orders.total,
        "guest_orders": guest_orders,
        "members": members,
    }


async def show_overview(visit: Visit) -> Response:
    """Show totals, the latest orders, contact details and extensions."""
    latest = PageRequest(limit=200, sort=(("ordered_at", True),))
    guest, frame = await load_guest(visit, latest)
    ref, page = guest["ref"], frame["guest_orders"]
    behaviour = await sessions.of_guest(
        visit.work, ref, most=SESSIONS, events=0, days=None, custom=False
    )
    current = await traits.list_current(visit.work)
    trait_values = await traits.compute_for_guest(
        visit.work, ref, current, include_relative=visit.is_part
    )
    return visit.show(
        "guest_overview.html",
        **frame,
        details=_details(frame["guest"]),
        latest=page.items[:5],
        revenue=revenue_of(trait_values),
        visits=[visit.veil(each, Session) for each in behaviour.sessions[:5]],
        channels=_shares(behaviour.sessions, "channel"),
        order_channels=_shares(page.items, "channel"),
        session_number=len(behaviour.sessions),
        traits=_traits(visit, current, trait_values),
        memberships=await static_lists.memberships(visit.work, ref),
        extensions=(await _extensions(visit, ref)).items,
    )


def _traits(
    visit: Visit, current: Traits, trait_values: dict[str, Any]
) -> list[tuple[str, Any, bool, str | None]]:
    """List the traits that a page shows: (name, value, whether it is loaded later, currency)."""
    has_bought = bool(trait_values.get("orderCount")) and not visit.is_part
    rows = []
    for name, value in trait_values.items():
        trait = current.trait(name)
        is_pending = value is None and has_bought and trait.relative
        if is_pending or value not in (None, ""):
            money = None if trait.relative else trait.currency
            is_hidden = not visit.personal and is_personal(name, TRAIT, trait.type)
            visible = masked(str(value)) if is_hidden and value else value
            rows.append((name, visible, is_pending, money))
    return rows


async def show_json(visit: Visit) -> Response:
    """Show the guest as JSON, with its extensions."""
    guest, frame = await load_guest(visit)
    extensions = await _extensions(visit, guest["ref"])
    rows = [_flat(each) for each in extensions.items]
    whole = {**_named(frame["guest"]), "extensions": rows}
    is_cut = bounded.is_cut(whole) or extensions.total > len(extensions.items)
    return visit.show("guest_json.html", **frame, whole=whole, is_cut=is_cut)


async def download_json(visit: Visit) -> Response:
    """Return the whole guest as a JSON file, whose parts are read while it is sent."""
    guest = await guests.fetch(visit.work, visit.ref("guest"))

    async def extensions() -> AsyncIterator[StreamedObject]:
        async for each in read_extensions(visit.lend, OF_GUESTS, guest["ref"]):
            yield StreamedObject(partial(_veiled_extension, visit, each))

    whole = StreamedObject(partial(_fields, visit, guest), {"extensions": extensions})
    name = f"guest-{guest['ref']}"
    return streamed_json_file(name, visit.database.limits.downloads, whole)


async def _extensions(visit: Visit, guest: UUID) -> ExtensionsPage:
    """Fetch the extensions of a guest that a page shows, and their total."""
    most = bounded.TEXT_CHARACTERS + 1
    page = await OF_GUESTS.of_one_cut(visit.work, guest, bounded.EXTENSIONS, most)
    return ExtensionsPage(visit.veil_extensions(page.items), page.total)


def _fields(visit: Visit, guest: Record) -> Record:
    return _named(visit.veil(guest, Guest))


def _named(guest: Record) -> Record:
    return {camel(name): value for name, value in guest.items()}


def _veiled_extension(visit: Visit, extension: Record) -> Record:
    return _flat(visit.veil_extension(extension))


def _flat(extension: Record) -> Record:
    return {"name": extension["name"], "key": extension["key"], **extension["pairs"]}


async def show_properties(visit: Visit) -> Response:
    """Show every field, identifier and extension; roles that may edit change fields in place."""
    guest, frame = await load_guest(visit)
    editable = form_fields(visit, guest) if visit.may(Right.EDIT) else []
    fields = {name: (name, label, value) for name, label, value in _header_fields(frame["guest"])}
    first = [fields.pop(name, (name, name, None)) for name in editable]
    return visit.show(
        "guest_properties.html",
        **frame,
        fields=[*first, *fields.values()],
        editable=editable,
        extensions=await _extensions(visit, guest["ref"]),
    )


async def erase(visit: Visit) -> Response:
    """Erase a guest when its ref was typed."""
    ref = visit.ref("guest")
    if visit.form_text("confirm") != str(ref):
        return visit.go(f"/guests/{ref}")
    await guests.fetch(visit.work, ref)
    await erasure.erase(visit.work, [ref])
    return visit.go("/guests", f"Guest {ref} was erased.")


async def access(visit: Visit) -> Response:
    """Return all stored data on a guest as a file when its ref was typed; the audit log records
    it."""
    visit.need(Right.PERSONAL)
    ref, form = visit.ref("guest"), visit.form_text("format")
    if visit.form_text("confirm") != str(ref):
        return visit.go(f"/guests/{ref}")
    subject_data = await held_on(visit.work, ref)
    if form == "html":
        page = await asyncio.to_thread(subject_page.page, subject_data)
        return file(f"guest-{ref}.html", page, "text/html")
    content = await asyncio.to_thread(lambda: encode(plain(subject_data, camel)))
    return file(f"guest-{ref}.json", content)


def _details(guest: Record) -> list[tuple[str, Any]]:
    """List the declared fields that the overview has no form of its own for: (name, value)."""
    return [
        (name, guest[name])
        for name, field in Guest.fields.items()
        if name in guest and not field.owned and name not in ARRANGED
    ]


def _header_fields(guest: Record) -> list[tuple[str, str, Any]]:
    """List the fields that the header does not show, each value once: (name, label, value)."""
    skipped = {"ref", "identifiers"}
    for name, of in _REPEATED.items():
        values = guest.get(of)
        if guest.get(name) in (values if isinstance(values, list) else [values]):
            skipped.add(name)
    return [
        (name, name, guest[name]) for name in Guest.fields if name in guest and name not in skipped
    ]


def revenue_of(trait_values: Record) -> list[tuple[str, Any]]:
    """List the total revenue of a guest by currency, the largest first."""
    prefix = "lifetimeValue."
    sums = [
        (name.removeprefix(prefix), each) for name, each in trait_values.items() if prefix in name
    ]
    return sorted((pair for pair in sums if pair[1]), key=lambda pair: -pair[1])


def _shares(records: list[Record], name: str) -> list[tuple[str, int, int]]:
    """Count the values of a field: (value, count, per cent), the most frequent first."""
    counts: dict[str, int] = {}
    for record in records:
        value = str(record.get(name) or "unknown")
        counts[value] = counts.get(value, 0) + 1
    total = sum(counts.values()) or 1
    ranked = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    return [(value, count, round(100 * count / total)) for value, count in ranked]


PAGES: Final = (
    PageRoute("/guests/{guest}", show_overview),
    PageRoute("/guests/{guest}/properties", show_properties),
    PageRoute("/guests/{guest}/json", show_json),
    PageRoute("/guests/{guest}/json/file", download_json),
    PageRoute("/guests/{guest}/access", post=access, post_right=Right.ACCESS, whole=False),
    PageRoute("/guests/{guest}/erase", post=erase, post_right=Right.ERASE),
)
