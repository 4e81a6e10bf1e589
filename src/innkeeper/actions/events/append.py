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
from innkeeper.store.work import Json, Work

_JSON: Final = frozenset({"details", "cart", "body"})
CONTINUE: Final = {"states": ["events.one_state"], "events": ["events.one_event"]}
CONTINUE_SEVERAL: Final = {
    "states": ["events.states"],
    "events": ["events.events"],
    "in_order": ["events.sessions_in_order"],
}
START: Final = CONTINUE_SEVERAL | {
    "start": ["events.start_sessions"],
    "started": ["events.started_sessions"],
}


@dataclass(frozen=True, slots=True)
class AppendStep:
    """A plain event that is to be written, with its effect."""

    record: IncomingRecord
    state: SessionState
    """The session after the event."""
    body: Mapping[str, Any]
    after: Browser
    """The browser after the event."""


def plan_step(record: IncomingRecord) -> AppendStep:
    """Compute the step of a plain event that starts or continues a session; writes nothing."""
    state, body = session_records.next_state(record)
    browser = record.browser
    if record.starts_session:
        browser = replace(browser, version=browser.version + 1)
    return AppendStep(record, state, body, _after(record, browser, state, state.version + 1))


async def append(work: Work, record: IncomingRecord) -> UUID | None:
    """Write a plain event in one statement; returns the live guest of the browser.

    Returns None if the cached or read state was out of date; then nothing is written.
    """
    (root,) = await append_all(work, [plan_step(record)])
    return root


async def append_all(work: Work, steps: Sequence[AppendStep]) -> list[UUID | None]:
    """Write plain events in one statement, those of a session in order of arrival.

    Returns the live guest of each browser, or None for events whose state was out of date: then
    nothing of their session is written. The events of one browser belong to one session.
    """
    chains: dict[UUID, list[AppendStep]] = {}
    for step in steps:
        chains.setdefault(step.state.ref, []).append(step)
    states = [_session(chain[0], chain[-1].state, len(chain)) for chain in chains.values()]
    events = [
        _event(step.record, step.body, step.state.ref, number)
        for chain in chains.values()
        for number, step in enumerate(chain, start=1)
    ]
    roots = await _write(work, states, events)
    for chain in chains.values():
        last = chain[-1]
        root = roots.get(last.record.ref)
        if root is not None and last.record.is_latest:
            after = last.after if last.after.root == root else replace(last.after, root=root)
            browsers.cache_browser(work, after)
        else:
            browsers.drop_cached(work, last.record.browser.ref)
    return [roots.get(step.record.ref) for step in steps]


async def _write(
    work: Work, states: Sequence[Mapping[str, Any]], events: Sequence[Mapping[str, Any]]
) -> dict[UUID, UUID]:
    """Write sessions and their events; returns the live guest by ref of each written event."""
    starts = not all(state["version"] for state in states)
    if len(events) == 1 and not starts:
        params = _columns({**states[0], **events[0]})
        rows = await work.all("events.append", parts=CONTINUE, **params)
    else:
        parts = START if starts else CONTINUE_SEVERAL
        records = {"sessions": Json(states), "records": Json(events)}
        rows = await work.all("events.append", parts=parts, **records)
    return {row["ref"]: row["root"] for row in rows}


def _columns(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values of one session and its event as parameters, which cost the database less than
    one JSON value."""
    return {
        name: Json(value) if name in _JSON and value is not None else value
        for name, value in values.items()
    }


def _session(first: AppendStep, last: SessionState, count: int) -> dict[str, Any]:
    """Return a session that several events start or continue, as `events.append` takes it."""
    return _session_params(first.record, last, first.state.version, count)


def _session_params(
    record: IncomingRecord, state: SessionState, version: int, count: int
) -> dict[str, Any]:
    """Return the parameters of a session: its new state, and the versions as read."""
    browser, near = record.browser, record.near
    return {
        **state.params(clock.now()),
        "version": version,
        "count": count,
        "settings": record.settings,
        "browser": browser.ref,
        "owner": browser.guest,
        "browser_version": browser.version,
        "channel": record.channel,
        "point_of_sale": record.point_of_sale,
        "near": [session.ref for session in near],
        "near_versions": [session.version for session in near],
    }


def _event(
    record: IncomingRecord, body: Mapping[str, Any], session: UUID, number: int
) -> dict[str, Any]:
    """Return the parameters of an event, the `number`-th of those written to its session."""
    return {
        "ref": record.ref,
        "session_ref": session,
        "number": number,
        "at": record.mark.at,
        "guest_ref": record.guest,
        "browser_ref": record.browser.ref,
        "type": record.type,
        "channel": record.channel,
        "point_of_sale": record.point_of_sale,
        "timeout_seconds": int(record.mark.timeout.total_seconds()),
        "ends_session": record.mark.ends_session,
        "body": body,
        "received_at": record.received_at,
    }


async def append_unread(
    work: Work, record: IncomingRecord, longest_timeout: timedelta
) -> UUID | Browser | None:
    """Write a plain event of an unread browser in one statement, if it starts a session after all
    others; returns the live guest of the browser.

    Otherwise writes nothing and returns the browser, which the same statement reads with the
    sessions in `longest_timeout` of the event; None if there is no such browser.

    `events.append` would need the browser read first, by one more statement. With the conditions
    and the read of this one it would be longer than the statements that psycopg caches.
    """
    step = plan_step(record)
    event = _event(record, step.body, step.state.ref, 1)
    params = _columns({**_session(step, step.state, 1), **event})
    rows = await work.all("events.begin", **params, until=record.mark.at + longest_timeout)
    row = rows[0]
    if row["number"] is None:
        return None if row["browser_ref"] is None else browsers.browser_from_rows(rows)
    owner: UUID = row["owner"]
    step.state.guest = owner
    browser = replace(record.browser, guest=owner, root=owner, version=row["browser_version"])
    browsers.cache_browser(work, _after(record, browser, step.state, row["number"]))
    return owner


def _after(record: IncomingRecord, browser: Browser, state: SessionState, version: int) -> Browser:
    """Return the browser after an event, with its session at `version`."""
    session = StoredSession(
        state.ref,
        state.guest,
        browser.root,
        version,
        state.span,
        state.ended_by,
        state.events,
        state.details,
        state.cart,
    )
    return Browser(
        browser.ref,
        browser.guest,
        browser.root,
        browser.root_type,
        browser.in_group,
        browser.version,
        record.channel,
        record.point_of_sale,
        [session],
    )


async def write_locked(work: Work, record: IncomingRecord) -> bool:
    """Write any event; call it in a transaction that has locked the browser.

    Returns False if the configuration has changed meanwhile.
    """
    browsers.drop_cached(work, record.browser.ref)
    if not record.starts_session:
        near = {session.ref for session in record.near}
        if near:
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
        return await _append(work, record, body, state)
    return await _rewrite_sessions(work, record)


async def _rewrite_sessions(work: Work, record: IncomingRecord) -> bool:
    """Write an event and recompute the sessions that it joins or splits from their events."""
    rewritten, emptied = await session_records.fold_sessions(work, record)
    for state, members in rewritten:
        own = next((row for row in members if row["ref"] == record.ref), None)
        if own is None:
            params = _columns(_session_params(record, state, 0, 0))
            await work.run("sessions.put", **params)
        elif not await _append(work, record, own["body"], state):
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
            ended_at=max(at, row["last_at"]),
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
    work: Work, record: IncomingRecord, body: Mapping[str, Any], state: SessionState
) -> bool:
    """Write one event and its session; False if a version has changed."""
    session = _session_params(record, state, state.version, 1)
    return bool(await _write(work, [session], [_event(record, body, state.ref, 1)]))
