"""One event: from its message to the disk, in one transaction (stream-api.md 4, 5 and 9).

Most events take two statements and no lock: what is known of the browser is read, the rules
decide, and one statement writes, provided that nobody wrote of this browser and nobody changed
the configuration meanwhile. Those that do more (identity, orders, sessions that join or split)
hold the browser's lock and do all of it in one transaction.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final
from uuid import UUID, uuid4

from innkeeper import clock
from innkeeper.actions.events import (
    append,
    browsers,
    event_attributes,
    incomplete_orders,
    order_completion,
    partitions,
    purchases,
    quarantine,
    session_records,
    stream_settings,
)
from innkeeper.actions.events.browsers import Browser
from innkeeper.actions.events.incoming import IncomingRecord, StateSuperseded
from innkeeper.actions.identity import ledger, visitors
from innkeeper.actions.privacy import block_list
from innkeeper.errors import ApiError, Invalid, Unavailable, UnknownBrowser
from innkeeper.resources import events
from innkeeper.rules import carts, event_types, missing_events, stream
from innkeeper.rules.merging import intent
from innkeeper.rules.missing_events import QuarantinedEvent
from innkeeper.rules.sessions import Mark, place_event
from innkeeper.rules.stream import IncomingEvent, InvalidEvent, ParsedEvent, StreamConfiguration
from innkeeper.store.work import Work

QUICK_ATTEMPTS: Final = 2
"""Times an event is tried without a lock: with many writers at one browser a queue is better."""
LOCKED_ATTEMPTS: Final = 10
"""Times an event is tried with the lock: only a configuration that keeps changing stops it."""
_UNDER_LOCK: Final = frozenset(
    {events.IDENTITY, events.CHECKOUT, events.ORDER_CHECKOUT, events.PAYMENT}
)


@dataclass(frozen=True, slots=True)
class Ingested:
    """What became of an event."""

    ref: UUID
    guest: UUID
    """The live guest of the browser."""
    quarantined: tuple[str, ...] = ()
    """Reasons for which it, or a part of it, went to quarantine."""
    attached: bool = True
    order: UUID | None = None
    """The order that it made or changed, of an event that was written under a lock."""


@dataclass(slots=True)
class _Incoming:
    """An event that is being recorded."""

    event: IncomingEvent
    reading: ParsedEvent
    browser: UUID
    ref: UUID
    kinds: dict[str, str]
    config: StreamConfiguration
    replay: bool


async def record(
    work: Work, sent: IncomingEvent, ref: UUID | None = None, *, replay: bool = False
) -> Ingested | None:
    """Attach an event to its session, or keep it in quarantine; committed when this returns.

    `replay`: `ref` waits in quarantine; it is attached and no longer waits, or its reason is
    brought up to date. None when it no longer waits. Raises `BadRequest` without `browser_id`
    or `type`, `UnknownBrowser`.
    """
    event = await _read_event(work, sent, ref, replay=replay)
    for _ in range(0 if replay else QUICK_ATTEMPTS):
        taken = await _attempt(work, event, _write_unlocked)
        if taken is not None:
            return taken
    for _ in range(LOCKED_ATTEMPTS):
        taken = await _attempt(work, event, _write_locked)
        if taken is not None or (replay and not await quarantine.is_pending(work, event.ref)):
            return taken
    raise Unavailable


async def record_batch(work: Work, several: Sequence[IncomingEvent]) -> list[Ingested | None]:
    """Attach events of one browser, in order of arrival, by one statement: as many as go on, one
    after the other, with the session it is remembered to have; committed when this returns.

    None for all that come after: nothing of them was written, and `record` does it.
    """
    steps: list[append.AppendStep] = []
    for sent in several:
        try:
            step = await _plan_step(work, sent, steps[-1].after if steps else None)
        except (ApiError, InvalidEvent):
            # It is told to its sender when it is recorded alone.
            break
        # The statement compares one configuration: that of the first.
        if step is None or (steps and step.record.settings != steps[0].record.settings):
            break
        steps.append(step)
    root = await append.append_all(work, steps) if len(steps) > 1 else None
    taken = [] if root is None else [Ingested(step.record.ref, root) for step in steps]
    return [*taken, *[None] * (len(several) - len(taken))]


async def _plan_step(
    work: Work, sent: IncomingEvent, before: Browser | None
) -> append.AppendStep | None:
    """An event that goes on with the only session of `before`, or else with that which is
    remembered; None when it does not, or does more."""
    event = await _read_event(work, sent)
    channel, at = event.reading.channel, event.reading.at
    await partitions.ensure_partition(work, event.config.version, at)
    if before is None:
        before = browsers.cached_browser(work, event.browser, channel, at)
    if before is None or not browsers.continues_session(before, channel, at):
        return None
    arrival = await _build_record(work, event, before)
    if _needs_lock(arrival) or arrival.starts_session or arrival.mark.cuts:
        return None
    return append.plan_step(arrival)


async def _read_event(
    work: Work, event: IncomingEvent, ref: UUID | None = None, *, replay: bool = False
) -> _Incoming:
    reading = stream.read(event)
    if reading.browser is None:
        raise UnknownBrowser
    for person in event_types.named_in(reading.type, event.message):
        await block_list.refuse_blocked(work, person)
    kinds = await event_attributes.fetch_kinds(work, reading.type, event.message.get("ext"))
    config = await (stream_settings.read if replay else stream_settings.fetch_cached)(work)
    return _Incoming(event, reading, reading.browser, ref or uuid4(), kinds, config, replay)


async def _attempt(
    work: Work, event: _Incoming, write: Callable[[Work, _Incoming], Awaitable[Ingested | None]]
) -> Ingested | None:
    """Record an event in one of two ways, or keep it in quarantine; None: try again."""
    await partitions.ensure_partition(work, event.config.version, event.reading.at)
    try:
        taken = await write(work, event)
    except StateSuperseded:
        taken = None
    except (InvalidEvent, Invalid) as error:
        problem = error if isinstance(error, InvalidEvent) else _invalid_event(error)
        taken = await _quarantine(work, event, problem)
    if taken is None:
        event.config = await stream_settings.read(work)
    return taken


def _invalid_event(error: Invalid) -> InvalidEvent:
    return InvalidEvent(stream.BAD_ATTRIBUTES, "; ".join(error.errors))


async def _quarantine(work: Work, event: _Incoming, problem: InvalidEvent) -> Ingested | None:
    if event.replay:
        kept = await quarantine.store_failure(work, event.ref, problem)
    elif event.reading.type in missing_events.TYPES:
        kept = await _store_cart_event(work, event, problem)
    else:
        kept = await _store_quarantined(work, event, problem)
    if not kept:
        return None
    guest = await browsers.guest_of(work, event.browser)
    return Ingested(event.ref, guest, (problem.reason,), attached=False)


async def _store_quarantined(work: Work, event: _Incoming, problem: InvalidEvent) -> bool:
    return await quarantine.store_event(
        work, problem, event.event, event.reading, event.ref, event.config
    )


async def _store_cart_event(work: Work, event: _Incoming, problem: InvalidEvent) -> bool:
    """Keep an event of a cart, and link it where an order was made without it already."""
    reading, reach = event.reading, event.config.longest_timeout
    where = (event.browser, reading.channel, reading.at, reach)
    async with work.transaction():
        await browsers.lock(work, *where)
        if not await _store_quarantined(work, event, problem):
            return False
        known = await browsers.fetch_state(work, *where)
        if known is not None:
            late = QuarantinedEvent(event.ref, reading.type, reading.at, event.event.message)
            await incomplete_orders.link_late(work, late, known.sessions, reading.channel)
    return True


async def _write_unlocked(work: Work, event: _Incoming) -> Ingested | None:
    """An event that is written by one statement; None when that came too late, or it is not."""
    reading = event.reading
    known = browsers.cached_browser(work, event.browser, reading.channel, reading.at)
    if known is None:
        begun = await _append_unread(work, event)
        if isinstance(begun, UUID):
            return Ingested(event.ref, begun)
        known = begun
    arrival = await _build_record(work, event, known)
    if not _needs_lock(arrival):
        guest = await append.append(work, arrival)
        return None if guest is None else Ingested(event.ref, guest)
    return await _write_locked(work, event)


async def _append_unread(work: Work, event: _Incoming) -> UUID | Browser | None:
    """Most events of a browser that is not remembered begin a session, and those that tell where
    they happened are written without reading it: the live guest. Else the browser, as it was
    read instead; None when it was not."""
    reading = event.reading
    if reading.channel is None or not (reading.point_of_sale or event.event.site is not None):
        return None
    try:
        arrival = await _build_record(work, event, browsers.unread_browser(event.browser))
    except (InvalidEvent, Invalid):
        # Whether there is such a browser comes first.
        return None
    if _needs_lock(arrival):
        return None
    return await append.append_unread(work, arrival, event.config.longest_timeout)


async def _build_record(
    work: Work, event: _Incoming, known: Browser | None = None
) -> IncomingRecord:
    """The event with all that is known of its browser; raises `Misused`, `UnknownBrowser`."""
    reading, sent = event.reading, event.event
    browser = known or await _browser(work, event)
    stream.check_name(reading.type)
    point = event.config.point_of_sale(reading.point_of_sale, sent.site, browser.point_of_sale)
    meaning, parts = event_types.meaning_of(reading.type, sent.message)
    arbitrary = stream.arbitrary(sent.message)
    if "ext" in arbitrary:
        arbitrary["ext"], bad = stream.usable_ext(arbitrary["ext"], event.kinds)
        parts = parts + bad
    cuts = reading.type == events.FORCE_CLOSE and (work.settings.force_close or point.test)
    mark = Mark(reading.at, point.timeout, cuts)
    arrival = IncomingRecord(
        ref=event.ref,
        type=reading.type,
        mark=mark,
        channel=reading.channel or browser.channel or events.WEB,
        point_of_sale=point.name,
        message=sent.message,
        arbitrary=arbitrary,
        meaning=meaning,
        parts=[*reading.parts, *parts],
        received_at=sent.received_at,
        user_agent=sent.user_agent,
        settings=event.config.version,
        browser=browser,
        placement=place_event([session.span for session in browser.sessions], mark),
    )
    carts.check_room([session.cart for session in arrival.joined], arrival.type, meaning)
    return arrival


async def _browser(work: Work, event: _Incoming) -> Browser:
    channel, at = event.reading.channel, event.reading.at
    reach = event.config.longest_timeout
    found = await browsers.fetch_state(work, event.browser, channel, at, reach)
    if found is None and channel == events.BOT:
        await browsers.create_if_absent(work, event.browser)
        found = await browsers.fetch_state(work, event.browser, channel, at, reach)
    if found is None:
        raise UnknownBrowser
    return found


def _needs_lock(record: IncomingRecord) -> bool:
    """Whether more than one statement has to be written."""
    return (
        record.type in _UNDER_LOCK
        or bool(record.parts)
        or not record.is_quick
        # To be seen is a write to a guest, which merges must know of.
        or (record.starts_session and record.browser.in_group)
    )


async def _write_locked(work: Work, event: _Incoming) -> Ingested | None:
    """The whole of an event in one transaction; None when it must be tried again."""
    async with work.transaction():
        channel, at = event.reading.channel, event.reading.at
        reach = event.config.longest_timeout
        locked = await browsers.lock(work, event.browser, channel, at, reach)
        held = await quarantine.lock_pending(work, event.ref) if event.replay else None
        if event.replay and held is None:
            return None
        arrival = await _build_record(work, event)
        if not locked:
            # A bot's browser, which came into being just now.
            return None
        guest = arrival.browser.root
        if arrival.type == events.IDENTITY:
            guest = await _identify(work, arrival)
        elif arrival.type in _UNDER_LOCK:
            await purchases.apply_order_event(
                work, arrival, await session_records.cart_before(work, arrival)
            )
        # After IDENTITY a session may be of a guest who was not there when it began.
        if arrival.type == events.IDENTITY or (arrival.starts_session and arrival.browser.in_group):
            wish = intent("see", arrival.session_start)
            await ledger.write_group(work, arrival.guest, wish, root=guest)
        change = await order_completion.find_completion(work, arrival, held)
        if not await append.write_locked(work, arrival):
            raise StateSuperseded
        if change is not None:
            await order_completion.complete(work, arrival, change)
        for part in arrival.parts:
            await quarantine.store_part(work, part, arrival, event.event)
        if event.replay:
            await quarantine.mark_replayed(work, event.ref)
    reasons = tuple(dict.fromkeys(part.reason for part in arrival.parts))
    made = arrival.additions.get("order")
    order = UUID(made) if made else change.order if change is not None else None
    return Ingested(event.ref, guest, reasons, order=order)


async def _identify(work: Work, record: IncomingRecord) -> UUID:
    """Whose browser it is after IDENTITY; the live guest (identity.md 3)."""
    browser = record.browser
    meaning: dict[str, Any] = record.meaning
    guest = await visitors.identify(
        work, browser.guest, meaning["identifiers"], meaning["person"], source_ref=record.ref
    )
    rows = await work.all("browsers.roots", refs=[guest, browser.guest])
    roots = {row["ref"]: row["root"] for row in rows}
    if guest != browser.guest:
        await work.run("browsers.relink", ref=browser.ref, guest=guest)
        record.browser = replace(browser, version=browser.version + 1)
    if roots[guest] != roots[browser.guest]:
        await append.cut_open_sessions(work, record, clock.now())
    record.guest = guest
    return roots[guest]  # type: ignore[no-any-return]
