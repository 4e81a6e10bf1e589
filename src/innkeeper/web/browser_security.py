"""Security headers of every response, and attributes of cookies.

Responses of the API, of streams and of files have the headers of `STRICT`; pages set a
Content-Security-Policy of their own and get the others. Where `public_url` is https, responses
have Strict-Transport-Security, and cookies are `Secure` with names that begin with `__Host-`.
"""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from innkeeper.settings import Settings

Headers = list[tuple[bytes, bytes]]

_COMMON: Final[Headers] = [
    (b"x-content-type-options", b"nosniff"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (
        b"permissions-policy",
        b"camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
    ),
]
# A response that is not a page loads nothing and must not be framed.
STRICT: Final[Headers] = [
    *_COMMON,
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
]
# A year, without subdomains: they may belong to other services.
_HSTS: Final = (b"strict-transport-security", b"max-age=31536000")


def security_headers(settings: Settings) -> Headers:
    """Return the headers of a response that is not a page."""
    return [*STRICT, _HSTS] if is_https(settings) else STRICT


def is_https(settings: Settings) -> bool:
    """Whether browsers use https, even when a proxy forwards requests by http."""
    return settings.public_url.lower().startswith("https://")


def read_cookie(request: Request, name: str) -> str:
    """Return the value of a cookie of Innkeeper; empty when the request has none."""
    return request.cookies.get(_cookie_name(request, name), "")


def set_cookie(
    request: Request,
    response: Response,
    name: str,
    value: str,
    *,
    max_age: int | None = None,
    same_site: str = "lax",
) -> None:
    """Set a cookie that is limited to this host and hidden from scripts; `max_age` in seconds."""
    response.set_cookie(
        _cookie_name(request, name),
        value,
        max_age=max_age,
        httponly=True,
        samesite="strict" if same_site == "strict" else "lax",
        secure=_is_secure(request),
    )


def delete_cookie(request: Request, response: Response, name: str) -> None:
    """Delete a cookie; browsers accept a `__Host-` name only together with `Secure`."""
    response.delete_cookie(
        _cookie_name(request, name), secure=_is_secure(request), httponly=True, samesite="lax"
    )


def _cookie_name(request: Request, name: str) -> str:
    return f"__Host-{name}" if _is_secure(request) else name


def _is_secure(request: Request) -> bool:
    return request.url.scheme == "https"
