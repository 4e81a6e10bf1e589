"""An event on its way to the disk, with all that is known of its browser."""

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
    """The configuration changed while an event was being written: nothing was."""


@dataclass(slots=True)
class IncomingRecord:
    """One event on its way to the disk, with all that is known of its browser."""

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
    """What else is kept with the event: the order it made, flags."""
    guest: UUID = field(init=False)
    """Whom it is recorded for."""

    def __post_init__(self) -> None:
        # A late event of a session before another person came is that session's guest's.
        held = self.joined
        other = held and held[-1].root != self.browser.root
        self.guest = held[-1].guest if other else self.browser.guest

    @property
    def joined(self) -> list[StoredSession]:
        """The sessions it goes on with, oldest first."""
        return [self.browser.sessions[index] for index in self.placement.joins]

    @property
    def near(self) -> list[StoredSession]:
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
    def starts_session(self) -> bool:
        """Whether it is the first of its session."""
        return not self.placement.joins

    @property
    def session_start(self) -> datetime:
        """When its session began, it included."""
        return min([self.mark.at, *(session.span.started_at for session in self.joined)])

    @property
    def is_quick(self) -> bool:
        """Whether one statement that locks nothing but its own session, or begins one, will do."""
        return self.is_plain and (self.starts_session or not (self.near or self.is_elsewhere))

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
            or self.starts_session
            or carts.in_order(self.joined[0].cart, self.mark.at)
        )

    def body(self, about: Mapping[str, Any]) -> dict[str, Any]:
        """The event as kept, in a session that knows `about`."""
        told = stream.defaults(self.message, about)
        if self.arbitrary:
            told["data"] = self.arbitrary
        return told | self.additions
