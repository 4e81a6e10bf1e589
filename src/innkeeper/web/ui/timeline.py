"""The Timeline tab of a guest: its sessions, and the events of one."""

from collections.abc import AsyncIterator, Iterable
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final
from uuid import UUID

from starlette.responses import Response

from innkeeper import clock
from innkeeper.actions.events import sessions
from innkeeper.actions.records import guests
from innkeeper.errors import NotFound
from innkeeper.resources.base import Record
from innkeeper.resources.events import ABANDONED, BROWSED, CONVERTED, Event, Session
from innkeeper.web.ui.downloads import READ_TOGETHER, StreamedObject, streamed_json_file
from innkeeper.web.ui.guests import opened
from innkeeper.web.ui.shell import PageRoute, Visit

SESSIONS: Final = 100
"""Sessions that a timeline looks at, the latest (segmentation-and-export.md 8)."""
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
    """Sessions by channel, interaction and date; `open` names the one whose events show."""
    guest, frame = await opened(visit)
    wanted = visit.query_text("open")
    found = await sessions.of_guest(
        visit.work, guest["ref"], most=SESSIONS, events=0, days=None, custom=False
    )
    is_own = any(str(each["ref"]) == wanted for each in found.sessions)
    events = await sessions.headlines(visit.work, UUID(wanted), EVENTS) if is_own else []
    chosen = {name: visit.query_text(name) for name in ("channel", "interaction", "date")}
    shown = [visit.veil(each, Session) for each in found.sessions if _matches(each, chosen)]
    channels = sorted({each["channel"] for each in found.sessions})
    return visit.show(
        "guest_timeline.html",
        **frame,
        days=_by_day(shown),
        number=len(shown),
        all_number=len(found.sessions),
        chosen=chosen,
        channels=[("", "Every channel"), *((each, _channel(each)) for each in channels)],
        interactions=[("", "Every outcome"), *((each, each.title()) for each in INTERACTIONS)],
        dates=DATES,
        open=wanted,
        events={wanted: [_described(visit, event) for event in reversed(events)]},
    )


async def events_file(visit: Visit) -> Response:
    """All events of a session with all they hold, read while they are sent."""
    guest, ref = await guests.fetch(visit.work, visit.ref("guest")), visit.ref("session")
    found = await sessions.of_guest(
        visit.work, guest["ref"], most=SESSIONS, events=0, days=None, custom=False
    )
    session = next((each for each in found.sessions if each["ref"] == ref), None)
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
            rows = await sessions.read_events(work, session, last, READ_TOGETHER)
        for row in rows:
            yield StreamedObject(partial(visit.veil, sessions.event_of(row), Event))
        if len(rows) < READ_TOGETHER:
            return
        last = rows[-1]


def _matches(session: Record, chosen: dict[str, str]) -> bool:
    if chosen["channel"] and session["channel"] != chosen["channel"]:
        return False
    if chosen["interaction"] and session.get("cart_type") != chosen["interaction"]:
        return False
    since, until = _span(chosen["date"])
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


def _by_day(found: Iterable[Record]) -> list[tuple[datetime, list[Record]]]:
    days: dict[Any, list[Record]] = {}
    for session in found:
        days.setdefault(session["started_at"].date(), []).append(session)
    return [(each[0]["started_at"], each) for each in days.values()]


def _channel(name: str) -> str:
    return name.replace("_", " ").capitalize()


def _described(visit: Visit, event: Record) -> Record:
    """An event with a line that says what it was about."""
    names = ("product", "product_name", "reference_id", "email")
    words = [event["product"] or event["page"], *(event[name] for name in names[1:])]
    line = " · ".join(word for word in words if word)
    return {**event, "line": visit.veil_text(line)}


PAGES: Final = (
    PageRoute("/guests/{guest}/timeline", show),
    PageRoute("/guests/{guest}/timeline/{session}/file", events_file),
)
