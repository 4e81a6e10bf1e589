"""The form that edits a data extension of a guest: pairs, which the API's decoder reads."""

from typing import Any, Final

from starlette.responses import Response

from innkeeper.actions.admin import audit
from innkeeper.actions.records import guests
from innkeeper.actions.records.extensions import OF_GUESTS
from innkeeper.actions.records.keyed_extensions import KeyedExtensions
from innkeeper.errors import Invalid, NotFound, Problem
from innkeeper.resources.base import Record
from innkeeper.resources.guests import Guest
from innkeeper.rules.access import Right
from innkeeper.rules.identity_keys import digest
from innkeeper.web.ui.formatting import value_text
from innkeeper.web.ui.shell import PageRoute, Visit, ref_of
from innkeeper.wire.bulk.cells import Unfit, boolean_in, number_in
from innkeeper.wire.decode import decode
from innkeeper.wire.dialects.nested import OPEN_GUEST_EXTENSION
from innkeeper.wire.json_text import encode
from innkeeper.wire.views import Verb

TYPES: Final = (("text", "Text"), ("number", "Number"), ("boolean", "True or false"))
NEW: Final = "new"
EMPTY_ROWS: Final = 3
"""Empty rows for new pairs."""
MAX_ROWS: Final = 200
_KEYED: Final = KeyedExtensions(OF_GUESTS)


async def show(visit: Visit) -> Response:
    """Show the stored pairs, or the form as typed when it was refused; empty rows are ignored."""
    guest = await guests.fetch(visit.work, visit.ref("guest"))
    stored = await _stored(visit, guest)
    if visit.fault is None:
        rows = [(key, value_text(value), _type(value)) for key, value in stored["pairs"].items()]
    else:
        rows = [(key, text, kind) for key, text, kind in _form_rows(visit) if key or text]
    wrong = {problem.field: problem.reason for problem in getattr(visit.fault, "problems", ())}
    return visit.show(
        "guest_extension.html",
        guest=visit.veil(guest, Guest),
        stored=stored,
        is_new=visit.request.path_params["extension"] == NEW,
        rows=rows + [("", "", "text")] * EMPTY_ROWS,
        types=TYPES,
        wrong=wrong,
        version=_version(stored),
        differing=_differing(visit, stored["pairs"]),
    )


def _version(stored: Record) -> str:
    """Return the version of stored pairs: it changes with any of them."""
    return digest("pairs", encode(stored["pairs"]).decode()).hex


def _differing(visit: Visit, pairs: dict[str, Any]) -> list[tuple[str, str, str]]:
    """List the pairs that differ: (key, as typed, as stored)."""
    typed = {key: text for key, text, _ in _form_rows(visit) if key}
    stored = {key: value_text(value) for key, value in pairs.items()}
    keys = dict.fromkeys([*typed, *stored])
    rows = [(key, typed.get(key, ""), stored.get(key, "")) for key in keys]
    return [row for row in rows if row[1] != row[2]]


async def save(visit: Visit) -> Response:
    """Write all pairs, or delete the extension."""
    guest = await guests.fetch(visit.work, visit.ref("guest"))
    await OF_GUESTS.lock(visit.work, guest["ref"])
    stored, ref = await _stored(visit, guest), guest["ref"]
    visit.check_version(_version(stored))
    about = audit.AuditSubject(audit.GUEST, str(ref))
    name = stored["name"] or visit.form_text("extension_name")
    back = f"/guests/{ref}/properties"
    if visit.form_text("action") == "delete" and stored["name"]:
        await _KEYED.delete(visit.work, name, stored["ref"], guest=ref)
        deleted = {key: [value, None] for key, value in stored["pairs"].items()}
        await audit.note(
            *(visit.work, "extension.delete", ref), about=about, changes=deleted, name=name
        )
        return visit.go(back, f"The data extension {name} was removed.")
    changes = decode(OPEN_GUEST_EXTENSION, Verb.CREATE, {"name": name, **_pairs(visit)})
    if stored["name"]:
        keyed = {**changes, "key": stored["key"]}
        await _KEYED.replace(visit.work, name, stored["ref"], changes=keyed, guest=ref)
    else:
        await OF_GUESTS.create(visit.work, changes=changes, guest=ref)
    keys = sorted(set(changes["pairs"]) | set(stored["pairs"]))
    differing = audit.changed(stored["pairs"], changes["pairs"], keys)
    await audit.note(
        *(visit.work, "extension.edit", ref), about=about, changes=differing, name=name, keys=keys
    )
    return visit.go(back, "Saved.")


async def _stored(visit: Visit, guest: Record) -> Record:
    """Fetch the extension of the path; raises `NotFound`. An empty one for a new extension."""
    ref = visit.request.path_params["extension"]
    if ref == NEW:
        return {"name": "", "key": "", "ref": None, "pairs": {}}
    stored = await OF_GUESTS.by_ref(visit.work, guest["ref"], ref_of(ref))
    if stored is None:
        raise NotFound
    return stored


def _form_rows(visit: Visit) -> list[tuple[str, str, str]]:
    """List the rows of the form: (key, text, type)."""
    return [
        (visit.form_text(f"k{at}"), visit.form_text(f"v{at}"), visit.form_text(f"t{at}"))
        for at in range(MAX_ROWS)
        if f"k{at}" in visit.form
    ]


def _pairs(visit: Visit) -> dict[str, Any]:
    """Convert the rows to the pairs of an API request; raises `Invalid`."""
    pairs: dict[str, Any] = {}
    problems = []
    for key, text, kind in _form_rows(visit):
        if not key and not text:
            continue
        if not key or key in pairs:
            problems.append(Problem(key, "must be named once" if key else "needs a name"))
            continue
        try:
            pairs[key] = _read_value(kind, text)
        except Unfit as unfit:
            problems.append(Problem(key, str(unfit).lstrip(": ")))
    if problems:
        raise Invalid(*problems)
    return pairs


def _read_value(kind: str, text: str) -> Any:
    if kind == "number":
        return number_in("", text)
    return boolean_in("", text) if kind == "boolean" else text


def _type(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    return "text" if isinstance(value, str) else "number"


PAGES: Final = (PageRoute("/guests/{guest}/extensions/{extension}", show, save, right=Right.EDIT),)
