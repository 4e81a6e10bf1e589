"""One event: from its message to the disk, in one transaction (stream-api.md 4, 5 and 9).

Most events take two statements and no lock: what is known of the browser is read, the rules
decide, and one statement writes, provided that nobody wrote of this browser and nobody changed
the configuration meanwhile. Those that do more (identity, orders, sessions that join or split)
hold the browser's lock and do all of it in one transaction.
"""

from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID, uuid4

from innkeeper import clock
from innkeeper.actions import (
    browsers,
    event_attributes,
    ledger,
    placing,
    purchases,
    quarantine,
    resolution,
    stream_settings,
)
from innkeeper.actions.browsers import Browser
from innkeeper.actions.placing import Arrival
from innkeeper.errors import Invalid, UnknownBrowser
from innkeeper.resources import events
from innkeeper.rules import event_types, stream
from innkeeper.rules.merging import intent
from innkeeper.rules.sessions import Mark, place
from innkeeper.rules.stream import Configuration, Misused, Reading, Sent
from innkeeper.store.work import Work

QUICK_ATTEMPTS: Final = 2
"""Times an event is tried without a lock: with many writers at one browser a queue is better."""
_UNDER_LOCK: Final = frozenset(
    {events.IDENTITY, events.CHECKOUT, events.ORDER_CHECKOUT, events.PAYMENT}
)


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of an event."""

    ref: UUID
    guest: UUID
    """The live guest of the browser."""
    quarantined: tuple[str, ...] = ()
    """Reasons for which it, or a part of it, went to quarantine."""
    attached: bool = True


async def record(
    work: Work, sent: Sent, ref: UUID | None = None, *, replay: bool = False
) -> Taken | None:
    """Attach an event to its session, or keep it in quarantine; committed when this returns.

    `replay`: `ref` waits in quarantine; it is attached and no longer waits, or its reason is
    brought up to date. None when it no longer waits. Raises `BadRequest` without `browser_id`
    or `type`, `UnknownBrowser`.
    """
    reading = stream.read(sent)
    if reading.browser is None:
        raise UnknownBrowser
    ref = ref or uuid4()
    kinds = await event_attributes.kinds(work, reading.type, sent.message.get("ext"))
    config = await stream_settings.current(work)
    attempt = QUICK_ATTEMPTS if replay else 0
    while True:
        attempt += 1
        try:
            if attempt <= QUICK_ATTEMPTS:
                arrival = await _arrived(work, sent, reading, config, kinds, ref)
                if not _needs_lock(arrival):
                    if await placing.append(work, arrival):
                        return Taken(ref, arrival.browser.root)
                    config = await stream_settings.read(work)
                    continue
            taken = await _under_lock(work, sent, reading, config, kinds, ref, replay)
        except (Misused, Invalid) as problem:
            kept = await quarantine.keep(
                work, _problem(problem), sent, reading, ref, config, replay
            )
            if kept:
                guest = await browsers.guest_of(work, reading.browser)
                return Taken(ref, guest, (_problem(problem).reason,), attached=False)
            taken = None
        if taken is not None or (replay and not await quarantine.waits(work, ref)):
            return taken
        config = await stream_settings.read(work)


def _problem(problem: Misused | Invalid) -> Misused:
    if isinstance(problem, Misused):
        return problem
    return Misused(stream.BAD_ATTRIBUTES, "; ".join(problem.errors))


async def _arrived(
    work: Work,
    sent: Sent,
    reading: Reading,
    config: Configuration,
    kinds: dict[str, str],
    ref: UUID,
) -> Arrival:
    """The event with all that is known of its browser; raises `Misused`, `UnknownBrowser`."""
    browser = await _browser(work, reading, config)
    stream.check_name(reading.type)
    point = config.point_of_sale(reading.point_of_sale, sent.site, browser.point_of_sale)
    meaning, parts = event_types.told(reading.type, sent.message)
    arbitrary = stream.arbitrary(sent.message)
    if "ext" in arbitrary:
        arbitrary["ext"], bad = stream.usable_ext(arbitrary["ext"], kinds)
        parts = parts + bad
    cuts = reading.type == events.FORCE_CLOSE and (work.settings.force_close or point.test)
    mark = Mark(reading.at, point.timeout, cuts)
    return Arrival(
        ref=ref,
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
        settings=config.version,
        browser=browser,
        placement=place([session.span for session in browser.sessions], mark),
    )


async def _browser(work: Work, reading: Reading, config: Configuration) -> Browser:
    browser = reading.browser
    assert browser is not None  # noqa: S101 - `record` has looked
    reach = config.longest_timeout
    found = await browsers.state(work, browser, reading.channel, reading.at, reach)
    if found is None and reading.channel == events.BOT:
        await browsers.create_unless_known(work, browser)
        found = await browsers.state(work, browser, reading.channel, reading.at, reach)
    if found is None:
        raise UnknownBrowser
    return found


def _needs_lock(arrival: Arrival) -> bool:
    """Whether more than one statement has to be written."""
    return (
        arrival.type in _UNDER_LOCK
        or bool(arrival.parts)
        or not arrival.is_plain
        # To be seen is a write to a guest, which merges must know of.
        or (arrival.begins and arrival.browser.in_group)
    )


async def _under_lock(
    work: Work,
    sent: Sent,
    reading: Reading,
    config: Configuration,
    kinds: dict[str, str],
    ref: UUID,
    replay: bool,
) -> Taken | None:
    """The whole of an event in one transaction; None when something else came between."""
    async with work.transaction():
        if not await work.one("browsers.lock", ref=reading.browser):
            await _browser(work, reading, config)
            return None
        if replay and not await quarantine.hold(work, ref):
            return None
        arrival = await _arrived(work, sent, reading, config, kinds, ref)
        guest = arrival.browser.root
        if arrival.type == events.IDENTITY:
            guest = await _identified(work, arrival)
        elif arrival.type in _UNDER_LOCK:
            await purchases.settle(work, arrival, await placing.cart_before(work, arrival))
        if arrival.begins and (arrival.browser.in_group or arrival.type == events.IDENTITY):
            wish = intent("see", arrival.mark.at)
            await ledger.reach(work, arrival.guest, wish, root=guest)
        if not await placing.write(work, arrival):
            raise placing.Superseded
        for part in arrival.parts:
            await quarantine.keep_part(work, part, arrival, sent)
        if replay:
            await quarantine.done(work, ref)
    return Taken(ref, guest, tuple(dict.fromkeys(part.reason for part in arrival.parts)))


async def _identified(work: Work, arrival: Arrival) -> UUID:
    """Whose browser it is after IDENTITY; the live guest (identity.md 3)."""
    browser = arrival.browser
    meaning: dict[str, Any] = arrival.meaning
    guest = await resolution.identify(
        work, browser.guest, meaning["identifiers"], meaning["person"], source_ref=arrival.ref
    )
    rows = await work.all("browsers.roots", refs=[guest, browser.guest])
    roots = {row["ref"]: row["root"] for row in rows}
    if guest != browser.guest:
        await work.run("browsers.relink", ref=browser.ref, guest=guest)
    if roots[guest] != roots[browser.guest]:
        await placing.cut_for_another(work, arrival, clock.now())
    arrival.guest = guest
    return roots[guest]  # type: ignore[no-any-return]
