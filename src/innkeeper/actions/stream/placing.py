"""Writing an event and the session it makes, goes on with, joins to another or splits."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID, uuid4

from innkeeper import clock
from innkeeper.actions.stream import browsers
from innkeeper.actions.stream.browsers import Browser, Session
from innkeeper.resources.events import CART_TYPES
from innkeeper.rules import carts, event_types, sessions, stream
from innkeeper.rules.sessions import Mark, Placement, Span
from innkeeper.rules.stream import Part
from innkeeper.store.work import Json, Row, Work

_months: set[tuple[UUID, int, int]] = set()
"""(version of the configuration, year, month) that have a partition: another version may be that
of a workspace which was reset."""
_MOST_MONTHS: Final = 10_000


_GOES_ON: Final[dict[str, list[str]]] = {
    "before": [],
    "session": ["sessions.go_on"],
    "more": [],
}
_BEGINS: Final = {
    "before": ["sessions.one_begins"],
    "session": ["sessions.begin"],
    "more": ["sessions.see"],
}


class Superseded(Exception):
    """The configuration changed while an event was being written: nothing was."""


@dataclass(slots=True)
class Arrival:
    """One event on its way to the disk, with all that is known of its browser."""

    ref: UUID
    type: str
    mark: Mark
    channel: str
    point_of_sale: str
    message: Mapping[str, Any]
    arbitrary: dict[str, Any]
    meaning: dict[str, Any]
    parts: list[Part]
    received_at: datetime
    user_agent: str
    settings: UUID
    browser: Browser
    placement: Placement
    noted: dict[str, Any] = field(default_factory=dict)
    """What else is kept with the event: the order it made, flags."""
    guest: UUID = field(init=False)
    """Whom it is recorded for."""

    def __post_init__(self) -> None:
        # A late event of a session before another person came is that session's guest's.
        held = self.joined
        other = held and held[-1].root != self.browser.root
        self.guest = held[-1].guest if other else self.browser.guest

    @property
    def joined(self) -> list[Session]:
        """The sessions it goes on with, oldest first."""
        return [self.browser.sessions[index] for index in self.placement.joins]

    @property
    def near(self) -> list[Session]:
        """The sessions beside, whose next event must know of this one: one that goes on with the
        latest session changes nothing for any other."""
        joins, browser = self.placement.joins, self.browser
        latest = joins and joins[-1] == len(browser.sessions) - 1
        if latest and self.is_plain and self.mark.at >= self.joined[0].span.started_at:
            return []
        return [one for index, one in enumerate(browser.sessions) if index not in joins]

    @property
    def is_latest(self) -> bool:
        """Whether its session is the latest of the channel."""
        spans = [session.span for session in self.browser.sessions]
        return all(span.started_at <= self.mark.at for span in spans)

    @property
    def begins(self) -> bool:
        """Whether it is the first of its session."""
        return not self.placement.joins

    @property
    def session_start(self) -> datetime:
        """When its session began, it included."""
        return min([self.mark.at, *(session.span.started_at for session in self.joined)])

    @property
    def is_quick(self) -> bool:
        """Whether one statement that locks nothing but its own session, or begins one, will do."""
        return self.is_plain and (self.begins or not (self.near or self.is_elsewhere))

    @property
    def is_elsewhere(self) -> bool:
        """Whether its channel or point of sale is not that of the browser's event before."""
        before = self.browser
        return (before.channel, before.point_of_sale) != (self.channel, self.point_of_sale)

    @property
    def is_plain(self) -> bool:
        """Whether it changes one session only, by what that one knows already."""
        return self.placement.is_plain and (
            self.type not in CART_TYPES
            or self.begins
            or carts.in_order(self.joined[0].cart, self.mark.at)
        )

    def body(self, about: Mapping[str, Any]) -> dict[str, Any]:
        """The event as kept, in a session that knows `about`."""
        told = stream.defaults(self.message, about)
        if self.arbitrary:
            told["data"] = self.arbitrary
        return told | self.noted


@dataclass(slots=True)
class _Kept:
    """A session as it is to be written."""

    ref: UUID
    guest: UUID
    version: int
    """As it was read; 0 for one that is new."""
    span: Span
    cut_by: sessions.CutBy | None
    events: int
    about: dict[str, Any]
    cart: dict[str, Any] | None

    def params(self, now: datetime) -> dict[str, Any]:
        over = sessions.is_over(self.span, now)
        return {
            "session": self.ref,
            "session_version": self.version,
            "session_guest": self.guest,
            "started_at": self.span.started_at,
            "last_at": self.span.last_at,
            "expires_at": self.span.expires_at,
            "cut_at": self.span.cut_at,
            "cut_by": self.cut_by,
            "events": self.events,
            "about": Json(self.about),
            "cart": None if self.cart is None else Json(self.cart),
            "closed_at": now if over else None,
            "cart_type": carts.cart_type(self.cart) if over else None,
            "revenue": carts.abandoned_revenue(self.cart) if over else None,
            "now": now,
        }


async def append(work: Work, arrival: Arrival) -> UUID | None:
    """Write a plain event in one statement; the live guest of the browser.

    None when it was decided by what is out of date, and nothing was written.
    """
    kept, body = _kept(arrival)
    written = await _append(work, arrival, body, kept, begins=arrival.begins)
    if written is None:
        browsers.forget(work, arrival.browser.ref)
        return None
    root: UUID = written["root"]
    if not arrival.is_latest:
        browsers.forget(work, arrival.browser.ref)
        return root
    session = Session(
        kept.ref,
        kept.guest,
        root,
        written["version"],
        kept.span,
        kept.cut_by,
        kept.events,
        kept.about,
        kept.cart,
    )
    now_known = replace(
        arrival.browser,
        version=arrival.browser.version + arrival.begins,
        channel=arrival.channel,
        point_of_sale=arrival.point_of_sale,
        sessions=[session],
    )
    browsers.remember(work, now_known)
    return root


def _kept(arrival: Arrival) -> tuple[_Kept, dict[str, Any]]:
    """The session that a plain event begins or goes on with, and the event as kept."""
    if arrival.begins:
        about = sessions.opened_by(arrival.user_agent)
        body = arrival.body(about)
        cut_by: sessions.CutBy | None = "force" if arrival.mark.cuts else None
        kept = _Kept(
            uuid4(),
            arrival.guest,
            0,
            sessions.span_of(arrival.mark),
            cut_by,
            1,
            sessions.with_event(about, body, arrival.point_of_sale, first=True, last=True),
            _cart(None, arrival),
        )
        return kept, body
    session, at = arrival.joined[0], arrival.mark.at
    body = arrival.body(session.about)
    kept = _Kept(
        session.ref,
        session.guest,
        session.version,
        session.span.with_mark(arrival.mark),
        "force" if arrival.mark.cuts else session.cut_by,
        session.events + 1,
        sessions.with_event(
            session.about,
            body,
            arrival.point_of_sale,
            first=at < session.span.started_at,
            last=at >= session.span.last_at,
        ),
        _cart(session.cart, arrival),
    )
    return kept, body


async def write(work: Work, arrival: Arrival) -> bool:
    """Write any event; call it in a transaction that holds the browser.

    False when another configuration is in force by now.
    """
    browsers.forget(work, arrival.browser.ref)
    if not arrival.begins:
        near = {session.ref for session in arrival.near}
        await work.run("sessions.touch", refs=list(near))
        _raise_versions(arrival, near)
        if arrival.is_elsewhere:
            await work.run(
                "browsers.note",
                ref=arrival.browser.ref,
                channel=arrival.channel,
                point_of_sale=arrival.point_of_sale,
            )
    if arrival.is_plain:
        kept, body = _kept(arrival)
        return bool(await _append(work, arrival, body, kept, begins=arrival.begins))
    now = clock.now()
    rows = await _rows(work, arrival.joined)
    rows = _with_arrival(rows, arrival)
    marks = [_mark(row) for row in rows]
    origins = {session.ref: session for session in arrival.joined}
    free = [session.ref for session in arrival.joined]
    groups: list[tuple[_Kept, list[Row]]] = []
    for group in sessions.divided(marks):
        members = [rows[index] for index in group]
        origin = origins.get(members[0]["session_ref"], arrival.joined[0])
        ref = free.pop(0) if free else uuid4()
        span = sessions.span_of_all([marks[index] for index in group])
        version = origins[ref].version if ref in origins else 0
        groups.append((_folded(ref, version, origin, span, members), members))
    _keep_cut(groups[-1][0], arrival.joined[-1])
    for kept, members in groups:
        mine = next((row for row in members if row["ref"] == arrival.ref), None)
        if mine is None:
            await work.run(
                "sessions.put",
                browser=arrival.browser.ref,
                channel=arrival.channel,
                **kept.params(now),
            )
            continue
        begins = kept.ref not in origins
        if not await _append(work, arrival, mine["body"], kept, begins=begins):
            return False
    for kept, members in groups:
        moved = [row for row in members if row["session_ref"] not in (kept.ref, None)]
        if moved:
            times = [row["at"] for row in moved]
            await work.run(
                "events.move",
                session=kept.ref,
                refs=[row["ref"] for row in moved],
                since=min(times),
                until=max(times),
            )
    if free:
        await work.run("sessions.drop", refs=free)
    return True


async def cart_before(work: Work, arrival: Arrival) -> carts.Cart | None:
    """The cart as an event finds it, by the time of what happened before it."""
    if arrival.begins:
        return None
    if arrival.is_plain:
        return arrival.joined[0].cart
    cart: carts.Cart | None = None
    for row in await _rows(work, arrival.joined):
        if row["at"] <= arrival.mark.at:
            cart = _cart_with(cart, row)
    return cart


async def cut_for_another(work: Work, arrival: Arrival, now: datetime) -> None:
    """Another person is at the browser: what goes on ends, and this event begins a session.

    Call it in a transaction that holds the browser.
    """
    at = arrival.mark.at
    rows = await work.all("sessions.open_of_browser", browser=arrival.browser.ref, at=at)
    for row in rows:
        await work.run(
            "sessions.cut",
            ref=row["ref"],
            cut_at=max(at, row["last_at"]),
            cart_type=carts.cart_type(row["cart"]),
            revenue=carts.abandoned_revenue(row["cart"]),
            now=now,
        )
    _raise_versions(arrival, {row["ref"] for row in rows})
    arrival.placement = Placement()


async def make_room(work: Work, settings: UUID, at: datetime) -> None:
    """See to it that the month of `at` has a partition, before an event of it is written.

    Only what is committed is remembered: inside a transaction, which may be undone, it is made
    sure of each time.
    """
    month = (settings, at.year, at.month)
    if month in _months:
        return
    await work.run("events.add_partition", instant=at)
    if not work.in_transaction:
        if len(_months) >= _MOST_MONTHS:
            _months.clear()
        _months.add(month)


async def add_partitions(work: Work) -> None:
    """Make room for the events of this month and the next ones."""
    now = clock.now()
    for days in (-2, 2, 31, 62):
        await work.run("events.add_partition", instant=now + timedelta(days=days))


def _raise_versions(arrival: Arrival, refs: set[UUID]) -> None:
    """Know of sessions that this transaction has written itself."""
    known = [
        replace(session, version=session.version + 1) if session.ref in refs else session
        for session in arrival.browser.sessions
    ]
    arrival.browser = replace(arrival.browser, sessions=known)


async def _append(
    work: Work, arrival: Arrival, body: Mapping[str, Any], kept: _Kept, *, begins: bool
) -> Row | None:
    at = arrival.mark.at
    near = arrival.near
    return await work.one(
        "events.append",
        parts=_BEGINS if begins else _GOES_ON,
        browser=arrival.browser.ref,
        browser_guest=arrival.browser.guest,
        version=arrival.browser.version,
        settings=arrival.settings,
        ref=arrival.ref,
        at=at,
        guest=arrival.guest,
        type=arrival.type,
        channel=arrival.channel,
        point_of_sale=arrival.point_of_sale,
        reach=int(arrival.mark.reach.total_seconds()),
        cuts=arrival.mark.cuts,
        body=Json(body),
        received_at=arrival.received_at,
        near=[session.ref for session in near],
        near_versions=[session.version for session in near],
        **kept.params(clock.now()),
    )


def _cart(cart: carts.Cart | None, arrival: Arrival) -> carts.Cart | None:
    if arrival.type not in CART_TYPES:
        return cart
    return carts.applied(cart, arrival.type, arrival.meaning, arrival.mark.at)


def _cart_with(cart: carts.Cart | None, row: Row) -> carts.Cart | None:
    if row["type"] not in CART_TYPES:
        return cart
    meaning, _ = event_types.told(row["type"], row["body"].get("data", {}))
    return carts.applied(cart, row["type"], meaning, row["at"])


async def _rows(work: Work, joined: Sequence[Session]) -> list[Row]:
    """Every event of some sessions by time, then by arrival."""
    return await work.all(
        "events.of_sessions",
        sessions=[session.ref for session in joined],
        since=min(session.span.started_at for session in joined),
        until=max(session.span.last_at for session in joined),
    )


def _with_arrival(rows: Iterable[Row], arrival: Arrival) -> list[Row]:
    """Rows with the new event in its place: after all that happened at its time or before."""
    about = arrival.joined[0].about
    own: Row = {
        "ref": arrival.ref,
        "at": arrival.mark.at,
        "session_ref": None,
        "type": arrival.type,
        "point_of_sale": arrival.point_of_sale,
        "reach": arrival.mark.reach.total_seconds(),
        "cuts": arrival.mark.cuts,
        "body": arrival.body(about),
    }
    return sorted([*rows, own], key=lambda row: row["at"])


def _mark(row: Row) -> Mark:
    return Mark(row["at"], timedelta(seconds=row["reach"]), row["cuts"])


def _folded(ref: UUID, version: int, origin: Session, span: Span, rows: Sequence[Row]) -> _Kept:
    """A session made of its events from the first to the last."""
    known = ("user_agent", "operating_system")
    about = {name: origin.about[name] for name in known if name in origin.about}
    cart: carts.Cart | None = None
    for index, row in enumerate(rows):
        about = sessions.with_event(
            about, row["body"], row["point_of_sale"], first=index == 0, last=True
        )
        cart = _cart_with(cart, row)
    cut_by: sessions.CutBy | None = "force" if span.cut_at is not None else None
    return _Kept(ref, origin.guest, version, span, cut_by, len(rows), about, cart)


def _keep_cut(last: _Kept, before: Session) -> None:
    """The end that another person put to a session is no event of it, and stays."""
    end = before.span.cut_at
    if before.cut_by == "person" and end is not None and last.span.cut_at is None:
        last.span = replace(last.span, cut_at=end, expires_at=end)
        last.cut_by = "person"
