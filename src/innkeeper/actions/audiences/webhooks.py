"""Messages to other systems: kept with what they tell of, sent until they arrive, signed.

A later message to an address waits for an earlier one. Each address has a job of its own
(`background.DELIVERIES`), so that one that is down or slow keeps none but its own messages waiting,
and holds no connection to the database meanwhile.
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
from innkeeper.actions.audiences.workspace_share import SOON, workspace_slot
from innkeeper.resources.base import Record
from innkeeper.rules.identity_keys import digest
from innkeeper.settings import Settings
from innkeeper.store.outbound_http import OutboundFailed, send_request
from innkeeper.store.work import Lend, Row, Work

log = logging.getLogger(__name__)

SIGNATURE: Final = "X-Innkeeper-Signature"
SEND: Final = "webhooks.send_to"
SECONDS: Final = 10.0
"""How long one message may take, from the look-up of the name to the status of the response."""
TURN_SECONDS: Final = 15.0
"""How long an address that takes its messages keeps its slot before others get their turn."""
ATTEMPTS: Final = 14
FIRST_PAUSE: Final = timedelta(seconds=5)
LONGEST_PAUSE: Final = timedelta(hours=1)
RETENTION: Final = timedelta(days=7)


async def queue_message(work: Work, url: str, secret: str, message: Mapping[str, Any]) -> None:
    """Queue a message in the transaction of what it tells of."""
    body = msgspec.json.encode(message, enc_hook=str)
    await work.run("webhooks.put", url=url, secret=secret, body=body, now=clock.now())


@dataclass(frozen=True, slots=True)
class SendResult:
    """What became of one address's turn."""

    delivered: int
    """Messages that arrived."""
    pause: timedelta | None = None
    """After what time the next turn is; None when nothing is due."""


async def queue_due(work: Work) -> int:
    """Queue a job for every address that has messages due and no job yet; how many."""
    queued = 0
    for row in await work.all("webhooks.addresses", now=clock.now()):
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
    """Send what is due to one address, until one fails or its turn is over."""
    began, sent = time.monotonic(), 0
    with ExitStack() as stack:
        while True:
            async with lend() as work:
                message = await work.one("webhooks.next", url=url)
            if message is None or message["due_at"] > clock.now():
                return SendResult(sent)
            if not sent and not stack.enter_context(workspace_slot(work.workspace)):
                return SendResult(sent, SOON)
            if time.monotonic() - began > TURN_SECONDS:
                return SendResult(sent, timedelta(0))
            error = await _send(work.settings, message)
            async with lend() as work:
                await _record_attempt(work, message, error)
            if error is not None:
                return SendResult(sent)
            sent += 1


async def list_all(work: Work, limit: int = 100) -> list[Record]:
    """The newest messages and what became of them."""
    return await work.all("webhooks.list", limit=limit)


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """What a receiver compares: HMAC-SHA256 of `timestamp.body`."""
    signed = hmac.digest(secret.encode(), timestamp.encode() + b"." + body, sha256).hex()
    return f"t={timestamp},v1={signed}"


async def _send(settings: Settings, message: Row) -> str | None:
    """Try once; what was wrong, or None."""
    body = bytes(message["body"])
    stamp = str(int(clock.now().timestamp()))
    try:
        secret = stored_secrets.webhook_secret(settings, message["secret"])
    except Exception as fault:
        # Of this message alone: it counts as an attempt, and those behind it get theirs.
        return background.operator_message(fault)
    headers = {
        "Content-Type": "application/json",
        SIGNATURE: signature(secret, stamp, body),
        "X-Innkeeper-Message": str(message["sequence"]),
    }
    return await post(settings, message["url"], body, headers)


async def _record_attempt(work: Work, message: Row, error: str | None) -> None:
    """Note that a message arrived, or when it is tried again."""
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
        given_up_at=now if attempts >= ATTEMPTS else None,
    )
    log.warning("message %d did not arrive: %s", message["sequence"], error)


async def post(
    settings: Settings, url: str, body: bytes, headers: Mapping[str, str], seconds: float = 0
) -> str | None:
    """Send a body, in `SECONDS` unless told otherwise; what users are told was wrong, or None."""
    try:
        response = await send_request(
            settings,
            "POST",
            url,
            headers={**headers, "User-Agent": "Innkeeper"},
            body=body,
            seconds=seconds or SECONDS,
        )
        response.check()
    except OutboundFailed as error:
        return str(error)
    return None
