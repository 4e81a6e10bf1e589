"""CSRF tokens: prove that a form was sent from one of our own pages."""

import hashlib
import hmac
import secrets
from typing import Final

from starlette.requests import Request

from innkeeper.web.browser_security import read_cookie

FORM_COOKIE: Final = "innkeeper_form"


def csrf_token(secret: str) -> str:
    """Return the token that forms must send: derived from a cookie that scripts and other sites
    cannot read, so that only our own pages hold it."""
    return hmac.new(secret.encode(), b"form", hashlib.sha256).hexdigest()[:32]


def is_csrf_token(token: object, secret: str) -> bool:
    """Whether a form's `token` is the one that `csrf_token` returns for the secret."""
    if not isinstance(token, str) or not secret:
        return False
    # Bytes, since `compare_digest` does not accept text that is not ASCII.
    return hmac.compare_digest(token.encode("utf-8", "replace"), csrf_token(secret).encode())


def form_secret(request: Request) -> str:
    """Return the secret of forms that are sent without a login; create one when there is none."""
    return read_cookie(request, FORM_COOKIE) or secrets.token_urlsafe(24)
