"""Ingest the event records of a chunk one by one, as the Stream API does (stream-api.md 4).

Each event has its own transaction, so a chunk of events is not atomic. But the ref of an event is
derived from its content, so the same event is not ingested twice.
"""

import logging
import traceback
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, Final
from uuid import UUID, uuid5

import msgspec

from innkeeper.actions.bulk.guest_state import RecordSource
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
    source: RecordSource,
) -> None:
    """Ingest events; an event that fails does not affect the others.

    Call it outside a transaction. A dry run only validates them.
    """
    never = (await rulebook.current(work)).never
    if source.dry_run:
        for record, operation in entries:
            _add_outcome(outcomes, record, _validate(operation.message, never) or "created")
        return
    people = [{"identifiers": _identifiers(operation.message)} for _, operation in entries]
    blocked = await block_list.find_blocked(work, people)
    async with _ingesting(work, source.recording):
        if source.recording is not None:
            messages = [operation.message for _, operation in entries]
            refs = [ref for each in messages if (ref := _browser_ref(each, never)) is not None]
            await work.run("import_changes.record_browsers", batch=source.ref, browsers=refs)
        for position, (record, operation) in enumerate(entries):
            is_blocked = position in blocked
            outcome = rules.SUPPRESSED if is_blocked else await _one(work, operation.message, never)
            _add_outcome(outcomes, record, outcome)


@asynccontextmanager
async def _ingesting(work: Work, batch: UUID | None) -> AsyncIterator[None]:
    """Set this connection up to ingest events, whose changes it records for the undo of `batch`.

    The settings end with this, or with the connection, so that the next user of the connection does
    not have them.
    """
    try:
        # One flush to the disk is enough for all: that of the transaction that stores the progress.
        await work.one("batches.start_events", batch=str(batch or ""))
        yield
    finally:
        try:
            await work.one("batches.end_events")
        except BaseException:
            await work.connection.close()
            raise


def _add_outcome(outcomes: Outcomes, record: BatchRecord, outcome: str | RecordError) -> None:
    if isinstance(outcome, RecordError):
        outcomes.fail(record, outcome)
    else:
        outcomes.count(outcome)


def _validate(message: dict[str, Any], never: Collection[str]) -> RecordError | None:
    """Return why an event is invalid, if that is known without ingesting it."""
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
    """Ingest one event; return `created`, `unchanged`, `quarantined` or an error.

    Raises `Unavailable` and other transient errors of the database.
    """
    try:
        at = instant(message.get("requested_at"))
    except ValueRefused as refused:
        return rules.invalid(f"requested_at: {refused.reason}")
    person = _person(message, never)
    if isinstance(person, RecordError):
        return person
    payload_ref = message.get("ref")
    ref = _uuid(payload_ref) or uuid5(_NAMES, _encode(message).decode())
    payload = {name: value for name, value in message.items() if name != "ref"}
    try:
        if person is not None:
            payload["browser_id"] = str(await _browser_of(work, payload, person, at))
        return await _record(work, IncomingEvent(payload, at), ref)
    except Conflict:
        return "unchanged"
    except Unavailable:
        raise
    except ApiError as error:
        return rules.invalid(*error.errors)
    except Exception as error:
        if may_pass(error):
            raise
        # Log the traceback without the error's message, which may quote the event.
        where = "".join(traceback.format_tb(error.__traceback__))
        log.error("an event failed: %s\n%s", type(error).__name__, where)
        return rules.INTERNAL


def _person(
    message: Mapping[str, Any], never: Collection[str]
) -> Mapping[str, str] | RecordError | None:
    """Return the identifier of the person that an event names instead of a browser.

    None if it names a browser; an error if it names neither. A placeholder is no browser id: all
    events with it would belong to one person.
    """
    browser = message.get("browser_id")
    if isinstance(browser, str) and not identifies_nobody(browser, never):
        return None
    if not message.get("identifiers"):
        return rules.invalid("browser_id is required")
    every = (one for one in _identifiers(message) if not identifies_nobody(one["id"], never))
    return next(every, rules.NO_IDENTITY)


async def _record(work: Work, event: IncomingEvent, ref: UUID) -> str:
    """Ingest a valid event; return `created` or `quarantined`."""
    try:
        ingested = await retrying(lambda: ingest.record(work, event, ref))
    except UnknownBrowser:
        # Events of another system name browsers that are new here.
        browser = _uuid(event.message.get("browser_id"))
        if browser is None:
            raise
        await browsers.create_if_absent(work, browser)
        ingested = await retrying(lambda: ingest.record(work, event, ref))
    return "created" if ingested is not None and ingested.attached else "quarantined"


async def _browser_of(
    work: Work, message: dict[str, Any], identifier: Mapping[str, str], at: datetime
) -> UUID:
    """Return the browser of a person that an event names: one per identifier.

    A new browser gets an IDENTITY event with that identifier.
    """
    browser = _person_browser(identifier)
    if await work.one("browsers.fetch", ref=browser) is None:
        await browsers.create_if_absent(work, browser)
        shared: dict[str, Any] = {name: message[name] for name in _SHARED if name in message}
        identity = {**shared, "type": "IDENTITY", "browser_id": str(browser)}
        ref = uuid5(browser, "identity")
        await ingest.record(work, IncomingEvent(identity, at), ref)
    return browser


def _person_browser(identifier: Mapping[str, str]) -> UUID:
    return uuid5(_NAMES, str(identifier_key(identifier["provider"], identifier["id"])))


def _browser_ref(message: Mapping[str, Any], never: Collection[str]) -> UUID | None:
    """Return the browser that an event belongs to; None for an invalid event."""
    person = _person(message, never)
    if isinstance(person, RecordError):
        return None
    return _uuid(message.get("browser_id")) if person is None else _person_browser(person)


_SHARED: Final = ("identifiers", "channel", "pos", "currency", "language", "requested_at")


def _identifiers(message: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return the valid identifiers of an event's payload."""
    value = message.get("identifiers")
    every = value if isinstance(value, list) else [value]
    return [
        {"provider": one["provider"], "id": one["id"]}
        for one in every
        if isinstance(one, dict)
        and isinstance(one.get("provider"), str)
        and isinstance(one.get("id"), str)
    ]


def _uuid(text: Any) -> UUID | None:
    """Parse a UUID of 36 characters; None for anything else."""
    try:
        return UUID(text) if isinstance(text, str) and len(text) == 36 else None
    except ValueError:
        return None
