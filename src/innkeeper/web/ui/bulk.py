"""Actions on the guests that somebody chose in a table: review them, confirm, follow the progress.

The query of the URL says which guests: `guests` (refs), or all that a table shows: those of a
`segment`, of a `list`, or of the search and filters of the list of guests.
"""

from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from starlette.responses import Response

from innkeeper.actions.audiences import bulk_actions, selections, static_lists
from innkeeper.actions.audiences.selections import SelectedGuests
from innkeeper.errors import ApiError, BadRequest
from innkeeper.resources.base import Record
from innkeeper.resources.static_lists import (
    ADD,
    ERASE,
    MOST_ERASED,
    REMOVE,
    SUCCESS,
    GuestSelection,
)
from innkeeper.resources.values import ref_in, whole_in
from innkeeper.rules.access import Right
from innkeeper.web.ui import builder, guest_list, guest_tables
from innkeeper.web.ui.draft import Draft, GroupRow
from innkeeper.web.ui.guest_query import read_request
from innkeeper.web.ui.segments import guest_rows
from innkeeper.web.ui.shell import PageRoute, Visit

RIGHTS: Final = {"add": Right.SEGMENTS, "remove": Right.SEGMENTS, "erase": Right.ERASE}
NEW: Final = "+"
"""Value of the choice of a list that is created."""
_ANY: Final = Draft(groups=[GroupRow()])
DONE: Final = {ADD: "added to {name}", REMOVE: "removed from {name}", ERASE: "erased"}
DOING: Final = {ADD: "Adding to a list", REMOVE: "Removing from a list", ERASE: "Erasing guests"}


@dataclass(frozen=True, slots=True)
class ChosenGuests:
    """The guests that a URL chooses: those of a definition, or those among refs."""

    definition: dict[str, Any]
    only: list[UUID] | None = None

    async def select(self, visit: Visit) -> SelectedGuests:
        """Return them for an action."""
        if self.only is None:
            return SelectedGuests(definition=self.definition)
        refs = await selections.find_refs(visit.work, self.definition, self.only)
        return SelectedGuests((*refs,))


async def read_chosen(visit: Visit) -> ChosenGuests:
    """Read which guests the query of the URL chooses."""
    query = visit.request.query_params
    if not visit.query_text("all"):
        refs = [ref for text in query.getlist("guests") if (ref := ref_in(text)) is not None]
        live = await selections.select_refs(visit.work, refs)
        return ChosenGuests({**builder.definition_of(_ANY)}, [*(live.refs or ())])
    if name := visit.query_text("segment"):
        return await _of_source(visit, GuestSelection(segment=name))
    if name := visit.query_text("list"):
        return await _of_source(visit, GuestSelection(static_list=name))
    return ChosenGuests(*await guest_list.read_selected(visit))


async def _of_source(visit: Visit, source: GuestSelection) -> ChosenGuests:
    stored = await selections.read_selection(visit.work, source)
    return ChosenGuests({**(stored.definition or {})})


async def review(visit: Visit) -> Response:
    """Show the chosen guests and the form that confirms an action on them."""
    action = _action(visit)
    selection = await (await read_chosen(visit)).select(visit)
    total, sample = await selections.preview(visit.work, selection)
    lists = await static_lists.list_names(visit.work) if action == "add" else []
    return visit.show(
        "bulk.html",
        action=action,
        total=total,
        sample=await guest_rows(visit, [*sample]),
        choices=[(NEW, "A new list"), *((row["friendly_id"], row["name"]) for row in lists)],
        most_erased=MOST_ERASED,
        back=_back(visit),
        from_list=visit.query_text("list"),
        query=visit.request.url.query,
    )


async def act(visit: Visit) -> Response:
    """Do an action that was confirmed."""
    action, expected = _action(visit), whole_in(visit.form_text("expected"))
    if expected is None:
        raise BadRequest("The number of guests is missing.")
    selection = await (await read_chosen(visit)).select(visit)
    if action == "erase":
        if visit.form_text("confirm") != f"erase {expected}":
            raise BadRequest(f"Type erase {expected} to confirm.")
        is_suppressed = visit.form_text("suppress") == "yes"
        row = await bulk_actions.erase(visit.work, selection, expected, suppress=is_suppressed)
    else:
        row = await _change_members(visit, action, selection, expected)
    if row["state"] != SUCCESS:
        return visit.go(f"/guests/bulk/{row['ref']}")
    path = f"/lists/{row['list_id']}" if row["list_id"] else "/guests"
    return visit.go(path, await _outcome(visit, row))


async def _change_members(
    visit: Visit, action: str, selection: SelectedGuests, expected: int
) -> Record:
    """Add guests to the list of the form, which may be a new one, or remove them from a list."""
    if action == "remove":
        name = visit.query_text("list")
        return await bulk_actions.change_members(visit.work, REMOVE, name, selection, expected)
    name, created = visit.form_text("list") or visit.query_text("list"), None
    if name == NEW:
        created = await static_lists.create(visit.work, {"name": visit.form_text("name")})
        name = created["friendly_id"]
    try:
        return await bulk_actions.change_members(visit.work, ADD, name, selection, expected)
    except ApiError:
        if created is not None:
            await static_lists.delete(visit.work, created["ref"])
        raise


async def _outcome(visit: Visit, row: Record) -> str:
    """Return what a finished action did, in a sentence."""
    name = ""
    if row["list_ref"] is not None:
        name = (await static_lists.fetch_stored(visit.work, row["list_ref"]))["name"]
    number = row["total"] if row["action"] == ERASE else row["changed"]
    guests = "1 guest was" if number == 1 else f"{number:,} guests were"
    rest = row["total"] - number
    note = f"{guests} {DONE[row['action']].format(name=name)}."
    return note if rest <= 0 else f"{note} {rest:,} needed no change."


async def show_progress(visit: Visit) -> Response:
    """Show the progress of an action: guests done, and guests left."""
    row = await bulk_actions.fetch(visit.work, visit.ref("action"))
    return visit.show(
        "bulk_progress.html",
        row=row,
        doing=DOING[row["action"]],
        outcome=await _outcome(visit, row),
    )


async def download(visit: Visit) -> Response:
    """Return the chosen guests as CSV, with the columns and the order of their table."""
    chosen = await read_chosen(visit)
    return await guest_tables.download(visit, "guests", chosen.definition, None, chosen.only)


def _action(visit: Visit) -> str:
    """Return the action that the query names; raises `RightMissing`."""
    action = visit.query_text("do")
    if action not in RIGHTS or (action == "remove" and not visit.query_text("list")):
        raise BadRequest("Unknown action.")
    visit.need(RIGHTS[action])
    return action


def _back(visit: Visit) -> str:
    """Return the address of the table that the guests were chosen in."""
    if name := visit.query_text("segment"):
        return visit.url(f"/segments/{name}/guests")
    if name := visit.query_text("list"):
        return visit.url(f"/lists/{name}")
    return visit.url("/guests", **read_request(visit).query)


PAGES: Final = (
    PageRoute("/guests/bulk", review, act, right=Right.SEGMENTS, whole=False),
    PageRoute("/guests/bulk/csv", download, right=Right.EXPORTS),
    PageRoute("/guests/bulk/{action}", show_progress),
)
