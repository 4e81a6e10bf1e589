"""Messages to other systems: kept with what they tell of, sent until they arrive, signed.

A later message to an address waits for an earlier one; one address that is down keeps none but
its own messages waiting.
"""

import asyncio
import hmac
import logging
import urllib.error
import urllib.request
from collections.abc import Mapping
from datetime import timedelta
from hashlib import sha256
from typing import Any, Final

import msgspec

from innkeeper import clock
from innkeeper.actions.admin import background, stored_secrets
from innkeeper.resources.base import Record
from innkeeper.store.outside import outside
from innkeeper.store.work import Row, Work

log = logging.getLogger(__name__)

SIGNATURE: Final = "X-Innkeeper-Signature"
SECONDS: Final = 10.0
AT_ONCE: Final = 50
"""Messages to one address before others get their turn."""
ATTEMPTS: Final = 14
FIRST_PAUSE: Final = timedelta(seconds=5)
LONGEST_PAUSE: Final = timedelta(hours=1)
KEPT: Final = timedelta(days=7)


async def put(work: Work, url: str, secret: str, message: Mapping[str, Any]) -> None:
    """Queue a message in the transaction of what it tells of."""
    body = msgspec.json.encode(message, enc_hook=str)
    await work.run("webhooks.put", url=url, secret=secret, body=body, now=clock.now())


async def send_due(work: Work) -> int:
    """Send what is due, to all addresses at the same time; how many messages arrived."""
    rows = await work.all("webhooks.addresses", now=clock.now())
    sent = await asyncio.gather(*(_send_to(work, row["url"]) for row in rows))
    await work.run("webhooks.forget", before=clock.now() - KEPT)
    return sum(sent)


async def list_all(work: Work, limit: int = 100) -> list[Record]:
    """The newest messages and what became of them."""
    return await work.all("webhooks.list", limit=limit)


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """What a receiver compares: HMAC-SHA256 of `timestamp.body`."""
    signed = hmac.digest(secret.encode(), timestamp.encode() + b"." + body, sha256).hex()
    return f"t={timestamp},v1={signed}"


async def _send_to(work: Work, url: str) -> int:
    """Send what is due to one address until it fails; how many messages arrived."""
    sent = 0
    for message in await work.all("webhooks.due", url=url, most=AT_ONCE):
        if message["due_at"] > clock.now() or not await _send(work, message):
            break
        sent += 1
    return sent


async def _send(work: Work, message: Row) -> bool:
    """Try once; whether it arrived."""
    body = bytes(message["body"])
    stamp = str(int(clock.now().timestamp()))
    headers = {
        "Content-Type": "application/json",
        SIGNATURE: signature(
            stored_secrets.webhook_secret(work.settings, message["secret"]), stamp, body
        ),
        "X-Innkeeper-Message": str(message["sequence"]),
        "User-Agent": "Innkeeper",
    }
    error = await outside(post, message["url"], body, headers)
    if error is None:
        await work.run("webhooks.sent", sequence=message["sequence"], now=clock.now())
        return True
    attempts = message["attempts"] + 1
    now = clock.now()
    await work.run(
        "webhooks.failed",
        sequence=message["sequence"],
        due_at=now + background.pause(attempts, FIRST_PAUSE, LONGEST_PAUSE),
        error=error[:500],
        given_up_at=now if attempts >= ATTEMPTS else None,
    )
    log.warning("message %d did not arrive: %s", message["sequence"], error)
    return False


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A signed message goes to the address it was signed for, and nowhere else."""

    def redirect_request(self, *_: Any) -> None:
        return None


_opener: Final = urllib.request.build_opener(_NoRedirects, urllib.request.ProxyHandler({}))


def post(url: str, body: bytes, headers: Mapping[str, str]) -> str | None:
    """Send a body; None when the answer is good, else what was wrong."""
    request = urllib.request.Request(url, body, dict(headers), method="POST")  # noqa: S310
    try:
        with _opener.open(request, timeout=SECONDS) as answer:
            answer.read(65536)
            return None
    except urllib.error.HTTPError as error:
        with error:
            return f"answered {error.code}"
    except (OSError, ValueError) as error:
        return str(error) or type(error).__name__
