"""Events of a file of history: recorded one by one, as the stream would have (stream-api.md 4).

An event has its own transaction, so a chunk of them is not applied as a whole; but each has a
ref that follows from what it says, and the same event is not recorded twice.
"""

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID, uuid5

import msgspec

from innkeeper.actions.bulk.tally import Tally
from innkeeper.actions.protection import suppression
from innkeeper.actions.stream import browsers, ingest
from innkeeper.errors import ApiError, Conflict, Unavailable, UnknownBrowser
from innkeeper.resources.values import Refused, instant
from innkeeper.rules import batch as rules
from innkeeper.rules import stream
from innkeeper.rules.batch import Entry, EventTold, Fault
from innkeeper.rules.keys import identifier_key
from innkeeper.rules.stream import Sent
from innkeeper.store.database import retrying
from innkeeper.store.work import Work

_NAMES: Final = UUID("4bb2c9a8-3d0e-4f0e-9c52-7c1c9b5f6f7a")
_encode: Final = msgspec.json.Encoder(order="deterministic", decimal_format="number").encode


async def write(
    work: Work, tally: Tally, entries: Sequence[tuple[Entry, EventTold]], *, rehearse: bool = False
) -> None:
    """Record events; call it outside a transaction. What fails does so alone."""
    if rehearse:
        for entry, what in entries:
            outcome = _checked(what.message)
            _note(tally, entry, "created" if outcome is None else outcome)
        return
    people = [{"identifiers": _identifiers(what.message)} for _, what in entries]
    blocked = await suppression.blocked_among(work, people)
    # One flush to the disk serves all of them: that of the transaction which notes the progress.
    await work.one("batches.flush_later")
    try:
        for position, (entry, what) in enumerate(entries):
            refused = position in blocked
            _note(tally, entry, rules.SUPPRESSED if refused else await _one(work, what.message))
    finally:
        await work.one("batches.flush_at_once")


def _note(tally: Tally, entry: Entry, outcome: str | Fault) -> None:
    if isinstance(outcome, Fault):
        tally.fail(entry, outcome)
    else:
        tally.count(outcome)


def _checked(message: dict[str, Any]) -> Fault | None:
    """What can be said against an event before it is recorded."""
    try:
        stream.read(Sent(message, instant(message.get("requested_at"))))
    except Refused as refused:
        return rules.invalid(f"requested_at: {refused.reason}")
    except ApiError as error:
        named = message.get("browser_id") is None and message.get("identifiers")
        return None if named and message.get("type") else rules.invalid(*error.errors)
    return None


async def _one(work: Work, message: dict[str, Any]) -> str | Fault:
    try:
        at = instant(message.get("requested_at"))
    except Refused as refused:
        return rules.invalid(f"requested_at: {refused.reason}")
    own = message.get("ref")
    ref = _uuid(own) or uuid5(_NAMES, _encode(message).decode())
    told = {name: value for name, value in message.items() if name != "ref"}
    try:
        if told.get("browser_id") is None and told.get("identifiers"):
            told["browser_id"] = str(await _browser_of(work, told, at))
        return await _record(work, Sent(told, at), ref)
    except Conflict:
        return "unchanged"
    except Unavailable:
        raise
    except ApiError as error:
        return rules.invalid(*error.errors)


async def _record(work: Work, sent: Sent, ref: UUID) -> str:
    try:
        taken = await retrying(lambda: ingest.record(work, sent, ref))
    except UnknownBrowser:
        # History of another system: its browsers are new here.
        browser = _uuid(sent.message.get("browser_id"))
        if browser is None:
            raise
        await browsers.create_unless_known(work, browser)
        taken = await retrying(lambda: ingest.record(work, sent, ref))
    return "created" if taken is not None and taken.attached else "quarantined"


async def _browser_of(work: Work, message: dict[str, Any], at: Any) -> UUID:
    """The browser of an event that names a person instead: one for each, who says so there."""
    first = message["identifiers"][0]
    browser = uuid5(_NAMES, str(identifier_key(str(first.get("provider")), str(first.get("id")))))
    if await work.one("browsers.fetch", ref=browser) is None:
        await browsers.create_unless_known(work, browser)
        kept: dict[str, Any] = {name: message[name] for name in _SHARED if name in message}
        said = {**kept, "type": "IDENTITY", "browser_id": str(browser)}
        ref = uuid5(browser, "identity")
        await ingest.record(work, Sent(said, at), ref)
    return browser


_SHARED: Final = ("identifiers", "channel", "pos", "currency", "language", "requested_at")


def _identifiers(message: dict[str, Any]) -> list[dict[str, str]]:
    told = message.get("identifiers")
    every = told if isinstance(told, list) else []
    return [
        {"provider": one["provider"], "id": one["id"]}
        for one in every
        if isinstance(one, dict)
        and isinstance(one.get("provider"), str)
        and isinstance(one.get("id"), str)
    ]


def _uuid(text: Any) -> UUID | None:
    try:
        return UUID(text) if isinstance(text, str) and len(text) == 36 else None
    except ValueError:
        return None
