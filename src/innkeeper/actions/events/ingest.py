"""Record an event in one transaction, or several in one statement (stream-api.md 4, 5 and 9).

Most events take two statements and no lock: read the state of the browser, apply the rules, and
write in one statement, which succeeds if neither the browser nor the configuration has changed
meanwhile. Events that do more (identity, orders, sessions that join or split) lock the browser and
do everything in one transaction.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from innkeeper import clock
from innkeeper.actions.events import (
    append,
    browsers,
    incomplete_orders,
    order_completion,
    partitions,
    purchases,
    quarantine,
    session_records,
    stream_settings,
)
from innkeeper.actions.events.browsers import Browser
from innkeeper.actions.events.incoming import (
    UNDER_LOCK,
    IncomingRecord,
    StateSuperseded,
    ValidEvent,
    build_record,
    read_event,
)
from innkeeper.actions.identity import ledger, visitors
from innkeeper.errors import ApiError, Invalid, Unavailable
from innkeeper.resources import events
from innkeeper.rules import missing_events, stream
from innkeeper.rules.merging import intent
from innkeeper.rules.missing_events import QuarantinedEvent
from innkeeper.rules.stream import IncomingEvent, InvalidEvent
from innkeeper.store.work import Work

QUICK_ATTEMPTS: Final = 2
"""Attempts without a lock: with many writers of one browser, waiting for the lock is better."""
LOCKED_ATTEMPTS: Final = 10
"""Attempts with the lock: they fail only while the configuration keeps changing."""


@dataclass(frozen=True, slots=True)
class Ingested:
    """The outcome of an event."""

    ref: UUID
    guest: UUID
    """The live guest of the browser."""
    quarantined: tuple[str, ...] = ()
    """Reasons for which the event, or a part of it, went to quarantine."""
    attached: bool = True
    order: UUID | None = None
    """The order that the event created or changed; only set if it was written under a lock."""


async def record(
    work: Work, event: IncomingEvent, ref: UUID | None = None, *, replay: bool = False
) -> Ingested | None:
    """Attach an event to its session, or store it in quarantine; committed on return.

    `replay`: the event `ref` is in quarantine; it is attached and removed from quarantine, or its
    reason is updated. Returns None if it is not in quarantine any more. Raises `BadRequest` without
    `browser_id` or `type`, `UnknownBrowser`.
    """
    incoming = await read_event(work, event, ref, replay=replay)
    for _ in range(0 if replay or is_slow(event) else QUICK_ATTEMPTS):
        ingested = await _attempt(work, incoming, _write_unlocked)
        if ingested is not None:
            return ingested
    for _ in range(LOCKED_ATTEMPTS):
        ingested = await _attempt(work, incoming, _write_locked)
        if ingested is not None or (replay and not await quarantine.is_pending(work, incoming.ref)):
            return ingested
    raise Unavailable


async def record_batch(
    work: Work, incoming_events: Sequence[IncomingEvent]
) -> list[Ingested | None]:
    """Attach plain events, those of a browser in order of arrival, in one statement; committed on
    return.

    The others, and all later events of their browsers, are None: they are not written, and the
    caller records each by `record`.
    """
    left: set[str] = set()
    read = [await _read_plain(work, event, left) for event in incoming_events]
    first: dict[UUID, ValidEvent] = {}
    for event in read:
        if event is not None:
            first.setdefault(event.browser, event)
    states = await _states(work, first.values())
    steps = [await _plan_step(work, event, first, states) for event in read]
    planned = [step for step in steps if step is not None]
    roots = iter(await append.append_all(work, planned) if planned else [])
    return [
        None if step is None or (root := next(roots)) is None else Ingested(step.record.ref, root)
        for step in steps
    ]


async def _read_plain(work: Work, event: IncomingEvent, left: set[str]) -> ValidEvent | None:
    """Validate an event; None, and its browser `left`, if its sender gets an error."""
    browser = str(event.message.get("browser_id"))
    try:
        return None if browser in left else await read_event(work, event)
    except (ApiError, InvalidEvent):
        left.add(browser)
        return None


def is_slow(event: IncomingEvent) -> bool:
    """Whether an event is certainly written in more than one statement."""
    type_ = event.message.get("type")
    return isinstance(type_, str) and type_ in UNDER_LOCK


async def _states(work: Work, events: Iterable[ValidEvent]) -> dict[UUID, Browser]:
    """Return the browsers of events of different browsers: as cached, if the event continues that
    session, else as read by one statement for all."""
    states: dict[UUID, Browser] = {}
    unread: list[tuple[UUID, str | None, datetime, timedelta]] = []
    for event in events:
        channel, at = event.reading.channel, event.reading.at
        cached = browsers.cached_browser(work, event.browser, channel, at)
        if cached is None:
            unread.append((event.browser, channel, at, event.config.longest_timeout))
        else:
            states[event.browser] = cached
    return states | (await browsers.fetch_states(work, unread) if unread else {})


async def _plan_step(
    work: Work,
    event: ValidEvent | None,
    first: Mapping[UUID, ValidEvent],
    states: dict[UUID, Browser],
) -> append.AppendStep | None:
    """Plan an event that starts or continues one session, and set the state of its browser.

    Returns None if it does more, or comes after one that did: then the browser has no state.
    """
    before = None if event is None else states.pop(event.browser, None)
    if event is None or before is None:
        return None
    channel, at = event.reading.channel, event.reading.at
    if event is not first[event.browser] and not (
        browsers.continues_session(before, channel, at)
        # The statement compares one configuration for the events of a browser.
        and event.config.version == first[event.browser].config.version
    ):
        return None
    await partitions.ensure_partition(work, event.config.version, at)
    try:
        record = await build_record(work, event, before)
    except (ApiError, InvalidEvent):
        return None
    if record.needs_lock or record.mark.ends_session:
        return None
    step = append.plan_step(record)
    states[event.browser] = step.after
    return step


async def _attempt(
    work: Work, event: ValidEvent, write: Callable[[Work, ValidEvent], Awaitable[Ingested | None]]
) -> Ingested | None:
    """Record an event by `write`, or store it in quarantine; None: try again."""
    await partitions.ensure_partition(work, event.config.version, event.reading.at)
    try:
        ingested = await write(work, event)
    except StateSuperseded:
        ingested = None
    except (InvalidEvent, Invalid) as error:
        problem = error if isinstance(error, InvalidEvent) else _invalid_event(error)
        ingested = await _quarantine(work, event, problem)
    if ingested is None:
        event.config = await stream_settings.read(work)
    return ingested


def _invalid_event(error: Invalid) -> InvalidEvent:
    """Convert invalid attributes to a reason for quarantine."""
    return InvalidEvent(stream.BAD_ATTRIBUTES, "; ".join(error.errors))


async def _quarantine(work: Work, event: ValidEvent, problem: InvalidEvent) -> Ingested | None:
    """Store an invalid event in quarantine; None if the configuration has changed meanwhile."""
    if event.replay:
        is_stored = await quarantine.store_failure(work, event.ref, problem)
    elif event.reading.type in missing_events.TYPES:
        is_stored = await _store_cart_event(work, event, problem)
    else:
        is_stored = await _store_quarantined(work, event, problem)
    if not is_stored:
        return None
    guest = await browsers.guest_of(work, event.browser)
    return Ingested(event.ref, guest, (problem.reason,), attached=False)


async def _store_quarantined(work: Work, event: ValidEvent, problem: InvalidEvent) -> bool:
    return await quarantine.store_event(
        work, problem, event.event, event.reading, event.ref, event.config
    )


async def _store_cart_event(work: Work, event: ValidEvent, problem: InvalidEvent) -> bool:
    """Store a cart event in quarantine, and link it to an order that was created without it."""
    reading, longest_timeout = event.reading, event.config.longest_timeout
    scope = (event.browser, reading.channel, reading.at, longest_timeout)
    async with work.transaction():
        browser = await browsers.lock(work, *scope)
        if not await _store_quarantined(work, event, problem):
            return False
        if browser is not None:
            late = QuarantinedEvent(event.ref, reading.type, reading.at, event.event.message)
            await incomplete_orders.link_late(work, late, browser.sessions, reading.channel)
    return True


async def _write_unlocked(work: Work, event: ValidEvent) -> Ingested | None:
    """Write an event in one statement without a lock if possible, else under the lock.

    Returns None if the browser or the configuration has changed meanwhile.
    """
    reading = event.reading
    browser = browsers.cached_browser(work, event.browser, reading.channel, reading.at)
    if browser is None:
        guest_or_browser = await _append_unread(work, event)
        if isinstance(guest_or_browser, UUID):
            return Ingested(event.ref, guest_or_browser)
        browser = guest_or_browser
    record = await build_record(work, event, browser)
    if not record.needs_lock:
        guest = await append.append(work, record)
        return None if guest is None else Ingested(event.ref, guest)
    return await _write_locked(work, event)


async def _append_unread(work: Work, event: ValidEvent) -> UUID | Browser | None:
    """Write an event of a browser that is not cached without reading the browser, if the event
    starts a session and has channel and point of sale.

    Returns the live guest if it was written, else the browser if it was read instead, else None.
    """
    reading = event.reading
    if reading.channel is None or not (reading.point_of_sale or event.event.site is not None):
        return None
    try:
        record = await build_record(work, event, browsers.unread_browser(event.browser))
    except (InvalidEvent, Invalid):
        # An unknown browser must be reported first.
        return None
    if record.needs_lock:
        return None
    return await append.append_unread(work, record, event.config.longest_timeout)


async def _write_locked(work: Work, event: ValidEvent) -> Ingested | None:
    """Write an event in one transaction under the browser's lock; None if it must be retried."""
    async with work.transaction():
        channel, at = event.reading.channel, event.reading.at
        longest_timeout = event.config.longest_timeout
        locked = await browsers.lock(work, event.browser, channel, at, longest_timeout)
        quarantined = await quarantine.lock_pending(work, event.ref) if event.replay else None
        if event.replay and quarantined is None:
            return None
        record = await build_record(work, event, locked)
        if locked is None:
            # The browser of a bot, which was created just now.
            return None
        guest = record.browser.root
        if record.type == events.IDENTITY:
            guest = await _identify(work, record)
        elif record.type in UNDER_LOCK:
            await purchases.apply_order_event(
                work, record, await session_records.cart_before(work, record)
            )
        if record.type != events.IDENTITY and record.starts_session and record.browser.in_group:
            await _see(work, record, guest)
        change = await order_completion.find_completion(work, record, quarantined)
        if not await append.write_locked(work, record):
            raise StateSuperseded
        if change is not None:
            await order_completion.complete(work, record, change)
        for part in record.parts:
            await quarantine.store_part(work, part, record, event.event)
        if event.replay:
            await quarantine.mark_replayed(work, event.ref)
    reasons = tuple(dict.fromkeys(part.reason for part in record.parts))
    order_ref = record.additions.get("order")
    order = UUID(order_ref) if order_ref else change.order if change is not None else None
    return Ingested(event.ref, guest, reasons, order=order)


async def _identify(work: Work, record: IncomingRecord) -> UUID:
    """Resolve the guest of the browser after IDENTITY; returns the live guest (identity.md 3)."""
    browser = record.browser
    meaning: dict[str, Any] = record.meaning
    identified = await visitors.identify(
        work,
        browser.guest,
        meaning["identifiers"],
        meaning["person"],
        source_ref=record.ref,
        last_seen=record.session_start,
    )
    record.guest = identified.guest
    if identified.guest == browser.guest:
        return identified.root
    rows = await work.all("browsers.roots", refs=[identified.guest, browser.guest])
    roots = {row["ref"]: row["root"] for row in rows}
    await work.run("browsers.relink", ref=browser.ref, guest=identified.guest)
    record.browser = replace(browser, version=browser.version + 1)
    root: UUID = roots[identified.guest]
    if root != roots[browser.guest]:
        await append.cut_open_sessions(work, record, clock.now())
    # The session may belong to a guest who did not exist when it started.
    await _see(work, record, root)
    return root


async def _see(work: Work, record: IncomingRecord, root: UUID) -> None:
    """Record that the guest of an event, whose live guest is `root`, was seen when its session
    started."""
    await ledger.write_group(work, record.guest, intent("see", record.session_start), root=root)
