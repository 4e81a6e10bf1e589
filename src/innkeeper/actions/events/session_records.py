"""Compute the state of a session after an event: new, continued, or recomputed from its events."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import takewhile
from typing import Any
from uuid import UUID, uuid4

from innkeeper.actions.events.browsers import StoredSession
from innkeeper.actions.events.incoming import IncomingRecord
from innkeeper.resources.events import CART_TYPES, CHECKOUT
from innkeeper.rules import carts, event_types, sessions
from innkeeper.rules.sessions import Mark, Span
from innkeeper.store.work import Row, Work


@dataclass(slots=True)
class SessionState:
    """The state of a session that is to be written."""

    ref: UUID
    guest: UUID
    version: int
    """The version as read; 0 for a new session."""
    span: Span
    ended_by: sessions.EndedBy | None
    events: int
    details: dict[str, Any]
    cart: dict[str, Any] | None

    def params(self, now: datetime) -> dict[str, Any]:
        over = sessions.is_over(self.span, now)
        return {
            "ref": self.ref,
            "guest": self.guest,
            "started_at": self.span.started_at,
            "last_at": self.span.last_at,
            "expires_at": self.span.expires_at,
            "ended_at": self.span.ended_at,
            "ended_by": self.ended_by,
            "events": self.events,
            "details": self.details,
            "cart": self.cart,
            "closed_at": now if over else None,
            "cart_type": carts.cart_type(self.cart) if over else None,
            "revenue": carts.abandoned_revenue(self.cart) if over else None,
            "now": now,
        }


def next_state(record: IncomingRecord) -> tuple[SessionState, dict[str, Any]]:
    """Return the session after a plain event that starts or continues it, and the event's body."""
    if record.starts_session:
        details = sessions.opened_by(record.user_agent)
        body = record.body(details)
        ended_by: sessions.EndedBy | None = "force" if record.mark.ends_session else None
        state = SessionState(
            uuid4(),
            record.guest,
            0,
            sessions.span_of(record.mark),
            ended_by,
            1,
            sessions.with_event(details, body, record.point_of_sale, first=True, last=True),
            _cart(None, record),
        )
        return state, body
    session, at = record.joined[0], record.mark.at
    body = record.body(session.details)
    state = SessionState(
        session.ref,
        session.guest,
        session.version,
        session.span.with_mark(record.mark),
        "force" if record.mark.ends_session else session.ended_by,
        session.events + 1,
        sessions.with_event(
            session.details,
            body,
            record.point_of_sale,
            first=at < session.span.started_at,
            last=at >= session.span.last_at,
        ),
        _cart(session.cart, record),
    )
    return state, body


async def cart_before(work: Work, record: IncomingRecord) -> carts.Cart | None:
    """Return the cart before an event, from the events with an earlier or the same time."""
    if record.starts_session:
        return None
    if record.is_plain:
        return record.joined[0].cart
    cart: carts.Cart | None = None
    for row in await _rows(work, record.joined):
        if row["at"] <= record.mark.at:
            cart = _cart_with(cart, row)
    return cart


async def events_before(
    work: Work, record: IncomingRecord
) -> list[tuple[datetime, str, Mapping[str, Any]]]:
    """List time, type and members of the earlier events of an event's session."""
    rows = [] if record.starts_session else await _rows(work, record.joined)
    return [
        (row["at"], row["type"], row["body"].get("data", {}))
        for row in rows
        if row["at"] <= record.mark.at
    ]


async def carts_at_checkout(
    work: Work, record: IncomingRecord, order: UUID | None
) -> tuple[Row, carts.Cart | None, carts.Cart | None] | None:
    """Find the CHECKOUT of an order, or without an order the first one after an event.

    Returns the CHECKOUT with its cart without and with the event; None if the event is not in the
    same session or is later.
    """
    rows = [] if record.starts_session else await _rows(work, record.joined)
    checkout = next((row for row in rows if _has_order(row, order, record.mark.at)), None)
    if checkout is None:
        return None
    every = _with_record(rows, record)
    for group in sessions.divided([_mark(row) for row in every]):
        members = [every[index] for index in group]
        refs = {row["ref"] for row in members}
        if refs >= {checkout["ref"], record.ref}:
            own = [row for row in rows if row["session_ref"] == checkout["session_ref"]]
            return checkout, _cart_until(own, checkout), _cart_until(members, checkout)
    return None


async def checkout_after(
    work: Work, session: StoredSession, at: datetime
) -> tuple[Row, list[Row], carts.CartPurchase] | None:
    """Find the first CHECKOUT of a session at or after an instant, if it created an order.

    Returns its event with its timeout, the earlier events of the session, and the purchase.
    """
    rows = await _rows(work, [session])
    for index, row in enumerate(rows):
        if row["type"] == CHECKOUT and row["at"] >= at:
            if not _has_order(row, None, at):
                return None
            checkout = {**row, "timeout": timedelta(seconds=row["timeout_seconds"])}
            return checkout, rows[:index], carts.purchase(_cart_until(rows, row))
    return None


def _has_order(row: Row, order: UUID | None, after: datetime) -> bool:
    """Whether a row is a CHECKOUT after an instant that created an order (`order`, if given)."""
    if row["type"] != CHECKOUT or row["at"] < after:
        return False
    created = row["body"].get("order")
    return created is not None and order in (None, UUID(created))


def _cart_until(rows: Iterable[Row], checkout: Row) -> carts.Cart | None:
    """Return the cart of the events before a CHECKOUT."""
    cart: carts.Cart | None = None
    for row in takewhile(lambda row: row["ref"] != checkout["ref"], rows):
        cart = _cart_with(cart, row)
    return cart


def _cart(cart: carts.Cart | None, record: IncomingRecord) -> carts.Cart | None:
    """Return the cart after an incoming event."""
    if record.type not in CART_TYPES:
        return cart
    return carts.applied(cart, record.type, record.meaning, record.mark.at)


def _cart_with(cart: carts.Cart | None, row: Row) -> carts.Cart | None:
    """Return the cart after a stored event."""
    if row["type"] not in CART_TYPES:
        return cart
    meaning, _ = event_types.meaning_of(row["type"], row["body"].get("data", {}))
    return carts.applied(cart, row["type"], meaning, row["at"])


async def fold_sessions(
    work: Work, record: IncomingRecord
) -> tuple[list[tuple[SessionState, list[Row]]], list[UUID]]:
    """Divide the events of the joined sessions, with the new event, into sessions again.

    Returns the sessions with all their events, oldest first, and the refs of sessions that have no
    events any more.
    """
    rows = _with_record(await _rows(work, record.joined), record)
    marks = [_mark(row) for row in rows]
    origins = {session.ref: session for session in record.joined}
    free = [session.ref for session in record.joined]
    folded: list[tuple[SessionState, list[Row]]] = []
    for group in sessions.divided(marks):
        members = [rows[index] for index in group]
        origin = origins.get(members[0]["session_ref"], record.joined[0])
        ref = free.pop(0) if free else uuid4()
        span = sessions.span_of_all([marks[index] for index in group])
        version = origins[ref].version if ref in origins else 0
        folded.append((_fold(ref, version, origin, span, members), members))
    _keep_cut(folded[-1][0], record.joined[-1])
    return folded, free


async def _rows(work: Work, joined: Sequence[StoredSession]) -> list[Row]:
    """List every event of some sessions by time, then by arrival."""
    return await work.all(
        "events.of_sessions",
        sessions=[session.ref for session in joined],
        since=min(session.span.started_at for session in joined),
        until=max(session.span.last_at for session in joined),
    )


def _with_record(rows: Iterable[Row], record: IncomingRecord) -> list[Row]:
    """Insert the new event into rows, after all events of its time or earlier."""
    details = record.joined[0].details
    own: Row = {
        "ref": record.ref,
        "at": record.mark.at,
        "session_ref": None,
        "type": record.type,
        "point_of_sale": record.point_of_sale,
        "timeout_seconds": record.mark.timeout.total_seconds(),
        "ends_session": record.mark.ends_session,
        "body": record.body(details),
    }
    return sorted([*rows, own], key=lambda row: row["at"])


def _mark(row: Row) -> Mark:
    return Mark(row["at"], timedelta(seconds=row["timeout_seconds"]), row["ends_session"])


def _fold(
    ref: UUID, version: int, origin: StoredSession, span: Span, rows: Sequence[Row]
) -> SessionState:
    """Compute the state of a session from all its events."""
    fixed = ("user_agent", "operating_system")
    details = {name: origin.details[name] for name in fixed if name in origin.details}
    cart: carts.Cart | None = None
    for index, row in enumerate(rows):
        details = sessions.with_event(
            details, row["body"], row["point_of_sale"], first=index == 0, last=True
        )
        cart = _cart_with(cart, row)
    ended_by: sessions.EndedBy | None = "force" if span.ended_at is not None else None
    return SessionState(ref, origin.guest, version, span, ended_by, len(rows), details, cart)


def _keep_cut(last: SessionState, before: StoredSession) -> None:
    """Preserve the end of a session that another person caused: no event of it records that."""
    end = before.span.ended_at
    if before.ended_by == "person" and end is not None and last.span.ended_at is None:
        last.span = replace(last.span, ended_at=end, expires_at=end)
        last.ended_by = "person"
