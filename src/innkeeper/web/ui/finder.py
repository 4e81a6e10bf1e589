"""The command palette and the suggestions of the search: pages, actions, segments and guests."""

from typing import Final

from starlette.responses import Response

from innkeeper.actions.audiences import segments, static_lists
from innkeeper.actions.console import search
from innkeeper.actions.paging import PageRequest
from innkeeper.resources.guests import Guest
from innkeeper.rules.access import Right
from innkeeper.web.ui.shell import MENU, PageRoute, Visit

MOST_HITS: Final = 6
_PAGES: Final = (
    *((path, text, None) for path, text, _ in MENU),
    ("/dashboard", "Dashboard", None),
    ("/jobs", "Jobs", None),
    ("/lists", "Lists", None),
    ("/traits", "Computed traits", None),
    ("/settings/points-of-sale", "Points of sale", None),
    ("/settings/identity-rules", "Identity rules", None),
    ("/settings/users", "Users", Right.USERS),
)
_ACTIONS: Final = (
    ("/segments/new", "New segment", Right.SEGMENTS),
    ("/segments/new?mode=sql", "New segment in SQL", Right.SEGMENTS),
    ("/traits/new", "New computed trait", Right.SEGMENTS),
    ("/exports/new", "New export", Right.EXPORTS),
    ("/imports", "Import a file", Right.IMPORTS),
    ("/guests?type=all&sort=-lastSeen", "Guests seen last", None),
)


async def show(visit: Visit) -> Response:
    """List the matches of a text: pages and actions, segments, guests; with `kind=guests` only
    guests.

    Guests match as in the list of guests, except by values that only the lake has.
    """
    q = visit.query_text("q").strip()
    groups: list[tuple[str, list[tuple[str, str, str]]]] = []
    if visit.query_text("kind") != "guests":
        for title, entries in (("Pages", _PAGES), ("Actions", _ACTIONS)):
            links = [
                (visit.url(path), text, "")
                for path, text, right in entries
                if q.lower() in text.lower() and (right is None or visit.may(right))
            ]
            groups.append((title, links))
        rows = await segments.list_all(visit.work) if q else []
        named = [row for row in rows if q.lower() in row["name"].lower()][:MOST_HITS]
        links = [
            (visit.url(f"/segments/{row['friendly_id']}"), row["name"], row["status"].lower())
            for row in named
        ]
        groups.append(("Segments", links))
        lists = await static_lists.list_names(visit.work) if q else []
        links = [
            (visit.url(f"/lists/{row['friendly_id']}"), row["name"], "list")
            for row in lists
            if q.lower() in row["name"].lower()
        ]
        groups.append(("Lists", links[:MOST_HITS]))
    guests = []
    if q:
        hits = await search.find_guests(
            *(visit.work, q, PageRequest(limit=MOST_HITS)), personal=visit.personal, is_quick=True
        )
        guests = [visit.veil(item, Guest) for item in hits.items]
    return visit.show("finder_options.html", groups=groups, guests=guests, q=q)


PAGES: Final = (PageRoute("/find", show),)
