"""The start page: totals, and charts of a period."""

from typing import Final

from starlette.responses import Response

from innkeeper.actions.console import figures
from innkeeper.web.ui.shell import PageRoute, Visit

CHOICES: Final = (("7", "7 days"), ("30", "30 days"), ("90", "90 days"), ("365", "12 months"))


async def show(visit: Visit) -> Response:
    """Show totals and charts of a period."""
    period = visit.query_text("period", "30")
    period = period if period in figures.PERIODS else "30"
    totals = await figures.read(visit.work, period)
    guest_count = sum(totals.guests.values())
    return visit.show(
        "home.html",
        period=period,
        choices=CHOICES,
        f=totals,
        everyone=guest_count,
        labels=[f"{at:%Y-%m}" if period == "365" else f"{at:%Y-%m-%d}" for at in totals.times],
        minute_labels=[f"{59 - each} min ago" if each < 59 else "now" for each in range(60)],
        is_new=not guest_count,
    )


PAGES: Final = (PageRoute("/", show),)
