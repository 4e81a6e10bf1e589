"""Browsers: create, show, what is known of one when an event comes, and forgetting visitors."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID, uuid4

from innkeeper import clock
from innkeeper.errors import Conflict, UnknownBrowser
from innkeeper.rules.sessions import CutBy, Span
from innkeeper.store.work import Row, Work

PURGE_BATCH: Final = 500
"""Visitors forgotten in one transaction."""


@dataclass(frozen=True, slots=True)
class Session:
    """A session of a browser as stored."""

    ref: UUID
    guest: UUID
    root: UUID
    """The live guest that stands for `guest`."""
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
    root_type: str
    in_group: bool
    """Whether `guest` is part of a merge."""
    version: int
    channel: str | None
    point_of_sale: str | None
    sessions: Sequence[Session]


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


async def state(
    work: Work, browser: UUID, channel: str | None, at: datetime, reach: timedelta
) -> Browser | None:
    """A browser and the sessions, on one channel, that an event at `at` may touch."""
    rows = await work.all("browsers.state", ref=browser, channel=channel, at=at, until=at + reach)
    if not rows:
        return None
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


async def create_unless_known(work: Work, browser: UUID) -> None:
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


def _session(row: Row) -> Session:
    return Session(
        row["ref"],
        row["guest_ref"],
        row["session_root"],
        Span(row["started_at"], row["last_at"], row["expires_at"], row["cut_at"]),
        row["cut_by"],
        row["events"],
        row["about"],
        row["cart"],
    )
