"""Events of a file of history: recorded one by one, as the stream would have (stream-api.md 4).

An event has its own transaction, so a chunk of them is not applied as a whole; but each has a
ref that follows from what it says, and the same event is not recorded twice.
"""

import logging
import traceback
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID, uuid5

import msgspec

from innkeeper.actions.bulk.outcomes import Outcomes
from innkeeper.actions.events import browsers, ingest
from innkeeper.actions.identity import rulebook
from innkeeper.actions.privacy import block_list
from innkeeper.errors import ApiError, Conflict, Unavailable, UnknownBrowser
from innkeeper.resources.values import ValueRefused, instant
from innkeeper.rules import batch as rules
from innkeeper.rules import stream
from innkeeper.rules.batch import BatchRecord, EventRecord, RecordError
from innkeeper.rules.identity_keys import identifier_key
from innkeeper.rules.placeholders import identifies_nobody
from innkeeper.rules.stream import IncomingEvent
from innkeeper.store.database import retrying
from innkeeper.store.driver_errors import may_pass
from innkeeper.store.work import Work

log = logging.getLogger(__name__)

_NAMES: Final = UUID("4bb2c9a8-3d0e-4f0e-9c52-7c1c9b5f6f7a")
_encode: Final = msgspec.json.Encoder(order="deterministic", decimal_format="number").encode


async def write(
    work: Work,
    outcomes: Outcomes,
    entries: Sequence[tuple[BatchRecord, EventRecord]],
    *,
    rehearse: bool = False,
) -> None:
    """Record events; call it outside a transaction. What fails does so alone."""
    never = (await rulebook.current(work)).never
    if rehearse:
        for entry, what in entries:
            _note(outcomes, entry, _checked(what.message, never) or "created")
        return
    people = [{"identifiers": _identifiers(what.message)} for _, what in entries]
    blocked = await block_list.blocked_among(work, people)
    # One flush to the disk serves all of them: that of the transaction which notes the progress.
    await work.one("batches.flush_later")
    try:
        for position, (entry, what) in enumerate(entries):
            refused = position in blocked
            outcome = rules.SUPPRESSED if refused else await _one(work, what.message, never)
            _note(outcomes, entry, outcome)
    finally:
        await work.one("batches.flush_at_once")


def _note(outcomes: Outcomes, entry: BatchRecord, outcome: str | RecordError) -> None:
    if isinstance(outcome, RecordError):
        outcomes.fail(entry, outcome)
    else:
        outcomes.count(outcome)


def _checked(message: dict[str, Any], never: Collection[str]) -> RecordError | None:
    """What can be said against an event before it is recorded."""
    person = _person(message, never)
    if isinstance(person, RecordError):
        return person
    browser = message.get("browser_id") if person is None else str(_NAMES)
    try:
        at = instant(message.get("requested_at"))
        stream.read(IncomingEvent({**message, "browser_id": browser}, at))
    except ValueRefused as refused:
        return rules.invalid(f"requested_at: {refused.reason}")
    except ApiError as error:
        return rules.invalid(*error.errors)
    return None


async def _one(work: Work, message: dict[str, Any], never: Collection[str]) -> str | RecordError:
    try:
        at = instant(message.get("requested_at"))
    except ValueRefused as refused:
        return rules.invalid(f"requested_at: {refused.reason}")
    person = _person(message, never)
    if isinstance(person, RecordError):
        return person
    own = message.get("ref")
    ref = _uuid(own) or uuid5(_NAMES, _encode(message).decode())
    told = {name: value for name, value in message.items() if name != "ref"}
    try:
        if person is not None:
            told["browser_id"] = str(await _browser_of(work, told, person, at))
        return await _record(work, IncomingEvent(told, at), ref)
    except Conflict:
        return "unchanged"
    except Unavailable:
        raise
    except ApiError as error:
        return rules.invalid(*error.errors)
    except Exception as error:
        if may_pass(error):
            raise
        # Where it happened, but not the message: that may quote the event.
        where = "".join(traceback.format_tb(error.__traceback__))
        log.error("an event failed: %s\n%s", type(error).__name__, where)
        return rules.INTERNAL


def _person(
    message: Mapping[str, Any], never: Collection[str]
) -> Mapping[str, str] | RecordError | None:
    """The identifier of the person whom an event names in place of a browser, None when it names a
    browser, or why it names nobody. A browser id that is a placeholder is none: all who have it
    would be one person."""
    browser = message.get("browser_id")
    if isinstance(browser, str) and not identifies_nobody(browser, never):
        return None
    if not message.get("identifiers"):
        return rules.invalid("browser_id is required")
    every = (one for one in _identifiers(message) if not identifies_nobody(one["id"], never))
    return next(every, rules.NO_IDENTITY)


async def _record(work: Work, event: IncomingEvent, ref: UUID) -> str:
    try:
        taken = await retrying(lambda: ingest.record(work, event, ref))
    except UnknownBrowser:
        # History of another system: its browsers are new here.
        browser = _uuid(event.message.get("browser_id"))
        if browser is None:
            raise
        await browsers.create_if_absent(work, browser)
        taken = await retrying(lambda: ingest.record(work, event, ref))
    return "created" if taken is not None and taken.attached else "quarantined"


async def _browser_of(
    work: Work, message: dict[str, Any], identifier: Mapping[str, str], at: datetime
) -> UUID:
    """The browser of an event that names a person instead: one for each, who says so there."""
    browser = uuid5(_NAMES, str(identifier_key(identifier["provider"], identifier["id"])))
    if await work.one("browsers.fetch", ref=browser) is None:
        await browsers.create_if_absent(work, browser)
        kept: dict[str, Any] = {name: message[name] for name in _SHARED if name in message}
        said = {**kept, "type": "IDENTITY", "browser_id": str(browser)}
        ref = uuid5(browser, "identity")
        await ingest.record(work, IncomingEvent(said, at), ref)
    return browser


_SHARED: Final = ("identifiers", "channel", "pos", "currency", "language", "requested_at")


def _identifiers(message: Mapping[str, Any]) -> list[dict[str, str]]:
    told = message.get("identifiers")
    every = told if isinstance(told, list) else [told]
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
