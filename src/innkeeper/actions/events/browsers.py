"""Browsers: create, show, what is known of one when an event comes, and forgetting visitors."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID, uuid4

from innkeeper import clock
from innkeeper.errors import Conflict, UnknownBrowser
from innkeeper.rules.sessions import CutBy, Span
from innkeeper.store.work import Row, Work

CACHE_SIZE: Final = 4096
"""Browsers of which a process remembers the current session."""
CACHED_LENGTH_MAX: Final = 2000
"""Characters of what is known of a session up to which it is remembered."""
UNREAD_GUEST: Final = UUID(int=0)
"""The guest of a browser of which nothing was read."""
PURGE_BATCH: Final = 500
"""Visitors forgotten in one transaction."""


@dataclass(frozen=True, slots=True)
class StoredSession:
    """A session of a browser as stored."""

    ref: UUID
    guest: UUID
    root: UUID
    """The live guest that stands for `guest`."""
    version: int
    span: Span
    cut_by: CutBy | None
    events: int
    about: dict[str, Any]
    cart: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class Browser:
    """A browser as one event finds it, with the sessions in its reach."""

    ref: UUID
    guest: UUID
    """As recorded."""
    root: UUID
    """The live guest that stands for it."""
    root_type: str | None
    """None unless it was read."""
    in_group: bool
    """Whether `guest` is part of a merge."""
    version: int
    channel: str | None
    point_of_sale: str | None
    sessions: Sequence[StoredSession]


async def create(work: Work, ref: UUID | None = None) -> tuple[UUID, UUID]:
    """A new browser and its guest, a visitor: their refs."""
    browser, guest = ref or uuid4(), uuid4()
    await work.run("browsers.create", ref=browser, guest=guest, now=clock.now())
    return browser, guest


async def guest_of(work: Work, browser: UUID) -> UUID:
    """The live guest whose browser it is; raises `UnknownBrowser`."""
    row = await work.one("browsers.fetch", ref=browser)
    if row is None:
        raise UnknownBrowser
    found: UUID = row["guest_ref"]
    return found


# The longest unused first.
_cache: OrderedDict[tuple[str, UUID], Browser] = OrderedDict()


def cache_browser(work: Work, browser: Browser) -> None:
    """Keep what was just written of a browser, for its next event.

    It may be out of date when that comes: whoever writes by it compares the version in the very
    statement, and learns the live guest from it.
    """
    (session,) = browser.sessions
    key = (work.workspace, browser.ref)
    if session.cart is not None or len(str(session.about)) > CACHED_LENGTH_MAX:
        _cache.pop(key, None)
        return
    _cache[key] = browser
    _cache.move_to_end(key)
    if len(_cache) > CACHE_SIZE:
        _cache.popitem(last=False)


def drop_cached(work: Work, browser: UUID) -> None:
    """What was remembered of a browser is out of date."""
    _cache.pop((work.workspace, browser), None)


def cached_browser(work: Work, browser: UUID, channel: str | None, at: datetime) -> Browser | None:
    """A browser with its current session, if an event at `at` goes on with that for certain."""
    found = _cache.get((work.workspace, browser))
    return found if found is not None and continues_session(found, channel, at) else None


def continues_session(browser: Browser, channel: str | None, at: datetime) -> bool:
    """Whether an event at `at` goes on with the only session known of a browser, for certain."""
    span = browser.sessions[0].span
    same = channel in (None, browser.channel)
    return same and span.cut_at is None and span.last_at <= at <= span.expires_at


async def fetch_state(
    work: Work, browser: UUID, channel: str | None, at: datetime, reach: timedelta
) -> Browser | None:
    """A browser and the sessions, on one channel, that an event at `at` may touch, with their
    neighbours."""
    until = at + reach
    rows = await work.all("browsers.state", browser=browser, channel=channel, at=at, until=until)
    return browser_from_rows(rows) if rows else None


def browser_from_rows(rows: Sequence[Row]) -> Browser:
    """A browser as rows of `browsers.state` tell it."""
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
    """A browser of which nothing was read, taken for one with no session that an event goes on
    with. Whoever writes by it lets the statement find out, and tell whose browser it is."""
    return Browser(browser, UNREAD_GUEST, UNREAD_GUEST, None, False, 0, None, None, [])


async def lock(
    work: Work, browser: UUID, channel: str | None, at: datetime, reach: timedelta
) -> bool:
    """Hold a browser and the sessions that an event may touch until the transaction ends.

    False when there is no such browser.
    """
    if not await work.one("browsers.lock", ref=browser):
        return False
    until = at + reach
    await work.all("browsers.lock_sessions", ref=browser, channel=channel, at=at, until=until)
    return True


async def create_if_absent(work: Work, browser: UUID) -> None:
    """A browser that chose its own id, as bots do (stream-api.md 9)."""
    try:
        await create(work, browser)
    except Conflict:
        # Its first two events came at once.
        return


async def purge_visitors(work: Work, days: int) -> int:
    """Forget visitors last seen more than `days` ago who have no orders; how many.

    With them go their browsers, sessions and events (identity.md 6). 0 days keeps everybody.
    """
    purged = 0
    while days:
        before = clock.now() - timedelta(days=days)
        found = await work.run("browsers.purge_visitors", before=before, most=PURGE_BATCH)
        purged += found
        if not found:
            break
    return purged


def _session(row: Row) -> StoredSession:
    return StoredSession(
        row["ref"],
        row["guest_ref"],
        row["session_root"],
        row["session_version"],
        Span(row["started_at"], row["last_at"], row["expires_at"], row["cut_at"]),
        row["cut_by"],
        row["events"],
        row["about"],
        row["cart"],
    )
