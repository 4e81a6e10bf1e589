"""The form that edits a guest: its declared fields, which the API's decoder reads."""

import re
from functools import cache
from typing import Any, Final

from starlette.responses import Response

from innkeeper.actions.admin import audit
from innkeeper.actions.records import guests
from innkeeper.errors import NotFound
from innkeeper.resources.base import Record
from innkeeper.resources.codes import COUNTRIES
from innkeeper.resources.guests import Guest
from innkeeper.resources.kinds import COUNTRY, Day, Instant, ListOf, ObjectOf, OneOf, Opaque
from innkeeper.resources.naming import camel
from innkeeper.rules.access import Right
from innkeeper.rules.versions import version_of
from innkeeper.web.ui.formatting import title_words
from innkeeper.web.ui.shell import PageRoute, Visit
from innkeeper.wire.decode import decode
from innkeeper.wire.dialects.official import GUEST
from innkeeper.wire.views import Verb

_TRAVEL: Final = frozenset({"passport_number", "passport_expiry", "nationality"})
# Fields that mirror another field, or that only older clients send.
_NOT_CLEARED: Final = frozenset({"email", "phone", "zip_code", "identity_status"})
_GENDERS: Final = ("female", "male", "other", "unknown")
_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}", re.A)
EDITABLE: Final = tuple(
    name
    for name, field in Guest.fields.items()
    if not field.owned
    and name not in _NOT_CLEARED
    and not isinstance(field.kind, Instant | Opaque)
    and not (isinstance(field.kind, ListOf) and isinstance(field.kind.element, ObjectOf | Opaque))
)


def is_list(name: str) -> bool:
    """Whether a field holds several values, one on each line."""
    return isinstance(Guest.fields[name].kind, ListOf)


def choices(name: str, stored: str) -> list[tuple[str, str]]:
    """Return the values of a field that has a menu, and their texts; empty for any other field.

    A stored value that the menu lacks is added.
    """
    kind = Guest.fields[name].kind
    if isinstance(kind, OneOf):
        options = [(word, title_words(word)) for word in kind.words]
    elif kind is COUNTRY:
        options = [("", "Not known"), *countries()]
    elif name == "gender":
        options = [("", "Not known"), *((word, title_words(word)) for word in _GENDERS)]
    else:
        return []
    is_listed = any(value == stored for value, _ in options)
    return options if is_listed else [*options, (stored, stored)]


@cache
def countries() -> list[tuple[str, str]]:
    """Return the codes and names of countries, by name."""
    from babel import Locale  # noqa: PLC0415 - loads much data

    names = Locale("en").territories
    pairs = [(code, f"{names.get(code, code)} ({code})") for code in COUNTRIES]
    return sorted(pairs, key=lambda pair: pair[1])


def input_type(name: str, value: str) -> str:
    """Return the type of a field's input; a day that is no date stays a text."""
    if isinstance(Guest.fields[name].kind, Day) and (not value or _DAY.fullmatch(value)):
        return "date"
    return "tel" if name == "phone_numbers" else "text"


async def show(visit: Visit) -> Response:
    """Show the form with stored values, or as typed when it was refused."""
    guest = await guests.fetch(visit.work, visit.ref("guest"))
    rows = [_row(visit, guest, name) for name in form_fields(visit, guest)]
    wrong = {}
    for problem in getattr(visit.fault, "problems", ()):
        wrong[problem.field.partition("[")[0]] = problem.reason
    differing = [
        (title_words(name), value, _text(guest.get(name)))
        for name, value, *_ in rows
        if value.replace("\r\n", "\n") != _text(guest.get(name))
    ]
    return visit.show(
        "guest_edit.html",
        guest=guest,
        rows=rows,
        wrong=wrong,
        camel=camel,
        version=version_of(guest),
        differing=differing,
    )


def form_fields(visit: Visit, guest: Record) -> list[str]:
    """Return the fields that a form of this guest has; those of travel only where they are used."""
    hidden = frozenset() if visit.settings.travel_tenant else _TRAVEL
    return [name for name in EDITABLE if name not in hidden or guest.get(name)]


def _row(visit: Visit, guest: Record, name: str) -> tuple[Any, ...]:
    """Return what a field's control needs; its value as typed if the form was refused."""
    stored = _text(guest.get(name))
    value = _typed(visit, name) if visit.fault and name in visit.form else stored
    kind = input_type(name, value)
    return name, value, is_list(name), choices(name, stored), kind, _hint(name)


async def show_field(visit: Visit) -> Response:
    """Show the form of one field, in its place on the guest's page."""
    guest = await guests.fetch(visit.work, visit.ref("guest"))
    name = visit.request.path_params["field"]
    if name not in EDITABLE:
        raise NotFound
    row = _row(visit, guest, name)
    return visit.show("guest_field.html", guest=guest, row=row, version=version_of(guest))


async def save(visit: Visit) -> Response:
    """Write the fields that differ from the stored guest, and record them in the audit log."""
    guest = await guests.fetch(visit.work, visit.ref("guest"))
    body = _body(visit, guest)
    if body:
        changes = decode(GUEST, Verb.PATCH, body)
        after = await guests.patch(visit.work, guest["ref"], changes, visit.expected)
        ref = guest["ref"]
        await audit.note(
            *(visit.work, "guest.edit", ref),
            about=audit.AuditSubject(audit.GUEST, str(ref)),
            changes=audit.changed(guest, after, changes),
            fields=sorted(body),
        )
    note = "Saved." if body else "Nothing changed."
    return visit.go(f"/guests/{guest['ref']}/properties", note)


def _body(visit: Visit, guest: Record) -> dict[str, Any]:
    """Convert the changed fields of the form to the body of an API request."""
    body: dict[str, Any] = {}
    for name in EDITABLE:
        if name not in visit.form:
            continue
        text = _typed(visit, name)
        if text == _text(guest.get(name)):
            continue
        value: Any = text or None
        if is_list(name):
            value = [line.strip() for line in text.split("\n") if line.strip()] or None
        body[camel(name)] = value
    return body


def _typed(visit: Visit, name: str) -> str:
    """Return what was typed for a field: the values of a list on a line each."""
    texts = [text.replace("\r\n", "\n").strip() for text in visit.form_texts(name)]
    return "\n".join(filter(None, texts))


def _hint(name: str) -> str:
    """Return the description of a field, unless it says no more than its label."""
    doc = Guest.fields[name].doc
    return "" if doc.replace(".", "").lower() == name.replace("_", " ") else doc


def _text(value: Any) -> str:
    if value is None:
        return ""
    return "\n".join(map(str, value)) if isinstance(value, list) else str(value)


PAGES: Final = (
    PageRoute("/guests/{guest}/edit/{field}", show_field, right=Right.EDIT),
    PageRoute("/guests/{guest}/edit", show, save, right=Right.EDIT),
)
