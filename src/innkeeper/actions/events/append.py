"""Writing an event and the session it makes, goes on with, joins to another or splits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from innkeeper import clock
from innkeeper.actions.events import browsers, session_records
from innkeeper.actions.events.browsers import Browser, StoredSession
from innkeeper.actions.events.incoming import IncomingRecord
from innkeeper.actions.events.session_records import SessionState
from innkeeper.rules import carts
from innkeeper.rules.sessions import Placement
from innkeeper.store.work import Json, Row, Work

_GO_ON: Final = {"session": ["sessions.go_on"]}
_GOES_ON: Final = {**_GO_ON, "insert": ["events.insert"]}
_BEGINS: Final = {
    "insert": ["events.insert"],
    "before": ["sessions.one_begins"],
    "beside": ["sessions.beside_as_read"],
    "unchanged": ["sessions.browser_as_read"],
    "session": ["sessions.begin"],
    "more": ["sessions.see"],
}
BEGINS_UNREAD: Final = {
    **_BEGINS,
    "beside": ["sessions.beside_unread"],
    "unchanged": ["sessions.browser_unread"],
    "state": ["browsers.state"],
}


async def append(work: Work, record: IncomingRecord) -> UUID | None:
    """Write a plain event in one statement; the live guest of the browser.

    None when it was decided by what is out of date, and nothing was written.
    """
    kept, body = session_records.next_state(record)
    written = await _append(work, record, body, kept, begins=record.starts_session)
    if written is None:
        browsers.drop_cached(work, record.browser.ref)
        return None
    root: UUID = written["root"]
    if record.is_latest:
        version = record.browser.version + record.starts_session
        known = replace(record.browser, root=root, version=version)
        browsers.cache_browser(work, _after(record, known, kept, written["version"]))
    else:
        browsers.drop_cached(work, record.browser.ref)
    return root


async def append_unread(
    work: Work, record: IncomingRecord, reach: timedelta
) -> UUID | Browser | None:
    """Write a plain event of an unread browser in one statement, if it begins a session after all
    others; the live guest of the browser.

    Else nothing is written, and that statement reads the browser, with the sessions in `reach` of
    the event; None when there is none.
    """
    kept, body = session_records.next_state(record)
    unread = {"guest": None, "session_guest": None, "until": record.mark.at + reach}
    params = {**_params(record, body, kept), **unread}
    rows = await work.all("events.begin", parts=BEGINS_UNREAD, **params)
    row = rows[0]
    if row["number"] is None:
        return None if row["browser_ref"] is None else browsers.browser_from_rows(rows)
    owner: UUID = row["owner"]
    kept.guest = owner
    version = row["browser_version"]
    known = replace(record.browser, guest=owner, root=owner, version=version)
    browsers.cache_browser(work, _after(record, known, kept, row["number"]))
    return owner


@dataclass(frozen=True, slots=True)
class AppendStep:
    """One of several events that go on with a session, one after the other."""

    record: IncomingRecord
    state: SessionState
    """The session as the event leaves it."""
    body: Mapping[str, Any]
    after: Browser
    """The browser as the next event finds it."""


def plan_step(record: IncomingRecord) -> AppendStep:
    """A plain event that goes on with the latest session, before it is written."""
    kept, body = session_records.next_state(record)
    return AppendStep(record, kept, body, _after(record, record.browser, kept, kept.version + 1))


async def append_all(work: Work, steps: Sequence[AppendStep]) -> UUID | None:
    """Write several events that go on with a session, each after the one before, in one statement;
    the live guest of the browser. None as for `append`."""
    last, arrivals = steps[-1], [step.record for step in steps]
    params = {
        **_params(last.record, last.body, last.state),
        "session_version": steps[0].state.version,
        "count": len(steps),
        "refs": [arrival.ref for arrival in arrivals],
        "times": [arrival.mark.at for arrival in arrivals],
        "types": [arrival.type for arrival in arrivals],
        "reaches": [int(arrival.mark.reach.total_seconds()) for arrival in arrivals],
        "received": [arrival.received_at for arrival in arrivals],
        "bodies": Json([step.body for step in steps]),
    }
    written = await work.one("events.append_all", parts=_GO_ON, **params)
    if written is None:
        browsers.drop_cached(work, last.record.browser.ref)
        return None
    root: UUID = written["root"]
    browsers.cache_browser(work, replace(last.after, root=root))
    return root


def _after(record: IncomingRecord, known: Browser, state: SessionState, version: int) -> Browser:
    """A browser with its session, which an event made the version of."""
    session = StoredSession(
        state.ref,
        state.guest,
        known.root,
        version,
        state.span,
        state.cut_by,
        state.events,
        state.about,
        state.cart,
    )
    channel, point = record.channel, record.point_of_sale
    return replace(known, channel=channel, point_of_sale=point, sessions=[session])


async def write_locked(work: Work, record: IncomingRecord) -> bool:
    """Write any event; call it in a transaction that holds the browser.

    False when another configuration is in force by now.
    """
    browsers.drop_cached(work, record.browser.ref)
    if not record.starts_session:
        near = {session.ref for session in record.near}
        await work.run("sessions.touch", refs=list(near))
        _raise_versions(record, near)
        if record.is_elsewhere:
            await work.run(
                "browsers.note",
                ref=record.browser.ref,
                channel=record.channel,
                point_of_sale=record.point_of_sale,
            )
    if record.is_plain:
        kept, body = session_records.next_state(record)
        return bool(await _append(work, record, body, kept, begins=record.starts_session))
    return await _rewrite_sessions(work, record)


async def _rewrite_sessions(work: Work, record: IncomingRecord) -> bool:
    """Write the sessions that an event joins or splits, as their events make them."""
    now = clock.now()
    anew, gone = await session_records.fold_sessions(work, record)
    known = {session.ref for session in record.joined}
    for kept, members in anew:
        mine = next((row for row in members if row["ref"] == record.ref), None)
        if mine is None:
            about: dict[str, Any] = {"browser": record.browser.ref, "channel": record.channel}
            await work.run("sessions.put", **about, **kept.params(now))
        elif not await _append(work, record, mine["body"], kept, begins=kept.ref not in known):
            return False
    for kept, members in anew:
        moved = [row for row in members if row["session_ref"] not in (kept.ref, None)]
        if moved:
            times = [row["at"] for row in moved]
            await work.run(
                "events.move",
                session=kept.ref,
                refs=[row["ref"] for row in moved],
                since=min(times),
                until=max(times),
            )
    if gone:
        await work.run("sessions.drop", refs=gone)
    return True


async def cut_open_sessions(work: Work, record: IncomingRecord, now: datetime) -> None:
    """Another person is at the browser: what goes on ends, and this event begins a session.

    Call it in a transaction that holds the browser.
    """
    at = record.mark.at
    rows = await work.all("sessions.open_of_browser", browser=record.browser.ref, at=at)
    for row in rows:
        await work.run(
            "sessions.cut",
            ref=row["ref"],
            cut_at=max(at, row["last_at"]),
            cart_type=carts.cart_type(row["cart"]),
            revenue=carts.abandoned_revenue(row["cart"]),
            now=now,
        )
    _raise_versions(record, {row["ref"] for row in rows})
    record.placement = Placement()


def _raise_versions(record: IncomingRecord, refs: set[UUID]) -> None:
    """Know of sessions that this transaction has written itself."""
    known = [
        replace(session, version=session.version + 1) if session.ref in refs else session
        for session in record.browser.sessions
    ]
    record.browser = replace(record.browser, sessions=known)


async def _append(
    work: Work,
    record: IncomingRecord,
    body: Mapping[str, Any],
    state: SessionState,
    *,
    begins: bool,
) -> Row | None:
    parts = _BEGINS if begins else _GOES_ON
    return await work.one("events.append", parts=parts, **_params(record, body, state))


def _params(record: IncomingRecord, body: Mapping[str, Any], state: SessionState) -> dict[str, Any]:
    """What `events.append` writes, and what must not have changed since it was read."""
    near = record.near
    return {
        "browser": record.browser.ref,
        "browser_guest": record.browser.guest,
        "version": record.browser.version,
        "settings": record.settings,
        "ref": record.ref,
        "at": record.mark.at,
        "guest": record.guest,
        "type": record.type,
        "channel": record.channel,
        "point_of_sale": record.point_of_sale,
        "reach": int(record.mark.reach.total_seconds()),
        "cuts": record.mark.cuts,
        "body": Json(body),
        "received_at": record.received_at,
        "near": [session.ref for session in near],
        "near_versions": [session.version for session in near],
        "count": 1,
        **state.params(clock.now()),
    }
