"""The start page: what there is, and what happened lately."""

from datetime import datetime
from typing import Final

from starlette.responses import Response

from innkeeper.actions.console import figures
from innkeeper.web.ui.shell import PageRoute, Visit

CHOICES: Final = (("7", "7 days"), ("30", "30 days"), ("90", "90 days"), ("365", "12 months"))


async def show(visit: Visit) -> Response:
    """Totals and charts of a period."""
    period = visit.query_text("period", "30")
    period = period if period in figures.PERIODS else "30"
    found = await figures.read(visit.work, period)
    everyone = sum(found.guests.values())
    return visit.show(
        "home.html",
        period=period,
        choices=CHOICES,
        f=found,
        everyone=everyone,
        labels=[_label(at, period) for at in found.times],
        minute_labels=[f"{59 - each} min ago" if each < 59 else "now" for each in range(60)],
        is_new=not everyone,
    )


def _label(at: datetime, period: str) -> str:
    return f"{at:%b %Y}" if period == "365" else f"{at.day} {at:%b}"


PAGES: Final = (PageRoute("/", show),)
