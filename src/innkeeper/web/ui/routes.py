"""Every page, as Starlette routes them."""

from typing import Final

from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from innkeeper.settings import Settings
from innkeeper.store.database import Database
from innkeeper.web.ui import guests, identity, login, orders, timeline
from innkeeper.web.ui.assets import ROUTES
from innkeeper.web.ui.shell import Page, Shell, Visit


async def _start(visit: Visit) -> Response:
    return RedirectResponse(visit.url("/guests"), 303)


PAGES: Final[tuple[Page, ...]] = (
    Page("/", _start),
    *guests.PAGES,
    *timeline.PAGES,
    *orders.PAGES,
    *identity.PAGES,
)


def routes(database: Database, settings: Settings) -> list[BaseRoute]:
    """The door, the files, and every page of a workspace."""
    shell = Shell(database, settings)
    pages = []
    for page in PAGES:
        methods = [*(["GET"] if page.show else []), *(["POST"] if page.post else [])]
        pages.append(Route("/w/{workspace}" + page.path, shell.endpoint(page), methods=methods))
    return [*login.routes(database), *ROUTES, *pages]
