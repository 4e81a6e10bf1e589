"""The demo shop, loaded for a test."""

from innkeeper.actions.console import demo
from innkeeper.store.database import Database


async def load_demo(database: Database, guests: int) -> None:
    """Fill the empty workspace `live` with the stories of some guests."""
    now = await demo.prepare(database, "live")
    await demo.write_stories(database, "live", range(guests), 1, now)
    await demo.finish(database, "live")
