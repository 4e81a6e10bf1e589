"""An event that is to be written, with the state of its browser."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from innkeeper.actions.events.browsers import Browser, StoredSession
from innkeeper.resources.events import CART_TYPES
from innkeeper.rules import carts, stream
from innkeeper.rules.sessions import Mark, Placement
from innkeeper.rules.stream import InvalidPart


class StateSuperseded(Exception):
    """The configuration changed before an event was written; nothing was written."""


@dataclass(slots=True)
class IncomingRecord:
    """One event that is to be written, with the state of its browser."""

    ref: UUID
    type: str
    mark: Mark
    channel: str
    point_of_sale: str
    message: Mapping[str, Any]
    arbitrary: dict[str, Any]
    meaning: dict[str, Any]
    parts: list[InvalidPart]
    received_at: datetime
    user_agent: str
    settings: UUID
    browser: Browser
    placement: Placement
    additions: dict[str, Any] = field(default_factory=dict)
    """Members that are stored with the event in addition: the ref of its order, flags."""
    guest: UUID = field(init=False)
    """The guest that the event is recorded for."""

    def __post_init__(self) -> None:
        # A late event of a session of a previous person belongs to the guest of that session.
        joined = self.joined
        is_previous_person = joined and joined[-1].root != self.browser.root
        self.guest = joined[-1].guest if is_previous_person else self.browser.guest

    @property
    def joined(self) -> list[StoredSession]:
        """The sessions that the event continues, oldest first."""
        return [self.browser.sessions[index] for index in self.placement.joins]

    @property
    def near(self) -> list[StoredSession]:
        """The neighbouring sessions, whose next event must take this event into account.

        Empty for an event that continues the latest session: it affects no other session.
        """
        joins, browser = self.placement.joins, self.browser
        joins_latest = joins and joins[-1] == len(browser.sessions) - 1
        if joins_latest and self.is_plain and self.mark.at >= self.joined[0].span.started_at:
            return []
        return [each for index, each in enumerate(browser.sessions) if index not in joins]

    @property
    def is_latest(self) -> bool:
        """Whether the session of the event is the latest of the channel."""
        spans = [session.span for session in self.browser.sessions]
        return all(span.started_at <= self.mark.at for span in spans)

    @property
    def starts_session(self) -> bool:
        """Whether the event is the first of a new session."""
        return not self.placement.joins

    @property
    def session_start(self) -> datetime:
        """The start of the session, including this event."""
        return min([self.mark.at, *(session.span.started_at for session in self.joined)])

    @property
    def is_quick(self) -> bool:
        """Whether one statement can write the event, which locks at most its own session."""
        return self.is_plain and (self.starts_session or not (self.near or self.is_elsewhere))

    @property
    def is_elsewhere(self) -> bool:
        """Whether channel or point of sale differ from those of the browser's previous event."""
        before = self.browser
        return (before.channel, before.point_of_sale) != (self.channel, self.point_of_sale)

    @property
    def is_plain(self) -> bool:
        """Whether the event changes one session only, without reading earlier events."""
        return self.placement.is_plain and (
            self.type not in CART_TYPES
            or self.starts_session
            or carts.in_order(self.joined[0].cart, self.mark.at)
        )

    def body(self, about: Mapping[str, Any]) -> dict[str, Any]:
        """Return the event as it is stored, with defaults of its session from `about`."""
        members = stream.defaults(self.message, about)
        if self.arbitrary:
            members["data"] = self.arbitrary
        return members | self.additions
