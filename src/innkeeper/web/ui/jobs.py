"""The bell in the head of every page, and the page of jobs: running, ended and failed."""

import math
from datetime import UTC, datetime
from typing import Final

from starlette.responses import Response

from innkeeper import clock
from innkeeper.actions.admin import long_jobs
from innkeeper.resources.base import Record
from innkeeper.web.browser_security import read_cookie, set_cookie
from innkeeper.web.ui.shell import PageRoute, Visit

SEEN_COOKIE: Final = "innkeeper_jobs_seen"
_YEAR: Final = 365 * 86_400
_BELL: Final = 8
_PAGE: Final = 50
_PATHS: Final = {
    "import": "/imports/{ref}",
    "undo": "/imports/{ref}/undo",
    "export": "/exports/{friendly_id}",
    "segment": "/segments/{friendly_id}",
    "identity_rules": "/settings/identity-rules/{ref}",
    "demo": "/",
    **dict.fromkeys(("add_to_list", "remove_from_list", "erase"), "/guests/bulk/{ref}"),
}
WORDS: Final = {
    "import": "Import",
    "undo": "Undo of an import",
    "export": "Export",
    "file_export": "File for the API",
    "segment": "Segment, published",
    "identity_rules": "Identity rules",
    "demo": "Demo data",
    "add_to_list": "Guests added to a list",
    "remove_from_list": "Guests removed from a list",
    "erase": "Guests erased",
}
"""Kind of job -> its name on pages."""


async def bell(visit: Visit) -> Response:
    """Show the newest jobs; `seen` marks failures as seen, so that the bell no longer counts
    them."""
    rows = await long_jobs.list_newest(visit.work, _BELL)
    is_seen = visit.query_text("seen") == "1"
    seen_at = clock.now() if is_seen else _seen_at(visit)
    failed = sum(row["state"] == "failed" and row["finished_at"] > seen_at for row in rows)
    response = visit.show("bell.html", **_context(visit, rows), failed=failed)
    if is_seen:
        stamp = str(math.ceil(seen_at.timestamp()))
        set_cookie(visit.request, response, SEEN_COOKIE, stamp, max_age=_YEAR)
    return response


async def show(visit: Visit) -> Response:
    """List the newest jobs."""
    rows = await long_jobs.list_newest(visit.work, _PAGE)
    return visit.show("jobs.html", **_context(visit, rows))


def _context(visit: Visit, rows: list[Record]) -> Record:
    jobs = [
        {
            **row,
            "words": WORDS[row["kind"]],
            "error": visit.veil_text(row["error"]),
            "href": _href(visit, row),
        }
        for row in rows
    ]
    return {"jobs": jobs, "unfinished": rows[0]["unfinished"] if rows else 0}


def _href(visit: Visit, row: Record) -> str | None:
    path = _PATHS.get(row["kind"])
    return path and visit.url(path.format(**row))


def _seen_at(visit: Visit) -> datetime:
    """Return the time at which the visitor last opened the bell."""
    stamp = read_cookie(visit.request, SEEN_COOKIE) or ""
    seconds = int(stamp) if stamp.isascii() and stamp.isdigit() and len(stamp) < 11 else 0
    return datetime.fromtimestamp(seconds, UTC)


PAGES: Final = (PageRoute("/jobs", show), PageRoute("/jobs/bell", bell))
