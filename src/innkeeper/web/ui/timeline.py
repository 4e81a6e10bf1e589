"""The Timeline tab of a guest: its sessions, and the events of one."""

from collections.abc import AsyncIterator, Collection, Iterable
from datetime import datetime, timedelta
from functools import partial
from itertools import chain
from typing import Any, Final
from uuid import UUID

from starlette.responses import Response

from innkeeper import clock
from innkeeper.actions.events import sessions
from innkeeper.actions.paging import PageRequest
from innkeeper.actions.records import guests, orders
from innkeeper.errors import NotFound
from innkeeper.resources.base import Record
from innkeeper.resources.events import ABANDONED, BROWSED, CONVERTED, Event, Session
from innkeeper.web.ui.downloads import READ_AT_ONCE, StreamedObject, streamed_json_file
from innkeeper.web.ui.formatting import title_words
from innkeeper.web.ui.guests import load_guest
from innkeeper.web.ui.shell import PageRoute, Visit

SESSIONS: Final = 100
"""Number of latest sessions in a timeline (segmentation-and-export.md 8)."""
EVENTS: Final = 100
INTERACTIONS: Final = (BROWSED, CONVERTED, ABANDONED)
DAYS: Final = {"1": 1, "7": 7, "30": 30, "90": 90, "365": 365, "730": 730}
DATES: Final = (
    ("", "Any time"),
    ("1", "Last day"),
    ("7", "Last 7 days"),
    ("30", "Last 30 days"),
    ("month", "This month"),
    ("last-month", "Last month"),
    ("365", "Last 12 months"),
    ("730", "Last 2 years"),
)


async def show(visit: Visit) -> Response:
    """Show sessions filtered by channel, event, interaction and date; `open` is the ref of the
    session whose events are shown."""
    guest, frame = await load_guest(visit)
    open_ref = visit.query_text("open")
    behaviour = await sessions.of_guest(
        visit.work, guest["ref"], most=SESSIONS, events=0, days=None, custom=False
    )
    filters = {name: visit.query_text(name) for name in ("channel", "event", "interaction", "date")}
    is_own = any(str(each["ref"]) == open_ref for each in behaviour.sessions)
    events = []
    if is_own:
        event_type = filters["event"] or None
        events = await sessions.headlines(visit.work, UUID(open_ref), EVENTS, event_type)
    types = await sessions.count_types(visit.work, [each["ref"] for each in behaviour.sessions])
    matching = [
        visit.veil(each, Session)
        for each in behaviour.sessions
        if _matches(each, filters, types.get(each["ref"], {}))
    ]
    channels = sorted({each["channel"] for each in behaviour.sessions})
    return visit.show(
        "guest_timeline.html",
        **frame,
        days=_by_day(matching),
        number=len(matching),
        all_number=len(behaviour.sessions),
        chosen=filters,
        channels=[("", "Every channel"), *((each, _channel(each)) for each in channels)],
        interactions=[("", "Every outcome"), *((each, each.title()) for each in INTERACTIONS)],
        event_types=[
            ("", "Every event"),
            *((each, title_words(each.lower())) for each in sorted({*chain(*types.values())})),
        ],
        event_counts={ref: sum(counts.values()) for ref, counts in types.items()},
        dates=DATES,
        open=open_ref,
        events={open_ref: [_described(visit, event) for event in reversed(events)]},
        order_numbers=await _order_numbers(visit, guest["ref"], matching),
    )


async def _order_numbers(visit: Visit, guest: UUID, rows: Iterable[Record]) -> dict[str, str]:
    """Return the references of a guest's latest orders by ref, if any session has orders."""
    if not any(row.get("orders") for row in rows):
        return {}
    latest = PageRequest(limit=200, sort=(("ordered_at", True),), filters={"guest_ref": guest})
    page = await orders.list_(visit.work, latest)
    return {str(each["ref"]): each["reference_id"] for each in page.items}


async def events_file(visit: Visit) -> Response:
    """Return a session with all of its events as a file, read while it is sent."""
    guest, ref = await guests.fetch(visit.work, visit.ref("guest")), visit.ref("session")
    behaviour = await sessions.of_guest(
        visit.work, guest["ref"], most=SESSIONS, events=0, days=None, custom=False
    )
    session = next((each for each in behaviour.sessions if each["ref"] == ref), None)
    if session is None:
        raise NotFound
    whole = StreamedObject(
        partial(visit.veil, session, Session), {"events": partial(_events, visit, ref)}
    )
    return streamed_json_file(f"session-{ref}", visit.database.limits.downloads, whole)


async def _events(visit: Visit, session: UUID) -> AsyncIterator[StreamedObject]:
    last = None
    while True:
        async with visit.lend() as work:
            rows = await sessions.read_events(work, session, last, READ_AT_ONCE)
        for row in rows:
            yield StreamedObject(partial(visit.veil, sessions.event_of(row), Event))
        if len(rows) < READ_AT_ONCE:
            return
        last = rows[-1]


def _matches(session: Record, filters: dict[str, str], types: Collection[str]) -> bool:
    if filters["event"] and filters["event"] not in types:
        return False
    if filters["channel"] and session["channel"] != filters["channel"]:
        return False
    if filters["interaction"] and session.get("cart_type") != filters["interaction"]:
        return False
    since, until = _span(filters["date"])
    return bool(since <= session["started_at"] < until)


def _span(date: str) -> tuple[datetime, datetime]:
    now = clock.now()
    month = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    if date == "month":
        return month, now
    if date == "last-month":
        return (month - timedelta(days=1)).replace(day=1), month
    if date in DAYS:
        return now - timedelta(days=DAYS[date]), now
    return datetime.min.replace(tzinfo=now.tzinfo), datetime.max.replace(tzinfo=now.tzinfo)


def _by_day(rows: Iterable[Record]) -> list[tuple[datetime, list[Record]]]:
    days: dict[Any, list[Record]] = {}
    for session in rows:
        days.setdefault(session["started_at"].date(), []).append(session)
    return [(each[0]["started_at"], each) for each in days.values()]


def _channel(name: str) -> str:
    return name.replace("_", " ").capitalize()


def _described(visit: Visit, event: Record) -> Record:
    """Return an event with `line`, a short description of its subject."""
    names = ("product", "product_name", "reference_id", "email")
    words = [event["product"] or event["page"], *(event[name] for name in names[1:])]
    line = " · ".join(word for word in words if word)
    return {**event, "line": visit.veil_text(line)}


PAGES: Final = (
    PageRoute("/guests/{guest}/timeline", show),
    PageRoute("/guests/{guest}/timeline/{session}/file", events_file),
)
