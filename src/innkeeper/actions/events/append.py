"""Write an event and the session that it starts, continues, joins with another or splits."""

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

_CONTINUE_ALL: Final = {"session": ["sessions.continue"]}
_CONTINUE: Final = {**_CONTINUE_ALL, "insert": ["events.insert"]}
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
    """Write a plain event in one statement; returns the live guest of the browser.

    Returns None if the cached or read state was out of date; then nothing is written.
    """
    state, body = session_records.next_state(record)
    written = await _append(work, record, body, state, begins=record.starts_session)
    if written is None:
        browsers.drop_cached(work, record.browser.ref)
        return None
    root: UUID = written["root"]
    if record.is_latest:
        version = record.browser.version + record.starts_session
        browser = replace(record.browser, root=root, version=version)
        browsers.cache_browser(work, _after(record, browser, state, written["version"]))
    else:
        browsers.drop_cached(work, record.browser.ref)
    return root


async def append_unread(
    work: Work, record: IncomingRecord, reach: timedelta
) -> UUID | Browser | None:
    """Write a plain event of an unread browser in one statement, if it starts a session after all
    others; returns the live guest of the browser.

    Otherwise writes nothing and returns the browser, which the same statement reads with the
    sessions in `reach` of the event; None if there is no such browser.
    """
    state, body = session_records.next_state(record)
    unread = {"guest": None, "session_guest": None, "until": record.mark.at + reach}
    params = {**_params(record, body, state), **unread}
    rows = await work.all("events.begin", parts=BEGINS_UNREAD, **params)
    row = rows[0]
    if row["number"] is None:
        return None if row["browser_ref"] is None else browsers.browser_from_rows(rows)
    owner: UUID = row["owner"]
    state.guest = owner
    version = row["browser_version"]
    browser = replace(record.browser, guest=owner, root=owner, version=version)
    browsers.cache_browser(work, _after(record, browser, state, row["number"]))
    return owner


@dataclass(frozen=True, slots=True)
class AppendStep:
    """One of several consecutive events that continue a session."""

    record: IncomingRecord
    state: SessionState
    """The session after the event."""
    body: Mapping[str, Any]
    after: Browser
    """The browser before the next event."""


def plan_step(record: IncomingRecord) -> AppendStep:
    """Compute the step of a plain event that continues the latest session; writes nothing."""
    state, body = session_records.next_state(record)
    return AppendStep(record, state, body, _after(record, record.browser, state, state.version + 1))


async def append_all(work: Work, steps: Sequence[AppendStep]) -> UUID | None:
    """Write several consecutive events that continue a session in one statement.

    Returns the live guest of the browser, or None as `append` does.
    """
    last, records = steps[-1], [step.record for step in steps]
    params = {
        **_params(last.record, last.body, last.state),
        "session_version": steps[0].state.version,
        "count": len(steps),
        "refs": [incoming.ref for incoming in records],
        "times": [incoming.mark.at for incoming in records],
        "types": [incoming.type for incoming in records],
        "reaches": [int(incoming.mark.reach.total_seconds()) for incoming in records],
        "received": [incoming.received_at for incoming in records],
        "bodies": Json([step.body for step in steps]),
    }
    written = await work.one("events.append_all", parts=_CONTINUE_ALL, **params)
    if written is None:
        browsers.drop_cached(work, last.record.browser.ref)
        return None
    root: UUID = written["root"]
    browsers.cache_browser(work, replace(last.after, root=root))
    return root


def _after(record: IncomingRecord, browser: Browser, state: SessionState, version: int) -> Browser:
    """Return the browser after an event, with its session at `version`."""
    session = StoredSession(
        state.ref,
        state.guest,
        browser.root,
        version,
        state.span,
        state.cut_by,
        state.events,
        state.about,
        state.cart,
    )
    channel, point = record.channel, record.point_of_sale
    return replace(browser, channel=channel, point_of_sale=point, sessions=[session])


async def write_locked(work: Work, record: IncomingRecord) -> bool:
    """Write any event; call it in a transaction that has locked the browser.

    Returns False if the configuration has changed meanwhile.
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
        state, body = session_records.next_state(record)
        return bool(await _append(work, record, body, state, begins=record.starts_session))
    return await _rewrite_sessions(work, record)


async def _rewrite_sessions(work: Work, record: IncomingRecord) -> bool:
    """Write an event and recompute the sessions that it joins or splits from their events."""
    now = clock.now()
    rewritten, emptied = await session_records.fold_sessions(work, record)
    stored = {session.ref for session in record.joined}
    for state, members in rewritten:
        own = next((row for row in members if row["ref"] == record.ref), None)
        if own is None:
            about: dict[str, Any] = {"browser": record.browser.ref, "channel": record.channel}
            await work.run("sessions.put", **about, **state.params(now))
        elif not await _append(work, record, own["body"], state, begins=state.ref not in stored):
            return False
    for state, members in rewritten:
        moved = [row for row in members if row["session_ref"] not in (state.ref, None)]
        if moved:
            times = [row["at"] for row in moved]
            await work.run(
                "events.move",
                session=state.ref,
                refs=[row["ref"] for row in moved],
                since=min(times),
                until=max(times),
            )
    if emptied:
        await work.run("sessions.drop", refs=emptied)
    return True


async def cut_open_sessions(work: Work, record: IncomingRecord, now: datetime) -> None:
    """End the open sessions of a browser: another person uses it, and this event starts a session.

    Call it in a transaction that has locked the browser.
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
    """Raise the versions of sessions in the record that this transaction has written."""
    sessions = [
        replace(session, version=session.version + 1) if session.ref in refs else session
        for session in record.browser.sessions
    ]
    record.browser = replace(record.browser, sessions=sessions)


async def _append(
    work: Work,
    record: IncomingRecord,
    body: Mapping[str, Any],
    state: SessionState,
    *,
    begins: bool,
) -> Row | None:
    """Write an event and its session in one statement; None if a version has changed."""
    parts = _BEGINS if begins else _CONTINUE
    return await work.one("events.append", parts=parts, **_params(record, body, state))


def _params(record: IncomingRecord, body: Mapping[str, Any], state: SessionState) -> dict[str, Any]:
    """Return the parameters of `events.append`: the values to write and the versions as read."""
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
