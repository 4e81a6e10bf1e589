"""Screens of one segment beside its overview: guests, history, a comparison with another."""

from typing import Any, Final

from starlette.responses import Response

from innkeeper.actions.admin import audit
from innkeeper.actions.audiences import segment_catalogue, segment_runs, segments, traits
from innkeeper.errors import BadRequest
from innkeeper.resources.base import Record
from innkeeper.resources.segments import EDITABLE
from innkeeper.resources.values import whole_in
from innkeeper.rules.access import Right
from innkeeper.rules.versions import version_of
from innkeeper.web.ui import builder, guest_tables
from innkeeper.web.ui.draft import COUNTS, TOTALS, WORDS
from innkeeper.web.ui.segments import frame, veil_draft
from innkeeper.web.ui.shell import PageRoute, Visit


async def show_guests(visit: Visit) -> Response:
    """List the guests of a segment now, with chosen columns, sorted and paged."""
    row = await segments.fetch(visit.work, visit.request.path_params["segment"])
    table = await guest_tables.read_table(visit, row["definition"])
    return visit.show("segment_guests.html", **frame(row), **table)


async def download_guests(visit: Visit) -> Response:
    """Return the guests of a segment as CSV."""
    row = await segments.fetch(visit.work, visit.request.path_params["segment"])
    about = audit.AuditSubject("segment", row["friendly_id"])
    return await guest_tables.download(visit, row["friendly_id"], row["definition"], about)


async def show_history(visit: Visit) -> Response:
    """List what the segment was, each revision in words, with a button that restores it."""
    row = await segments.fetch(visit.work, visit.request.path_params["segment"])
    current = await traits.list_current(visit.work)
    revisions = [
        (each, veil_draft(visit, builder.draft_of(each["name"], each["definition"], current)))
        for each in await segments.revisions(visit.work, row["ref"])
    ]
    runs = await segment_runs.runs(visit.work, row["ref"])
    return visit.show(
        "segment_history.html",
        **frame(row),
        # The newest run is first, so that it is the one that stays.
        latest_runs={run["revision"]: run for run in reversed(runs) if run["rows"] is not None},
        revisions=revisions,
        version=version_of(row),
        can_restore=visit.may(Right.SEGMENTS) and row["status"] in EDITABLE,
        **WORDING,
    )


async def restore(visit: Visit) -> Response:
    """Make an earlier revision the newest one."""
    name, number = visit.request.path_params["segment"], whole_in(visit.form_text("revision"))
    if number is None:
        raise BadRequest("Unknown revision.")
    row = await segments.restore(visit.work, name, number, visit.expected)
    return visit.go(
        f"/segments/{row['friendly_id']}", f"Revision {number} is restored. Run it to count it."
    )


async def compare(visit: Visit) -> Response:
    """Show how many guests a segment shares with another one."""
    row = await segments.fetch(visit.work, visit.request.path_params["segment"])
    others = [each for each in await segments.list_all(visit.work) if each["ref"] != row["ref"]]
    name = visit.query_text("with")
    other: Record | None = next((each for each in others if each["friendly_id"] == name), None)
    overlap: dict[str, int] | None = None
    if other is not None:
        overlap = await segment_catalogue.compare(visit.work, row["ref"], other["ref"])
    return visit.show(
        "segment_compare.html",
        **frame(row),
        others=others,
        choices=[
            ("", "Choose a segment"),
            *((each["friendly_id"], each["name"]) for each in others),
        ],
        other=other,
        overlap=overlap,
    )


WORDING: Final[dict[str, Any]] = {"words": WORDS, "counts": dict(COUNTS), "totals": dict(TOTALS)}

PAGES: Final = (
    PageRoute("/segments/{segment}/guests", show_guests),
    PageRoute("/segments/{segment}/guests/csv", download_guests, right=Right.EXPORTS),
    PageRoute(
        "/segments/{segment}/history", show_history, restore, post_right=Right.SEGMENTS, whole=False
    ),
    PageRoute("/segments/{segment}/compare", compare),
)
