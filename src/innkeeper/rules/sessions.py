"""Which session an event belongs to (stream-api.md 5): pure, and the same in any order of arrival.

An event covers the time from itself to the timeout of its point of sale. A session is what such
covers hold together on one channel of one browser. FORCE_CLOSE cuts: it ends the cover of all
that came before it, so what follows is another session.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal

import msgspec

from innkeeper.rules.stream import operating_system

CutBy = Literal["force", "person"]
MOST_SESSION_DATA: Final = 256 * 1024
"""Bytes of JSON that a session keeps of its events' `session_data`: what would make it more stays
in its event alone. Each event writes its session anew, so a session must not grow without end."""
_UTM: Final = "utm_"


@dataclass(frozen=True, slots=True)
class Mark:
    """An event as far as sessions go."""

    at: datetime
    reach: timedelta
    cuts: bool = False

    @property
    def expires_at(self) -> datetime:
        """Until when it holds a session open."""
        return self.at if self.cuts else self.at + self.reach


@dataclass(frozen=True, slots=True)
class Span:
    """A session as far as placing events goes."""

    started_at: datetime
    last_at: datetime
    expires_at: datetime
    cut_at: datetime | None = None

    def with_mark(self, mark: Mark) -> "Span":
        """This span with an event that belongs to it."""
        expires_at = max(self.expires_at, mark.expires_at)
        cut_at = mark.at if mark.cuts else self.cut_at
        return Span(
            min(self.started_at, mark.at),
            max(self.last_at, mark.at),
            expires_at if cut_at is None else cut_at,
            cut_at,
        )


@dataclass(frozen=True, slots=True)
class Placement:
    """Where an event goes: the sessions it joins, by index; none means a new one.

    It joins two or more when it closes the gap between them. `splits`: it ends a session before
    events that arrived earlier, which then are another one.
    """

    joins: tuple[int, ...] = ()
    splits: bool = False

    @property
    def is_plain(self) -> bool:
        """Whether it opens a session or goes on with one, and changes no other."""
        return len(self.joins) <= 1 and not self.splits


def span_of(mark: Mark) -> Span:
    """The session of one event."""
    return Span(mark.at, mark.at, mark.expires_at, mark.at if mark.cuts else None)


def place_event(spans: Sequence[Span], mark: Mark) -> Placement:
    """Where a new event goes among the sessions of its browser and channel, oldest first.

    Sessions out of its reach may be left out of `spans`.
    """
    joins: list[int] = []
    for index, span in enumerate(spans):
        if span.cut_at is not None and span.cut_at <= mark.at:
            continue
        if span.expires_at >= mark.at and span.started_at <= mark.expires_at:
            joins.append(index)
        if span.cut_at is not None:
            # The cut stands between this event and all that comes after.
            break
    splits = mark.cuts and any(spans[index].last_at > mark.at for index in joins)
    return Placement(tuple(joins), splits)


def divided(marks: Iterable[Mark]) -> list[list[int]]:
    """Sessions of a row of events, by index; `marks` are by time, then by arrival."""
    groups: list[list[int]] = []
    span: Span | None = None
    for index, mark in enumerate(marks):
        if span is None or span.cut_at is not None or span.expires_at < mark.at:
            groups.append([])
            span = span_of(mark)
        else:
            span = span.with_mark(mark)
        groups[-1].append(index)
    return groups


def span_of_all(marks: Sequence[Mark]) -> Span:
    """The one session that events are."""
    span = span_of(marks[0])
    for mark in marks[1:]:
        span = span.with_mark(mark)
    return span


def is_over(span: Span, now: datetime) -> bool:
    """Whether no event can go on with a session any more, unless it comes late."""
    return span.cut_at is not None or span.expires_at < now


def opened_by(user_agent: str) -> dict[str, Any]:
    """What a session knows of itself before its first event."""
    told = {"user_agent": user_agent, "operating_system": operating_system(user_agent)}
    return {name: value for name, value in told.items() if value}


def with_event(
    about: Mapping[str, Any],
    body: Mapping[str, Any],
    point_of_sale: str,
    *,
    first: bool,
    last: bool,
) -> dict[str, Any]:
    """What a session knows of itself with another event; `body` is the event's as stored.

    `first` and `last`: whether it is the earliest or the latest of its events so far.
    """
    after = dict(about)
    arbitrary: Mapping[str, Any] = body.get("data", {})
    page = body.get("page")
    if first and page:
        after["first_page"] = page
    if last:
        after["point_of_sale"] = point_of_sale
        told = {"currency": "currency", "language": "language", "page": "last_page"}
        after |= {kept: body[name] for name, kept in told.items() if body.get(name)}
    referrer = arbitrary.get("referrer")
    if isinstance(referrer, str) and referrer and (first or "referrer" not in after):
        after["referrer"] = referrer
    utm = {
        name.removeprefix(_UTM): value
        for name, value in arbitrary.items()
        if name.startswith(_UTM) and isinstance(value, str)
    }
    if utm and (first or "utm" not in after):
        after["utm"] = utm
    custom = arbitrary.get("session_data")
    if isinstance(custom, dict) and custom:
        kept = after.get("custom", {})
        joined = {**kept, **custom} if last else {**custom, **kept}
        if len(msgspec.json.encode(joined)) <= MOST_SESSION_DATA:
            after["custom"] = joined
    if "order" in body:
        after["orders"] = [*after.get("orders", ()), body["order"]]
    return after
