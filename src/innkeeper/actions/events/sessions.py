"""Sessions: close expired ones, and read the sessions of a guest with their events."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from innkeeper import clock
from innkeeper.resources.base import Record, without_nulls
from innkeeper.resources.events import CLOSED, OFFLINE, OPEN
from innkeeper.rules import carts, sessions
from innkeeper.rules.sessions import Span
from innkeeper.store.work import Row, Work

log = logging.getLogger(__name__)

CLOSE_BATCH: Final = 200
"""Sessions closed in one transaction."""
SESSIONS: Final = 40
"""Sessions in a guest context: the latest, of the last 90 days (identity.md 6)."""
DAYS: Final = 90
OFFLINE_SESSIONS: Final = 10
"""Maximum number of offline sessions among them."""
EVENTS: Final = 100
"""Maximum number of latest events of each session."""
MOST_TYPED_EVENTS: Final = 1000
"""Latest events of a session whose types are counted."""


@dataclass(frozen=True, slots=True)
class Behaviour:
    """A guest's sessions, newest first, and their events, newest first."""

    sessions: list[Record]
    events: dict[UUID, list[Record]]


async def close_idle(work: Work) -> int:
    """Close the sessions that have expired; returns how many.

    Safe to run at the same time as events and in several processes.
    """
    closed = 0
    while True:
        async with work.transaction():
            now = clock.now()
            rows = await work.all("sessions.idle", now=now, most=CLOSE_BATCH)
            for row in rows:
                kind, revenue = _cart_at_end(row)
                closed += await work.run(
                    "sessions.close", ref=row["ref"], cart_type=kind, revenue=revenue, now=now
                )
        if len(rows) < CLOSE_BATCH:
            return closed


def _cart_at_end(row: Row) -> tuple[Any, Any]:
    """Return cart type and abandoned revenue of an expired session; None if the cart is invalid, so
    that it does not block other sessions."""
    try:
        return carts.cart_type(row["cart"]), carts.abandoned_revenue(row["cart"])
    except (ArithmeticError, LookupError, TypeError, ValueError):
        log.exception("the cart of session %s cannot be read", row["ref"])
        return None, None


async def of_guest(
    work: Work,
    guest: UUID,
    most: int = SESSIONS,
    events: int = EVENTS,
    days: int | None = DAYS,
    *,
    custom: bool = True,
) -> Behaviour:
    """Fetch the latest sessions of a live guest and its merged guests, with the latest events.

    `custom`: whether to include the custom data of the sessions, which may be large.
    """
    now = clock.now()
    since = datetime.min.replace(tzinfo=now.tzinfo) if days is None else now - timedelta(days=days)
    wide = most + OFFLINE_SESSIONS * 10
    without: list[str] = [] if custom else ["custom"]
    rows = await work.all("sessions.of_guest", guest=guest, since=since, most=wide, without=without)
    offline = [row["ref"] for row in rows if row["channel"] == OFFLINE][OFFLINE_SESSIONS:]
    rows = [row for row in rows if row["ref"] not in offline][:most]
    events_by_session: dict[UUID, list[Record]] = {row["ref"]: [] for row in rows}
    if rows and events:
        for event in await work.all("events.latest", most=events, **_times(rows)):
            events_by_session[event["session_ref"]].append(event_of(event))
    return Behaviour([_session(row, now) for row in rows], events_by_session)


async def headlines(
    work: Work, session: UUID, most: int = EVENTS, event_type: str | None = None
) -> list[Record]:
    """List a one-line summary of each of the latest events of a session, newest first; of all, or
    of one type."""
    return await work.all("events.headlines", session=session, most=most, type=event_type)


async def count_types(work: Work, sessions: Sequence[UUID]) -> dict[UUID, dict[str, int]]:
    """Return session -> the types of its latest events -> how many."""
    rows = await work.all(
        "events.types_in_sessions", sessions=list(sessions), most=MOST_TYPED_EVENTS
    )
    counts: dict[UUID, dict[str, int]] = {}
    for row in rows:
        counts.setdefault(row["ref"], {})[row["type"]] = row["events"]
    return counts


async def read_events(work: Work, session: UUID, after: Row | None, limit: int) -> list[Row]:
    """Rows of the events of a session behind one of them, oldest first; `event_of` reads one."""
    start = datetime.min.replace(tzinfo=UTC)
    last: Mapping[str, Any] = after or {"at": start, "received_at": start, "number": 0}
    return await work.all(
        "events.of_session",
        session=session,
        at=last["at"],
        received_at=last["received_at"],
        number=last["number"],
        limit=limit,
    )


def _times(rows: Sequence[Row]) -> dict[str, Any]:
    return {
        "sessions": [row["ref"] for row in rows],
        "since": [row["started_at"] for row in rows],
        "until": [row["last_at"] for row in rows],
    }


def _session(row: Row, now: datetime) -> Record:
    """Convert a row to the session resource; an expired session is closed even before the job
    closes it."""
    details, cart = row["details"], row["cart"]
    span = Span(row["started_at"], row["last_at"], row["expires_at"], row["ended_at"])
    over = sessions.is_over(span, now)
    record: Record = {
        "ref": row["ref"],
        "guest_ref": row["guest_ref"],
        "browser_ref": row["browser_ref"],
        "status": CLOSED if over else OPEN,
        # MOBILE_WEB and MOBILE_APP are separate session types.
        "session_type": row["channel"],
        "channel": row["channel"],
        "started_at": span.started_at,
        "ended_at": span.last_at,
        "duration": int((span.last_at - span.started_at).total_seconds()),
        "point_of_sale": details.get("point_of_sale"),
        "currency_code": details.get("currency"),
        "language": details.get("language"),
        "referer": details.get("referrer"),
        "operating_system": details.get("operating_system"),
        "user_agent": details.get("user_agent"),
        "first_page_uri": details.get("first_page"),
        "last_page_uri": details.get("last_page"),
        "utm_attributes": details.get("utm"),
        "custom_data": details.get("custom"),
        "orders": details.get("orders"),
        "created_at": row["created_at"],
        "modified_at": row["modified_at"],
    }
    if over:
        record["cart_type"] = carts.cart_type(cart)
        record["abandoned_revenue"] = carts.abandoned_revenue(cart)
    return without_nulls(record)


def event_of(row: Row) -> Record:
    """A row as the declared resource."""
    body = row["body"]
    record: Record = {
        "ref": row["ref"],
        "type": row["type"],
        "status": "PROCESSED",
        "channel": row["channel"],
        "point_of_sale": row["point_of_sale"],
        "browser_ref": row["browser_ref"],
        "session_ref": row["session_ref"],
        "currency_code": body.get("currency"),
        "language": body.get("language"),
        "page": body.get("page"),
        "arbitrary_data": body.get("data", {})
        | {name: body[name] for name in ("order", "flags") if name in body},
        "created_at": row["at"],
        "modified_at": row["received_at"],
    }
    return without_nulls(record)
