"""Templates rendered with what every page has: filters, icons, the theme, security headers."""

from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from jinja2 import Environment, PackageLoader
from starlette.requests import Request

from innkeeper import __version__
from innkeeper.rules.access import Right
from innkeeper.web.browser_security import read_cookie
from innkeeper.web.ui import charts
from innkeeper.web.ui.assets import address
from innkeeper.web.ui.words import FILTERS

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


def theme_of(request: Request) -> str:
    """light, dark, or system."""
    theme = read_cookie(request, THEME_COOKIE)
    return theme if theme in ("light", "dark") else "system"


def render(template: str, **context: Any) -> str:
    """A template with its context."""
    return _environment().get_template(template).render(**context)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("innkeeper.web.ui"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters |= FILTERS
    globals_: Mapping[str, Any] = {
        "asset": address,
        "Right": Right,
        "version": __version__,
        "page_size": PAGE_SIZE,
        "chart": charts,
    }
    environment.globals.update(globals_)
    return environment
