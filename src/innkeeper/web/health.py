"""Health checks, metrics and the API description."""

import os
from functools import cache
from hmac import compare_digest
from html import escape
from ipaddress import ip_address
from typing import Final

from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from innkeeper.errors import Forbidden, Unavailable
from innkeeper.settings import Settings
from innkeeper.store.database import Database
from innkeeper.web.base_url import base_url
from innkeeper.web.queue_metrics import queue_metrics
from innkeeper.web.ui.assets import asset_path
from innkeeper.web.ui.rendering import theme_of
from innkeeper.wire.json_text import encode
from innkeeper.wire.openapi import description
from innkeeper.wire.reference import reference_page
from innkeeper.wire.reference_examples import URL
from innkeeper.wire.routes import OFFICIAL, OPEN

# Headers that proxies add to the requests that they forward.
_FORWARDED: Final = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via")
_REFERENCE_STYLES: Final = ("app.css", "reference.css")
REFERENCE_SCRIPTS: Final = ("reference.js", "reference_try.js")
"""Static files of the API reference."""
CSP = (
    "default-src 'none'; style-src 'self'; script-src 'self'; base-uri 'none'; "
    "connect-src 'self'; frame-ancestors 'none'"
)


def routes(database: Database, settings: Settings) -> list[BaseRoute]:
    """Return the routes of this module; only /metrics checks the caller (AU-5)."""

    async def openapi(request: Request) -> Response:
        dialect = request.query_params.get("compatibility", OPEN)
        return _json(
            description(OFFICIAL if dialect == OFFICIAL else OPEN, _base(request, settings))
        )

    async def docs(request: Request) -> Response:
        page = _reference().replace(URL, escape(_base(request, settings)))
        if (theme := theme_of(request)) != "system":
            page = page.replace("<html ", f'<html data-theme="{theme}" ', 1)
        headers = {"content-security-policy": CSP}
        return Response(page, media_type="text/html", headers=headers)

    async def ready(_: Request) -> Response:
        async with database.control() as work:
            if await work.one("health.ping") is None:
                raise Unavailable
        return _json({"status": "ready"})

    async def metrics(request: Request) -> Response:
        if not may_read_metrics(request, settings):
            raise Forbidden(
                "Metrics are for this machine only.",
                "Send the bearer token of the setting metrics_token, or set metrics_open.",
            )
        try:
            queues = await queue_metrics(database)
        except Unavailable:
            queues = b""  # operators need the counters most while the database is unavailable
        return Response(_process_metrics() + queues, media_type=CONTENT_TYPE_LATEST)

    return [
        Route("/healthz", _alive),
        Route("/readyz", ready),
        Route("/metrics", metrics),
        Route("/openapi.json", openapi),
        Route("/docs", docs),
    ]


def _base(request: Request, settings: Settings) -> str:
    headers = {name.lower(): value for name, value in request.scope["headers"]}
    return base_url(request.scope, headers, settings.public_url)


def may_read_metrics(request: Request, settings: Settings) -> bool:
    """Whether metrics are open, or the caller has the token or is on this machine.

    A request that a proxy forwarded does not count as one of this machine.
    """
    if settings.metrics_open:
        return True
    if settings.metrics_token:
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        credential = token.strip().encode("utf-8", "surrogatepass")
        if kind.lower() == "bearer" and compare_digest(credential, settings.metrics_token.encode()):
            return True
    if any(name in request.headers for name in _FORWARDED) or request.client is None:
        return False
    try:
        return ip_address(request.client.host).is_loopback
    except ValueError:
        return False


def _json(value: object) -> Response:
    return Response(encode(value), media_type="application/json")


async def _alive(_: Request) -> Response:
    return _json({"status": "ok"})


def _process_metrics() -> bytes:
    registry = REGISTRY
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        # Several workers: each writes its own files, and each can add up those of all.
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry)


@cache
def _reference() -> str:
    styles, scripts = (
        [asset_path(name) for name in names] for names in (_REFERENCE_STYLES, REFERENCE_SCRIPTS)
    )
    return reference_page(description(OPEN, ""), styles, scripts)
