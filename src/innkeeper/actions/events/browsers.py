"""Browsers: create and read them, cache their current session, delete old visitors."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from operator import itemgetter
from typing import Any, Final
from uuid import UUID, uuid4

from innkeeper import clock
from innkeeper.errors import Conflict, UnknownBrowser
from innkeeper.rules.sessions import EndedBy, Span
from innkeeper.store.work import Row, Work

CACHE_SIZE: Final = 4096
"""Number of browsers whose current session a process caches."""
CACHED_LENGTH_MAX: Final = 2000
"""Maximum length of the data of a session, in characters, that is cached."""
UNREAD_GUEST: Final = UUID(int=0)
"""The guest of a browser that was not read."""
PURGE_BATCH: Final = 500
"""Visitors deleted in one transaction."""


@dataclass(frozen=True, slots=True)
class StoredSession:
    """A session of a browser as stored."""

    ref: UUID
    guest: UUID
    root: UUID
    """The live guest: the survivor of `guest`, or `guest` itself."""
    version: int
    span: Span
    ended_by: EndedBy | None
    events: int
    details: dict[str, Any]
    cart: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class Browser:
    """A browser before an event, with the sessions in reach of the event."""

    ref: UUID
    guest: UUID
    """The guest as stored, live or merged."""
    root: UUID
    """The live guest: the survivor of `guest`, or `guest` itself."""
    root_type: str | None
    """The type of the live guest; None if it was not read."""
    in_group: bool
    """Whether `guest` is part of a merge."""
    version: int
    channel: str | None
    point_of_sale: str | None
    sessions: Sequence[StoredSession]


async def create(work: Work, ref: UUID | None = None) -> tuple[UUID, UUID]:
    """Create a browser and its guest, a visitor; returns their refs."""
    browser, guest = ref or uuid4(), uuid4()
    await work.run("browsers.create", ref=browser, guest=guest)
    return browser, guest


async def guest_of(work: Work, browser: UUID) -> UUID:
    """Return the live guest of a browser; raises `UnknownBrowser`."""
    row = await work.one("browsers.fetch", ref=browser)
    if row is None:
        raise UnknownBrowser
    guest: UUID = row["guest_ref"]
    return guest


# The least recently used first.
_cache: OrderedDict[tuple[str, UUID], Browser] = OrderedDict()


def cache_browser(work: Work, browser: Browser) -> None:
    """Cache the browser that was just written, for its next event.

    The copy may be out of date by then: a statement that relies on it compares the version and
    returns the live guest.
    """
    (session,) = browser.sessions
    key = (work.workspace, browser.ref)
    if session.cart is not None or len(str(session.details)) > CACHED_LENGTH_MAX:
        _cache.pop(key, None)
        return
    _cache[key] = browser
    _cache.move_to_end(key)
    if len(_cache) > CACHE_SIZE:
        _cache.popitem(last=False)


def drop_cached(work: Work, browser: UUID) -> None:
    """Remove a browser from the cache, since it is out of date."""
    _cache.pop((work.workspace, browser), None)


def cached_browser(work: Work, browser: UUID, channel: str | None, at: datetime) -> Browser | None:
    """Return the cached browser with its session, if an event at `at` certainly continues it."""
    cached = _cache.get((work.workspace, browser))
    return cached if cached is not None and continues_session(cached, channel, at) else None


def continues_session(browser: Browser, channel: str | None, at: datetime) -> bool:
    """Whether an event at `at` certainly continues the only cached session of a browser."""
    span = browser.sessions[0].span
    is_same_channel = channel in (None, browser.channel)
    return is_same_channel and span.ended_at is None and span.last_at <= at <= span.expires_at


async def fetch_state(
    work: Work, browser: UUID, channel: str | None, at: datetime, longest_timeout: timedelta
) -> Browser | None:
    """Fetch a browser and its sessions on one channel that an event at `at` may affect, with their
    neighbours; None if there is no such browser."""
    until = at + longest_timeout
    rows = await work.all("browsers.state", browser=browser, channel=channel, at=at, until=until)
    return browser_from_rows(rows) if rows else None


async def fetch_states(
    work: Work, requested: Sequence[tuple[UUID, str | None, datetime, timedelta]]
) -> dict[UUID, Browser]:
    """Fetch several browsers as `fetch_state` does, by ref, in one statement."""
    refs, channels, times, timeouts = zip(*requested, strict=True)
    rows = await work.all(
        "browsers.states",
        refs=list(refs),
        channels=list(channels),
        times=list(times),
        until=[at + longest_timeout for at, longest_timeout in zip(times, timeouts, strict=True)],
    )
    return {
        ref: browser_from_rows(list(of_browser))
        for ref, of_browser in groupby(rows, key=itemgetter("browser_ref"))
    }


def browser_from_rows(rows: Sequence[Row]) -> Browser:
    """Return the browser in rows of `browsers.state`."""
    row = rows[0]
    return Browser(
        row["browser_ref"],
        row["browser_guest"],
        row["root"],
        row["root_type"],
        row["in_group"] or row["root"] != row["browser_guest"],
        row["version"],
        row["last_channel"],
        row["last_point_of_sale"],
        [_session(row) for row in rows if row["ref"] is not None],
    )


def unread_browser(browser: UUID) -> Browser:
    """Return a browser that was not read, assumed to have no session that an event continues.

    The statement that writes the event checks this and returns the guest of the browser.
    """
    return Browser(browser, UNREAD_GUEST, UNREAD_GUEST, None, False, 0, None, None, [])


async def lock(
    work: Work, browser: UUID, channel: str | None, at: datetime, longest_timeout: timedelta
) -> Browser | None:
    """Lock a browser and the sessions that an event may affect until the transaction ends.

    Returns the browser as `fetch_state` does.
    """
    until = at + longest_timeout
    rows = await work.all(
        "browsers.lock_state", browser=browser, channel=channel, at=at, until=until
    )
    return browser_from_rows(rows) if rows else None


async def create_if_absent(work: Work, browser: UUID) -> None:
    """Create a browser with an id of the caller's choice, as bots use (stream-api.md 9)."""
    try:
        await create(work, browser)
    except Conflict:
        # Two first events arrived at the same time.
        return


async def purge_visitors(work: Work, days: int) -> int:
    """Delete visitors without orders who were last seen more than `days` ago; returns how many.

    Their browsers, sessions and events are deleted too (identity.md 6). With 0 days none is
    deleted.
    """
    purged = 0
    while days:
        before = clock.now() - timedelta(days=days)
        count = await work.run("browsers.purge_visitors", before=before, most=PURGE_BATCH)
        purged += count
        if not count:
            break
    return purged


def _session(row: Row) -> StoredSession:
    return StoredSession(
        row["ref"],
        row["guest_ref"],
        row["session_root"],
        row["session_version"],
        Span(row["started_at"], row["last_at"], row["expires_at"], row["ended_at"]),
        row["ended_by"],
        row["events"],
        row["details"],
        row["cart"],
    )
