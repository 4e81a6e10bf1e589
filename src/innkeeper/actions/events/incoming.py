"""Read an event and combine it with the state of its browser, before it is written."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID, uuid4

from innkeeper.actions.events import browsers, event_attributes, stream_settings
from innkeeper.actions.events.browsers import Browser, StoredSession
from innkeeper.actions.privacy import block_list
from innkeeper.errors import UnknownBrowser
from innkeeper.resources import events
from innkeeper.rules import carts, event_types, stream
from innkeeper.rules.sessions import Mark, Placement, place_event
from innkeeper.rules.stream import IncomingEvent, InvalidPart, ParsedEvent, StreamConfiguration
from innkeeper.store.work import Work

UNDER_LOCK: Final = frozenset(
    {events.IDENTITY, events.CHECKOUT, events.ORDER_CHECKOUT, events.PAYMENT}
)
"""Types of events that are always written under the lock of their browser."""


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
    def needs_lock(self) -> bool:
        """Whether writing the event takes more than one statement."""
        return (
            self.type in UNDER_LOCK
            or bool(self.parts)
            or not self.is_quick
            # The new `last_seen` is a write to a merged guest.
            or (self.starts_session and self.browser.in_group)
        )

    @property
    def is_elsewhere(self) -> bool:
        """Whether channel or point of sale differ from those of the browser's previous event."""
        before = self.browser
        return (before.channel, before.point_of_sale) != (self.channel, self.point_of_sale)

    @property
    def is_plain(self) -> bool:
        """Whether the event changes one session only, without reading earlier events."""
        return self.placement.is_plain and (
            self.type not in events.CART_TYPES
            or self.starts_session
            or carts.in_order(self.joined[0].cart, self.mark.at)
        )

    def body(self, details: Mapping[str, Any]) -> dict[str, Any]:
        """Return the event as it is stored, with defaults of its session from `details`."""
        members = stream.defaults(self.message, details)
        if self.arbitrary:
            members["data"] = self.arbitrary
        return members | self.additions


@dataclass(slots=True)
class ValidEvent:
    """An event without errors of the request, with the configuration that it was read with."""

    event: IncomingEvent
    reading: ParsedEvent
    browser: UUID
    ref: UUID
    kinds: dict[str, str]
    config: StreamConfiguration
    replay: bool


async def read_event(
    work: Work, event: IncomingEvent, ref: UUID | None = None, *, replay: bool = False
) -> ValidEvent:
    """Validate an event and read the configuration; raises `UnknownBrowser` and other errors of the
    request."""
    reading = stream.read(event)
    if reading.browser is None:
        raise UnknownBrowser
    for person in event_types.named_in(reading.type, event.message):
        await block_list.refuse_blocked(work, person)
    kinds = await event_attributes.fetch_kinds(work, reading.type, event.message.get("ext"))
    config = await (stream_settings.read if replay else stream_settings.fetch_cached)(work)
    return ValidEvent(event, reading, reading.browser, ref or uuid4(), kinds, config, replay)


async def build_record(
    work: Work, event: ValidEvent, state: Browser | None = None
) -> IncomingRecord:
    """Combine an event with the state of its browser, which is read unless it is passed.

    Raises `InvalidEvent`, `Invalid` and `UnknownBrowser`.
    """
    reading, original = event.reading, event.event
    browser = state or await _fetch_browser(work, event)
    stream.check_name(reading.type)
    point = event.config.point_of_sale(reading.point_of_sale, original.site, browser.point_of_sale)
    meaning, parts = event_types.meaning_of(reading.type, original.message)
    arbitrary = stream.arbitrary(original.message)
    if "ext" in arbitrary:
        arbitrary["ext"], bad = stream.usable_ext(arbitrary["ext"], event.kinds)
        parts = parts + bad
    ends_session = reading.type == events.FORCE_CLOSE and (work.settings.force_close or point.test)
    mark = Mark(reading.at, point.timeout, ends_session)
    record = IncomingRecord(
        ref=event.ref,
        type=reading.type,
        mark=mark,
        channel=reading.channel or browser.channel or events.WEB,
        point_of_sale=point.name,
        message=original.message,
        arbitrary=arbitrary,
        meaning=meaning,
        parts=[*reading.parts, *parts],
        received_at=original.received_at,
        user_agent=original.user_agent,
        settings=event.config.version,
        browser=browser,
        placement=place_event([session.span for session in browser.sessions], mark),
    )
    carts.check_room([session.cart for session in record.joined], record.type, meaning)
    return record


async def _fetch_browser(work: Work, event: ValidEvent) -> Browser:
    channel, at = event.reading.channel, event.reading.at
    longest_timeout = event.config.longest_timeout
    browser = await browsers.fetch_state(work, event.browser, channel, at, longest_timeout)
    if browser is None and channel == events.BOT:
        await browsers.create_if_absent(work, event.browser)
        browser = await browsers.fetch_state(work, event.browser, channel, at, longest_timeout)
    if browser is None:
        raise UnknownBrowser
    return browser
