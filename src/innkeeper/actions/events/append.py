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


async def append(work: Work, arrival: IncomingRecord) -> UUID | None:
    """Write a plain event in one statement; the live guest of the browser.

    None when it was decided by what is out of date, and nothing was written.
    """
    kept, body = session_records.plain(arrival)
    written = await _append(work, arrival, body, kept, begins=arrival.begins)
    if written is None:
        browsers.forget(work, arrival.browser.ref)
        return None
    root: UUID = written["root"]
    if arrival.is_latest:
        version = arrival.browser.version + arrival.begins
        known = replace(arrival.browser, root=root, version=version)
        browsers.remember(work, _after(arrival, known, kept, written["version"]))
    else:
        browsers.forget(work, arrival.browser.ref)
    return root


async def begin(work: Work, arrival: IncomingRecord, reach: timedelta) -> UUID | Browser | None:
    """Write a plain event of an unread browser in one statement, if it begins a session after all
    others; the live guest of the browser.

    Else nothing is written, and that statement reads the browser, with the sessions in `reach` of
    the event; None when there is none.
    """
    kept, body = session_records.plain(arrival)
    unread = {"guest": None, "session_guest": None, "until": arrival.mark.at + reach}
    params = {**_params(arrival, body, kept), **unread}
    rows = await work.all("events.begin", parts=BEGINS_UNREAD, **params)
    row = rows[0]
    if row["number"] is None:
        return None if row["browser_ref"] is None else browsers.browser_from_rows(rows)
    owner: UUID = row["owner"]
    kept.guest = owner
    version = row["browser_version"]
    known = replace(arrival.browser, guest=owner, root=owner, version=version)
    browsers.remember(work, _after(arrival, known, kept, row["number"]))
    return owner


@dataclass(frozen=True, slots=True)
class AppendStep:
    """One of several events that go on with a session, one after the other."""

    arrival: IncomingRecord
    state: SessionState
    """The session as the event leaves it."""
    body: Mapping[str, Any]
    after: Browser
    """The browser as the next event finds it."""


def step(arrival: IncomingRecord) -> AppendStep:
    """A plain event that goes on with the latest session, before it is written."""
    kept, body = session_records.plain(arrival)
    return AppendStep(arrival, kept, body, _after(arrival, arrival.browser, kept, kept.version + 1))


async def append_all(work: Work, steps: Sequence[AppendStep]) -> UUID | None:
    """Write several events that go on with a session, each after the one before, in one statement;
    the live guest of the browser. None as for `append`."""
    last, arrivals = steps[-1], [step.arrival for step in steps]
    params = {
        **_params(last.arrival, last.body, last.state),
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
        browsers.forget(work, last.arrival.browser.ref)
        return None
    root: UUID = written["root"]
    browsers.remember(work, replace(last.after, root=root))
    return root


def _after(arrival: IncomingRecord, known: Browser, kept: SessionState, version: int) -> Browser:
    """A browser with its session, which an event made the version of."""
    session = StoredSession(
        kept.ref,
        kept.guest,
        known.root,
        version,
        kept.span,
        kept.cut_by,
        kept.events,
        kept.about,
        kept.cart,
    )
    channel, point = arrival.channel, arrival.point_of_sale
    return replace(known, channel=channel, point_of_sale=point, sessions=[session])


async def write(work: Work, arrival: IncomingRecord) -> bool:
    """Write any event; call it in a transaction that holds the browser.

    False when another configuration is in force by now.
    """
    browsers.forget(work, arrival.browser.ref)
    if not arrival.begins:
        near = {session.ref for session in arrival.near}
        await work.run("sessions.touch", refs=list(near))
        _raise_versions(arrival, near)
        if arrival.is_elsewhere:
            await work.run(
                "browsers.note",
                ref=arrival.browser.ref,
                channel=arrival.channel,
                point_of_sale=arrival.point_of_sale,
            )
    if arrival.is_plain:
        kept, body = session_records.plain(arrival)
        return bool(await _append(work, arrival, body, kept, begins=arrival.begins))
    return await _write_anew(work, arrival)


async def _write_anew(work: Work, arrival: IncomingRecord) -> bool:
    """Write the sessions that an event joins or splits, as their events make them."""
    now = clock.now()
    anew, gone = await session_records.folded(work, arrival)
    known = {session.ref for session in arrival.joined}
    for kept, members in anew:
        mine = next((row for row in members if row["ref"] == arrival.ref), None)
        if mine is None:
            about: dict[str, Any] = {"browser": arrival.browser.ref, "channel": arrival.channel}
            await work.run("sessions.put", **about, **kept.params(now))
        elif not await _append(work, arrival, mine["body"], kept, begins=kept.ref not in known):
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


async def cut_for_another(work: Work, arrival: IncomingRecord, now: datetime) -> None:
    """Another person is at the browser: what goes on ends, and this event begins a session.

    Call it in a transaction that holds the browser.
    """
    at = arrival.mark.at
    rows = await work.all("sessions.open_of_browser", browser=arrival.browser.ref, at=at)
    for row in rows:
        await work.run(
            "sessions.cut",
            ref=row["ref"],
            cut_at=max(at, row["last_at"]),
            cart_type=carts.cart_type(row["cart"]),
            revenue=carts.abandoned_revenue(row["cart"]),
            now=now,
        )
    _raise_versions(arrival, {row["ref"] for row in rows})
    arrival.placement = Placement()


def _raise_versions(arrival: IncomingRecord, refs: set[UUID]) -> None:
    """Know of sessions that this transaction has written itself."""
    known = [
        replace(session, version=session.version + 1) if session.ref in refs else session
        for session in arrival.browser.sessions
    ]
    arrival.browser = replace(arrival.browser, sessions=known)


async def _append(
    work: Work,
    arrival: IncomingRecord,
    body: Mapping[str, Any],
    kept: SessionState,
    *,
    begins: bool,
) -> Row | None:
    parts = _BEGINS if begins else _GOES_ON
    return await work.one("events.append", parts=parts, **_params(arrival, body, kept))


def _params(arrival: IncomingRecord, body: Mapping[str, Any], kept: SessionState) -> dict[str, Any]:
    """What `events.append` writes, and what must not have changed since it was read."""
    near = arrival.near
    return {
        "browser": arrival.browser.ref,
        "browser_guest": arrival.browser.guest,
        "version": arrival.browser.version,
        "settings": arrival.settings,
        "ref": arrival.ref,
        "at": arrival.mark.at,
        "guest": arrival.guest,
        "type": arrival.type,
        "channel": arrival.channel,
        "point_of_sale": arrival.point_of_sale,
        "reach": int(arrival.mark.reach.total_seconds()),
        "cuts": arrival.mark.cuts,
        "body": Json(body),
        "received_at": arrival.received_at,
        "near": [session.ref for session in near],
        "near_versions": [session.version for session in near],
        "count": 1,
        **kept.params(clock.now()),
    }
