"""What protects people's browsers: security headers of every response, and marks of cookies.

The headers of `STRICT` stand on responses of the API, of streams and of files; pages bring a
Content-Security-Policy of their own and get the rest. An installation whose `public_url` is https
adds Strict-Transport-Security, and its cookies are `Secure` with names that begin with `__Host-`.
"""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

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
# Responses that are no page load nothing and are framed by nobody.
STRICT: Final[Headers] = [
    *_COMMON,
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
]
# A year, without subdomains: those may not be ours to decide about.
_HSTS: Final = (b"strict-transport-security", b"max-age=31536000")


def security_headers(settings: Settings) -> Headers:
    """The headers of a response that is no page."""
    return [*STRICT, _HSTS] if is_https(settings) else STRICT


def is_https(settings: Settings) -> bool:
    """Whether people reach this installation by https, whatever a proxy in front speaks to us."""
    return settings.public_url.lower().startswith("https://")


class BrowserSecurity:
    """Puts the headers on every response of an application that has not set them itself.

    With a public address of https a request counts as one of https, so that cookies are marked.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._https = is_https(settings)
        self._headers = security_headers(settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if self._https:
            scope = {**scope, "scheme": "https"}

        async def secured(message: Message) -> None:
            if message["type"] == "http.response.start":
                sent = {name.lower() for name, _ in message["headers"]}
                added = [each for each in self._headers if each[0] not in sent]
                message["headers"] = [*message["headers"], *added]
            await send(message)

        await self._app(scope, receive, secured)


def read_cookie(request: Request, name: str) -> str:
    """The value of a cookie of ours; empty where there is none."""
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
    """Set a cookie for this host alone that scripts cannot read; `max_age` in seconds."""
    response.set_cookie(
        _cookie_name(request, name),
        value,
        max_age=max_age,
        httponly=True,
        samesite="strict" if same_site == "strict" else "lax",
        secure=_is_secure(request),
    )


def delete_cookie(request: Request, response: Response, name: str) -> None:
    """Delete a cookie; browsers take a `__Host-` name only together with `Secure`."""
    response.delete_cookie(
        _cookie_name(request, name), secure=_is_secure(request), httponly=True, samesite="lax"
    )


def _cookie_name(request: Request, name: str) -> str:
    return f"__Host-{name}" if _is_secure(request) else name


def _is_secure(request: Request) -> bool:
    return request.url.scheme == "https"
