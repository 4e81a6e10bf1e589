"""Send signed webhook messages: stored with the change that they report, retried until delivered.

Messages to one URL are sent in order: a later one waits for an earlier one. Each URL has its own
job (queue `background.DELIVERIES`), so a URL that is down or slow delays only its own messages. No
database connection is held while a message is sent.
"""

import hmac
import logging
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from typing import Any, Final

import msgspec

from innkeeper import clock
from innkeeper.actions.admin import background, stored_secrets
from innkeeper.actions.audiences.delivery_slots import MESSAGES, SOON, Slot, SlowSlotsFull
from innkeeper.resources.base import Record
from innkeeper.resources.payloads import Payload
from innkeeper.rules.identity_keys import digest
from innkeeper.settings import Settings
from innkeeper.store.outbound_http import OutboundFailed, send_request
from innkeeper.store.work import Lend, Row, Work

log = logging.getLogger(__name__)

SIGNATURE: Final = "X-Innkeeper-Signature"
USER_AGENT: Final = "Innkeeper"
SEND: Final = "webhooks.send_to"
SECONDS: Final = 10.0
"""Time limit of one message, from the DNS lookup to the status of the response."""
TURN_SECONDS: Final = 15.0
"""How long a URL that accepts its messages holds its slot before other URLs get it."""
ATTEMPTS: Final = 14
FIRST_PAUSE: Final = timedelta(seconds=5)
LONGEST_PAUSE: Final = timedelta(hours=1)
RETENTION: Final = timedelta(days=7)


async def queue_message(
    work: Work, url: str, secret: str, message: Payload | Mapping[str, Any]
) -> None:
    """Queue a message in the transaction of the change that it reports."""
    body = msgspec.json.encode(message, enc_hook=str)
    await work.run("webhooks.put", url=url, secret=secret, body=body)


@dataclass(frozen=True, slots=True)
class SendResult:
    """The result of one job that sends the messages of a URL."""

    delivered: int
    """Number of delivered messages."""
    pause: timedelta | None = None
    """Time until the job should run again; None if no message is due."""


async def queue_due(work: Work) -> int:
    """Queue a job for each URL that has due messages and no job; returns how many.

    Also deletes messages older than `RETENTION`.
    """
    queued = 0
    for row in await work.all("webhooks.addresses"):
        queued += await background.defer_once(
            work,
            SEND,
            lock=f"{work.workspace} webhook {digest('webhook', row['url']).hex}",
            queue=background.DELIVERIES,
            url=row["url"],
        )
    await work.run("webhooks.forget", before=clock.now() - RETENTION)
    return queued


async def send_due_messages(lend: Lend, url: str) -> SendResult:
    """Send the due messages of one URL until one fails or `TURN_SECONDS` are over."""
    started, delivered = time.monotonic(), 0
    with ExitStack() as stack:
        slot: Slot | None = None
        while True:
            async with lend() as work:
                message = await work.one("webhooks.next", url=url)
            if message is None or message["due_at"] > clock.now():
                return SendResult(delivered)
            if slot is None:
                slot = MESSAGES.take(work, url)
                if slot is None:
                    return SendResult(delivered, SOON)
                stack.enter_context(slot)
            if time.monotonic() - started > TURN_SECONDS:
                return SendResult(delivered, timedelta(0))
            try:
                error = await slot.run(_send(work.settings, message))
            except SlowSlotsFull:
                # This is not an attempt: the receiver had less than its time limit.
                return SendResult(delivered, SOON)
            async with lend() as work:
                await _record_attempt(work, message, error)
            if error is not None:
                return SendResult(delivered)
            delivered += 1


async def list_all(work: Work, limit: int = 100) -> list[Record]:
    """List the newest messages with their attempts and outcome."""
    return await work.all("webhooks.list", limit=limit)


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """Return the signature header that a receiver verifies: HMAC-SHA256 of `timestamp.body`."""
    signed = hmac.digest(secret.encode(), timestamp.encode() + b"." + body, sha256).hex()
    return f"t={timestamp},v1={signed}"


def signed_headers(settings: Settings, stored_secret: str, body: bytes) -> dict[str, str]:
    """Return the headers of a message that is sent now, with its signature."""
    stamp = str(int(clock.now().timestamp()))
    secret = stored_secrets.webhook_secret(settings, stored_secret)
    return {
        "Content-Type": "application/json",
        "User-Agent": USER_AGENT,
        SIGNATURE: signature(secret, stamp, body),
    }


async def _send(settings: Settings, message: Row) -> str | None:
    """Send a message once; returns the error message, or None."""
    body = bytes(message["body"])
    try:
        headers = signed_headers(settings, message["secret"], body)
    except Exception as fault:
        # Only this message is affected: count an attempt, so that later messages are not blocked.
        return background.operator_message(fault)
    headers["X-Innkeeper-Message"] = str(message["sequence"])
    return await post(settings, message["url"], body, headers)


async def _record_attempt(work: Work, message: Row, error: str | None) -> None:
    """Store that a message was delivered, or its error and the time of the next attempt."""
    now = clock.now()
    if error is None:
        await work.run("webhooks.sent", sequence=message["sequence"], now=now)
        return
    attempts = message["attempts"] + 1
    await work.run(
        "webhooks.failed",
        sequence=message["sequence"],
        due_at=now + background.pause(attempts, FIRST_PAUSE, LONGEST_PAUSE),
        error=error[:500],
        failed_at=now if attempts >= ATTEMPTS else None,
    )
    log.warning("webhook message %d was not delivered: %s", message["sequence"], error)


async def post(
    settings: Settings, url: str, body: bytes, headers: Mapping[str, str], seconds: float = 0
) -> str | None:
    """Post a body within `seconds` (default `SECONDS`); returns an error message for users, or
    None."""
    try:
        response = await send_request(
            settings,
            "POST",
            url,
            headers={"User-Agent": USER_AGENT, **headers},
            body=body,
            seconds=seconds or SECONDS,
        )
        response.check()
    except OutboundFailed as error:
        return str(error)
    return None
