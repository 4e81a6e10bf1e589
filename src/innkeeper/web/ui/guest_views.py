"""Saved views of the list of guests: the menu, and the forms that save and delete one."""

from typing import Any, Final
from uuid import UUID

from starlette.responses import Response

from innkeeper.actions.audiences import guest_views, traits
from innkeeper.errors import BadRequest, NotFound
from innkeeper.resources.base import Record
from innkeeper.resources.values import ref_in
from innkeeper.rules.access import Right
from innkeeper.rules.personal import is_personal
from innkeeper.rules.traits import Traits
from innkeeper.web.ui import builder
from innkeeper.web.ui.guest_query import ALL, ListRequest, read_request, view_query
from innkeeper.web.ui.shell import PageRoute, Visit


async def read_views(visit: Visit) -> dict[str, Any]:
    """Return the template context of the menu: own views, shared ones, and the one that is open."""
    current = {**read_request(visit).query, **view_query(visit), "q": ""}
    every = await traits.list_current(visit.work)
    own: list[Record] = []
    shared: list[Record] = []
    opened: Record | None = None
    for row in await guest_views.list_visible(visit.work):
        is_own = row["owner"] == visit.person.email
        (own if is_own else shared).append(row)
        if opened is None and _is_same(query_of(visit, row, every), current):
            opened = {**row, "is_own": is_own}
    return {"views": [("Yours", own), ("Shared by others", shared)], "view": opened}


async def open_view(visit: Visit) -> Response:
    """Redirect to the list with the filters, columns and sort of the view that the URL names."""
    ref = ref_in(visit.query_text("view"))
    if ref is None:
        raise NotFound
    row = await guest_views.fetch(visit.work, ref)
    query = query_of(visit, row, await traits.list_current(visit.work))
    return visit.go("/guests", **query)


def query_of(visit: Visit, row: Record, every: Traits) -> dict[str, Any]:
    """Return the query of a view, without rules that the visitor may not see."""
    draft = builder.draft_of(row["name"], row["definition"], every)
    listing = ListRequest("", ALL, "AND", [])
    if len(draft.groups) == 1 and draft.groups[0].entity == "guest":
        group = draft.groups[0]
        rules = [
            rule
            for rule in group.rules
            if visit.personal or not is_personal(rule.name, rule.location, rule.type)
        ]
        listing = ListRequest("", group.type.lower() or ALL, group.operator, rules)
    return {**listing.query, "columns": row["columns"], "sort": row["sort"] or ""}


def _is_same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return {name: value for name, value in one.items() if value} == {
        name: value for name, value in other.items() if value
    }


async def save(visit: Visit) -> Response:
    """Save the filters, columns and sort of the URL under a name, in place of the visitor's view of
    that name; or delete a view."""
    if visit.form_text("action") == "delete":
        return await _delete(visit)
    listing, table = read_request(visit), view_query(visit)
    body = {
        "name": visit.form_text("name"),
        "shared": visit.form_text("shared") == "yes",
        "definition": listing.definition,
        "columns": table["columns"],
        "sort": table["sort"] or None,
    }
    if body["shared"]:
        visit.need(Right.SEGMENTS)
    same = [
        row["ref"]
        for row in await guest_views.list_visible(visit.work)
        if row["owner"] == visit.person.email and row["name"] == body["name"]
    ]
    if same:
        row = await guest_views.change(visit.work, same[0], body)
    else:
        row = await guest_views.create(visit.work, body)
    return visit.go("/guests", f"The view {row['name']} was saved.", view=str(row["ref"]))


async def _delete(visit: Visit) -> Response:
    ref: UUID | None = ref_in(visit.form_text("view"))
    if ref is None:
        raise BadRequest("Unknown view.")
    row = await guest_views.fetch(visit.work, ref)
    await guest_views.delete(visit.work, ref, may_manage=visit.may(Right.USERS))
    return visit.go("/guests", f"The view {row['name']} was deleted.")


PAGES: Final = (PageRoute("/guests/views", post=save),)
