"""Screens of static lists: all of them, one with its guests, and the forms that change one."""

import asyncio
from typing import Any, Final

from starlette.datastructures import UploadFile
from starlette.responses import Response

from innkeeper.actions.admin import audit
from innkeeper.actions.audiences import bulk_actions, selections, static_lists, usage
from innkeeper.errors import BadRequest
from innkeeper.resources.base import Record
from innkeeper.resources.segments import BOOLEAN, STATIC_LIST
from innkeeper.resources.static_lists import ADD, definition_of_list
from innkeeper.rules.access import Right
from innkeeper.rules.versions import version_of
from innkeeper.web.ui import guest_tables
from innkeeper.web.ui.shell import WARNING, PageRoute, Visit

MOST_LINES: Final = 100_000
"""Most identifiers that one form adds; the command has no such limit."""
_MOST_BYTES: Final = 10 * 1024 * 1024
_UNMATCHED_SHOWN: Final = 5


async def show_all(visit: Visit) -> Response:
    """List the static lists whose name or id contains the search."""
    every = await static_lists.list_all(visit.work)
    q = visit.query_text("q").strip()
    rows = [row for row in every if q.lower() in f"{row['name']}\n{row['friendly_id']}".lower()]
    return visit.show("static_lists.html", rows=rows, number=len(every), search=q)


async def create(visit: Visit) -> Response:
    """Create a list."""
    body = {"name": visit.form_text("name"), "description": visit.form_text("description") or None}
    row = await static_lists.create(visit.work, body)
    return visit.go(f"/lists/{row['friendly_id']}", f"{row['name']} was created.")


async def show_one(visit: Visit) -> Response:
    """Show a list: its guests as a table."""
    row = await _fetch(visit)
    uses = await usage.of_static_list(visit.work, row)
    table = await guest_tables.read_table(visit, definition_of_list(row["friendly_id"]))
    return visit.show(
        "static_list.html",
        row=row,
        path=f"/lists/{row['friendly_id']}",
        version=version_of(row),
        uses=uses,
        differing=[
            ("Name", visit.form_text("name"), row["name"]),
            ("What it is for", visit.form_text("description"), row["description"] or ""),
        ],
        most_lines=MOST_LINES,
        builder_query={
            **{"g0.entity": "guest", "g0.was": "guest", "g0.r0.comparator": "is true"},
            "g0.r0.field": f"{STATIC_LIST}:{row['friendly_id']}:{BOOLEAN}",
        },
        **table,
    )


async def run_action(visit: Visit) -> Response:
    """Add guests by their identifiers, change a list's name, or delete it."""
    action = visit.form_text("action")
    row = await _fetch(visit)
    path = f"/lists/{row['friendly_id']}"
    if action == "delete":
        await static_lists.delete(visit.work, row["ref"])
        return visit.go("/lists", f"{row['name']} was deleted. Its guests remain.")
    if action == "change":
        body = {
            "name": visit.form_text("name"),
            "description": visit.form_text("description") or None,
        }
        changed = await static_lists.change(visit.work, row["ref"], body, visit.expected)
        return visit.go(path, f"{changed['name']} was saved.")
    if action == "add":
        return visit.go(path, await _add(visit, row))
    raise BadRequest("Unknown action.")


async def _add(visit: Visit, row: Record) -> str:
    """Add the guests of a form's identifiers; returns the note for the page."""
    text = await _read_text(visit)
    texts = await asyncio.to_thread(selections.identifiers_in, text)
    if not texts:
        raise BadRequest("Enter or choose at least one identifier.")
    if len(texts) > MOST_LINES:
        raise BadRequest(f"At most {MOST_LINES:,} at a time; these are {len(texts):,}.")
    selection = await selections.select_identifiers(visit.work, texts)
    action = await bulk_actions.change_members(visit.work, ADD, row["ref"], selection, None)
    changed, total = action["changed"], action["total"]
    note = f"{_guests(changed)} added."
    if action["finished_at"] is None:
        note = f"{_guests(total)} are being added."
    elif changed < total:
        note += f" {total - changed:,} on the list before."
    if not selection.unmatched:
        return note
    missing = ", ".join(selection.unmatched[:_UNMATCHED_SHOWN])
    more = len(selection.unmatched) - _UNMATCHED_SHOWN
    rest = f" and {more:,} more" if more > 0 else ""
    return f"{WARNING}{note} No guest has {missing}{rest}."


async def _read_text(visit: Visit) -> str:
    """Return the identifiers of a form: those of its file, or else the typed ones."""
    file = visit.form.get("file")
    if not isinstance(file, UploadFile) or not file.filename:
        return visit.form_text("identifiers")
    content = await file.read(_MOST_BYTES + 1)
    if len(content) > _MOST_BYTES:
        raise BadRequest(f"The file is larger than {_MOST_BYTES // 1024**2} MB.")
    return await asyncio.to_thread(content.decode, "utf-8", "replace")


async def download(visit: Visit) -> Response:
    """Return the guests on a list as CSV."""
    row = await _fetch(visit)
    about = audit.AuditSubject("static_list", row["friendly_id"])
    definition = definition_of_list(row["friendly_id"])
    return await guest_tables.download(visit, row["friendly_id"], definition, about)


async def _fetch(visit: Visit) -> Record:
    return await static_lists.fetch_stored(visit.work, visit.request.path_params["static_list"])


def _guests(number: int) -> str:
    return f"{number:,} guest" + ("s" if number != 1 else "")


_CHANGES: Final[dict[str, Any]] = {"post_right": Right.SEGMENTS, "whole": False}
PAGES: Final = (
    PageRoute("/lists", show_all, create, **_CHANGES),
    PageRoute("/lists/{static_list}/csv", download, right=Right.EXPORTS),
    PageRoute("/lists/{static_list}", show_one, run_action, uploads=True, **_CHANGES),
)
