"""What forms send back to prove that they come from our own pages."""

import hashlib
import hmac
import secrets
from typing import Final

from starlette.requests import Request

from innkeeper.web.browser_security import read_cookie

FORM_COOKIE: Final = "innkeeper_form"


def csrf_of(secret: str) -> str:
    """What forms must send back: only our own pages know it, since it follows from a cookie
    that scripts and other sites cannot read."""
    return hmac.new(secret.encode(), b"form", hashlib.sha256).hexdigest()[:32]


def is_csrf(sent: object, secret: str) -> bool:
    """Whether a form sent back what `csrf_of` gives for that secret; any text may be sent."""
    if not isinstance(sent, str) or not secret:
        return False
    # Bytes, since text that is not ASCII cannot be compared in constant time.
    return hmac.compare_digest(sent.encode("utf-8", "replace"), csrf_of(secret).encode())


def form_secret(request: Request) -> str:
    """The secret of forms that are sent before anybody is logged in."""
    return read_cookie(request, FORM_COOKIE) or secrets.token_urlsafe(24)
