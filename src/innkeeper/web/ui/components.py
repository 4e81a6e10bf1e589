"""The design system on one page: every component of the pages."""

from typing import Final
from uuid import UUID

from starlette.responses import Response

from innkeeper.web.ui.shell import PageRoute, Visit

_GUESTS: Final = (
    {
        "ref": UUID(int=1),
        "first_name": "Aoife",
        "last_name": "Murphy",
        "email": "aoife@example.com",
    },
    {"ref": UUID(int=2), "first_name": "Lukas", "last_name": "Weber", "email": "lukas@example.com"},
    {"ref": UUID(int=3), "email": "nobody@example.com"},
)


async def show(visit: Visit) -> Response:
    """Show every component, with sample contents."""
    return visit.show("components.html", people=_GUESTS)


PAGES: Final = (PageRoute("/ui/components", show),)
