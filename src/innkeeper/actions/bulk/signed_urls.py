"""Signed URLs: each allows one method on one file until it expires, without other credentials."""

import hmac
import re
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Final, Literal
from urllib.parse import urlencode

from innkeeper import clock
from innkeeper.actions.admin import stored_secrets
from innkeeper.errors import Forbidden
from innkeeper.resources.base import Record
from innkeeper.store.work import Work

LIFE: Final = timedelta(hours=1)
"""How long a signed URL is valid (batch-api.md 2)."""
PREFIX: Final = "/files"

Method = Literal["GET", "PUT"]

# A client key, or the id of an OAuth client; never a person's address, which URLs must not contain.
_ISSUER: Final = re.compile(r"[A-Za-z0-9_-]{32}", re.ASCII)


async def sign(work: Work, method: Method, path: str) -> Record:
    """Sign a path; return `href` (the path with its query) and `expiry`.

    The URL is valid until `expiry`, or until the credentials of its issuer are revoked.
    """
    expiry = (clock.now() + LIFE).replace(microsecond=0)
    issuer = work.actor if _ISSUER.fullmatch(work.actor) else ""
    query = {"Expires": str(int(expiry.timestamp()))} | ({"Issuer": issuer} if issuer else {})
    query["Signature"] = await _signature(work, method, path, query["Expires"], issuer)
    return {"href": f"{path}?{urlencode(query)}", "expiry": expiry}


async def check(work: Work, method: Method, path: str, query: Mapping[str, str]) -> None:
    """Check a signed URL; raises `Forbidden`.

    It is refused if this installation did not sign it, if it has expired, or if its issuer (API key
    or OAuth client) is revoked.
    """
    expires, issuer = query.get("Expires", ""), query.get("Issuer", "")
    if not (expires.isascii() and expires.isdigit() and len(expires) < 12):
        expires = "0"
    expected = await _signature(work, method, path, expires, issuer)
    signature = query.get("Signature", "").encode("utf-8", "surrogatepass")
    if not hmac.compare_digest(signature, expected.encode()):
        raise Forbidden("The link is not valid.", "Its signature does not match.")
    if datetime.fromtimestamp(int(expires), clock.now().tzinfo) <= clock.now():
        raise Forbidden("The link has expired.", "Request a new link.")
    if issuer and await work.one("oauth.issuer", issuer=issuer) is None:
        raise Forbidden("The link has expired.", "The credentials that requested it are revoked.")


async def _signature(work: Work, method: Method, path: str, expires: str, issuer: str) -> str:
    """Return the HMAC-SHA-256 of the parts of a signed URL, in URL-safe base64."""
    key = await stored_secrets.installation_key(work, stored_secrets.LINKS)
    message = "\n".join((method, path, expires, issuer)).encode("utf-8", "surrogatepass")
    return urlsafe_b64encode(hmac.digest(key, message, sha256)).rstrip(b"=").decode()
