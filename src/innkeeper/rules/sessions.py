"""Assign events to sessions (stream-api.md 5), with the same result in any order of arrival.

An event covers the time from itself until the timeout of its point of sale. Events of one browser
and channel whose covered times overlap form a session. FORCE_CLOSE cuts: it ends the covered time
of all earlier events, so that later events start another session.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal

import msgspec

from innkeeper.rules.stream import operating_system

EndedBy = Literal["force", "person"]
MOST_SESSION_DATA: Final = 256 * 1024
"""Most bytes of JSON that a session stores of its events' `session_data`; beyond that it is stored
with the event only. The size is limited because each event rewrites its session."""
_UTM: Final = "utm_"


@dataclass(frozen=True, slots=True)
class Mark:
    """The members of an event that sessions need: its time, its timeout, and whether it cuts."""

    at: datetime
    timeout: timedelta
    ends_session: bool = False

    @property
    def expires_at(self) -> datetime:
        """The time until which the event keeps its session open."""
        return self.at if self.ends_session else self.at + self.timeout


@dataclass(frozen=True, slots=True)
class Span:
    """The members of a session that placing events needs: its times."""

    started_at: datetime
    last_at: datetime
    expires_at: datetime
    ended_at: datetime | None = None

    def with_mark(self, mark: Mark) -> "Span":
        """Return the span extended by an event."""
        expires_at = max(self.expires_at, mark.expires_at)
        ended_at = mark.at if mark.ends_session else self.ended_at
        return Span(
            min(self.started_at, mark.at),
            max(self.last_at, mark.at),
            expires_at if ended_at is None else ended_at,
            ended_at,
        )


@dataclass(frozen=True, slots=True)
class Placement:
    """The sessions that an event belongs to, by index; none means a new session.

    Two or more are joined if the event closes the gap between them. `splits`: the event cuts a
    session that already has later events, which become a session of their own.
    """

    joins: tuple[int, ...] = ()
    splits: bool = False

    @property
    def is_plain(self) -> bool:
        """Whether the event starts or continues one session and changes no other."""
        return len(self.joins) <= 1 and not self.splits


def span_of(mark: Mark) -> Span:
    """Return the span of a session with one event."""
    return Span(mark.at, mark.at, mark.expires_at, mark.at if mark.ends_session else None)


def place_event(spans: Sequence[Span], mark: Mark) -> Placement:
    """Place a new event among the sessions of its browser and channel.

    `spans` is sorted by time and may omit sessions too far away to be affected.
    """
    joins: list[int] = []
    for index, span in enumerate(spans):
        if span.ended_at is not None and span.ended_at <= mark.at:
            continue
        if span.expires_at >= mark.at and span.started_at <= mark.expires_at:
            joins.append(index)
        if span.ended_at is not None:
            # The cut separates this event from all later sessions.
            break
    splits = mark.ends_session and any(spans[index].last_at > mark.at for index in joins)
    return Placement(tuple(joins), splits)


def divided(marks: Iterable[Mark]) -> list[list[int]]:
    """Divide events, sorted by time and arrival, into sessions; returns lists of indexes."""
    groups: list[list[int]] = []
    span: Span | None = None
    for index, mark in enumerate(marks):
        if span is None or span.ended_at is not None or span.expires_at < mark.at:
            groups.append([])
            span = span_of(mark)
        else:
            span = span.with_mark(mark)
        groups[-1].append(index)
    return groups


def span_of_all(marks: Sequence[Mark]) -> Span:
    """Return the span of a session with several events."""
    span = span_of(marks[0])
    for mark in marks[1:]:
        span = span.with_mark(mark)
    return span


def is_over(span: Span, now: datetime) -> bool:
    """Whether a session has ended, so that only a late event can still belong to it."""
    return span.ended_at is not None or span.expires_at < now


def opened_by(user_agent: str) -> dict[str, Any]:
    """Return the properties of a session before its first event."""
    properties = {"user_agent": user_agent, "operating_system": operating_system(user_agent)}
    return {name: value for name, value in properties.items() if value}


def with_event(
    details: Mapping[str, Any],
    body: Mapping[str, Any],
    point_of_sale: str,
    *,
    first: bool,
    last: bool,
) -> dict[str, Any]:
    """Return the properties of a session after another event; `body` is the stored event.

    `first` and `last`: whether the event is the earliest or the latest of the session so far.
    """
    after = dict(details)
    arbitrary: Mapping[str, Any] = body.get("data", {})
    page = body.get("page")
    if first and page:
        after["first_page"] = page
    if last:
        after["point_of_sale"] = point_of_sale
        names = {"currency": "currency", "language": "language", "page": "last_page"}
        after |= {target: body[name] for name, target in names.items() if body.get(name)}
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
        stored = after.get("custom", {})
        joined = {**stored, **custom} if last else {**custom, **stored}
        if len(msgspec.json.encode(joined)) <= MOST_SESSION_DATA:
            after["custom"] = joined
    if "order" in body:
        after["orders"] = [*after.get("orders", ()), body["order"]]
    return after
