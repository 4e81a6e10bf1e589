"""The list of guests: search, filters by any field, columns, sort, CSV; all of them are in the
URL."""

from typing import Any, Final
from uuid import UUID

from starlette.responses import Response

from innkeeper.actions.audiences import segment_catalogue
from innkeeper.actions.console import search
from innkeeper.actions.paging import PageRequest
from innkeeper.errors import Invalid
from innkeeper.resources.guests import Guest
from innkeeper.rules.access import Right
from innkeeper.web.ui import guest_tables, guest_views
from innkeeper.web.ui.draft import UNITS
from innkeeper.web.ui.guest_query import ALL, ListRequest, read_request, view_query
from innkeeper.web.ui.shell import PageRoute, Visit

_ALL_HITS: Final = PageRequest(limit=search.MOST)


async def find_guests(visit: Visit) -> Response:
    """Show the list; its filter is Customer by default, as in the vendor's product.

    Without filters, columns and sort of its own it reads the store alone, which takes milliseconds
    for any number of guests; with them, the lake.
    """
    if visit.query_text("view"):
        return await guest_views.open_view(visit)
    listing = read_request(visit)
    if visit.query_text("do"):
        # Without the button that was pressed, which a reload must not press again.
        return visit.go("/guests", **listing.query, **view_query(visit))
    page = visit.page_request
    is_table = bool(listing.complete_rules) or any(map(visit.query_text, ("columns", "sort")))
    has_all_hits = is_table and listing.has_search
    hits = await _search(visit, listing, _ALL_HITS if has_all_hits else page)
    context: dict[str, Any] = {"table": None, "rows": [], "query": {}}
    problems: tuple[str, ...] = ()
    if is_table:
        try:
            context = await _read_table(visit, listing, hits)
        except Invalid as invalid:
            problems = tuple(problem.reason for problem in invalid.problems)
    if context["table"] is None:
        start = page.offset if has_all_hits else 0
        items = hits.items[start : start + page.limit]
        context["rows"] = [visit.veil(item, Guest) for item in items]
    entity = None
    if listing.rules:
        catalogue = await segment_catalogue.list_declared_fields(visit.work)
        entity = catalogue["entities"][0]
    return visit.show(
        "guests.html",
        **{**context, "query": listing.query | context["query"]},
        q=listing.q,
        listing=listing,
        hits=hits,
        everyone=sum(hits.counts.values()),
        is_new=not listing.q and not hits.counts,
        entity=entity,
        units=UNITS,
        filter_problems=problems,
        **await guest_views.read_views(visit),
    )


async def _search(visit: Visit, listing: ListRequest, page: PageRequest) -> search.Hits:
    kind = None if listing.guest_type == ALL else listing.guest_type
    return await search.find_guests(
        visit.work, listing.q, page, guest_type=kind, personal=visit.personal
    )


async def _read_table(visit: Visit, listing: ListRequest, hits: search.Hits) -> dict[str, Any]:
    """Read the table of the guests with the filters and the search, of which it has every hit."""
    if not hits.is_more:
        return await guest_tables.read_table(visit, listing.definition, _refs(listing, hits))
    work = visit.work
    async with (
        work.in_slot(visit.database.limits.downloads),
        search.every_hit(work, listing.q, personal=visit.personal) as path,
    ):
        return await guest_tables.read_table(visit, listing.definition, path)


def _refs(listing: ListRequest, hits: search.Hits) -> list[UUID] | None:
    """Return the guests that the search found, or None without a search."""
    return [item["ref"] for item in hits.items] if listing.has_search else None


async def download(visit: Visit) -> Response:
    """Return the list as CSV."""
    listing = read_request(visit)
    return await guest_tables.download(
        visit,
        "guests",
        listing.definition,
        None,
        search_text=listing.q if listing.has_search else "",
    )


async def read_selected(visit: Visit) -> tuple[dict[str, Any], list[UUID] | None]:
    """Return the guests of the list that the URL selects: a definition, and with a search the refs
    to choose among."""
    listing = read_request(visit)
    if not listing.has_search:
        return listing.definition, None
    return listing.definition, _refs(listing, await _search(visit, listing, _ALL_HITS))


PAGES: Final = (
    *guest_views.PAGES,
    PageRoute("/guests", find_guests),
    PageRoute("/guests/csv", download, right=Right.EXPORTS),
)
