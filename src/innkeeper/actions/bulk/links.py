"""Signed links: whoever holds one may use one file in one way until it expires."""

import hmac
from base64 import urlsafe_b64encode
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Final, Literal
from urllib.parse import urlencode

from innkeeper import clock
from innkeeper.errors import Forbidden
from innkeeper.resources.base import Record
from innkeeper.store.work import Work

LIFE: Final = timedelta(hours=1)
"""How long a link works (batch-api.md 2)."""
PREFIX: Final = "/files"

Method = Literal["GET", "PUT"]

_secrets: dict[str, bytes] = {}


async def sign(work: Work, method: Method, path: str) -> Record:
    """`href` (a path with its query) that works until `expiry`."""
    expiry = (clock.now() + LIFE).replace(microsecond=0)
    expires = int(expiry.timestamp())
    signature = _signature(await _secret(work), method, path, expires)
    query = urlencode({"Expires": expires, "Signature": signature})
    return {"href": f"{path}?{query}", "expiry": expiry}


async def check(work: Work, method: Method, path: str, expires: str, signature: str) -> None:
    """Raises `Forbidden` for a link that has expired or that this installation did not sign."""
    number = int(expires) if expires.isascii() and expires.isdigit() and len(expires) < 12 else 0
    expected = _signature(await _secret(work), method, path, number)
    if not hmac.compare_digest(signature.encode(), expected.encode()):
        raise Forbidden("The link is not valid.", "Its signature does not match.")
    if datetime.fromtimestamp(number, clock.now().tzinfo) <= clock.now():
        raise Forbidden("The link has expired.", "Ask for a new one.")


def _signature(secret: bytes, method: str, path: str, expires: int) -> str:
    message = f"{method}\n{path}\n{expires}".encode()
    return urlsafe_b64encode(hmac.digest(secret, message, sha256)).rstrip(b"=").decode()


async def _secret(work: Work) -> bytes:
    place = work.settings.database or work.connection.info.dsn
    secret = _secrets.get(place)
    if secret is None:
        row = await work.one("links.secret")
        if row is None:
            raise RuntimeError("this installation has no key for its links")
        secret = _secrets[place] = bytes(row["value"])
    return secret
