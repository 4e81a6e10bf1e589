"""Render templates with what every page has: filters, icons, the theme, security headers."""

import asyncio
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Final

from jinja2 import Environment, PackageLoader
from starlette.requests import Request
from starlette.responses import HTMLResponse

from innkeeper import __version__
from innkeeper.rules.access import Right
from innkeeper.store.limiter import Limiter
from innkeeper.web.browser_security import read_cookie
from innkeeper.web.ui import charts
from innkeeper.web.ui.assets import asset_path
from innkeeper.web.ui.attributes import WholeAttributes
from innkeeper.web.ui.bounded import EXTENSIONS, ROWS, shorten
from innkeeper.web.ui.formatting import FILTERS
from innkeeper.web.ui.line_breaks import LineBreaks

THEME_COOKIE: Final = "innkeeper_theme"
HEADERS: Final = {
    "content-security-policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "
        "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cache-control": "no-store",
}
PAGE_SIZE: Final = 50
ON_LOOP_CHARACTERS: Final = 128 * 1024
"""Most characters of a page that the event loop renders; a thread renders the rest."""
LARGE_PAGES: Final = Limiter("large pages", at_once=2, waiting=16)


class PageResponse(HTMLResponse):
    """A page that `render_body` renders after its database connection is released."""

    def __init__(self, template: str, status: int, context: Mapping[str, Any]) -> None:
        super().__init__("", status, HEADERS)
        self._pieces = _environment().get_template(template).generate(**context)

    async def render_body(self) -> None:
        """Render the page: its beginning on the event loop, the rest of a large one in a thread."""
        pieces = self._pieces
        start = "".join(_first_pieces(pieces))
        if len(start) > ON_LOOP_CHARACTERS:
            async with LARGE_PAGES:
                start += await asyncio.to_thread("".join, pieces)
        self.body = start.encode()
        self.headers["content-length"] = str(len(self.body))


def _first_pieces(pieces: Iterator[str]) -> Iterator[str]:
    """Yield pieces of a page until it is complete or over `ON_LOOP_CHARACTERS`."""
    length = 0
    for piece in pieces:
        yield piece
        length += len(piece)
        if length > ON_LOOP_CHARACTERS:
            return


def theme_of(request: Request) -> str:
    """Return the theme that the visitor chose: light, dark, or system."""
    theme = read_cookie(request, THEME_COOKIE)
    return theme if theme in ("light", "dark") else "system"


def render(template: str, **context: Any) -> str:
    """Render a template with its context."""
    return _environment().get_template(template).render(**context)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("innkeeper.web.ui"),
        autoescape=True,
        auto_reload=False,
        finalize=shorten,
        extensions=[LineBreaks, WholeAttributes],
    )
    environment.filters |= FILTERS
    globals_: Mapping[str, Any] = {
        "asset": asset_path,
        "Right": Right,
        "version": __version__,
        "page_size": PAGE_SIZE,
        "rows_size": ROWS,
        "extensions_size": EXTENSIONS,
        "chart": charts,
    }
    environment.globals.update(globals_)
    return environment
