"""Derive the identity keys of guests again, after a release changed how keys are derived."""

from typing import Final

from innkeeper.actions.admin import workspaces
from innkeeper.actions.identity import ledger, rulebook
from innkeeper.rules.identity_keys import KEY_FORM
from innkeeper.store.database import Database
from innkeeper.store.migrate import migrate
from innkeeper.store.work import Work

BATCH: Final = 2000


async def upgrade(dsn: str) -> None:
    """Upgrade a database to this release: its tables, then the keys of its guests."""
    await migrate(dsn)
    async with Database(dsn, pool_size=1, statement_timeout_ms=0) as database:
        await renew_keys(database)


async def renew_keys(database: Database) -> None:
    """Derive the keys of all guests again, in every workspace whose keys have an older form.

    Run it before the server answers requests: a guest with keys of an older form is not matched by
    a new record of the same person. If interrupted, the next run starts again.
    """
    async with database.control("system") as work:
        names = [row["name"] for row in await workspaces.list_all(work)]
    for name in names:
        async with database.work(name, "system") as work:
            row = await work.one("identity.key_form")
            if row is not None and row["key_form"] < KEY_FORM:
                await _renew_keys(work)


async def _renew_keys(work: Work) -> None:
    """Replace the keys of one workspace's guests, one batch per transaction."""
    book, after = await rulebook.read(work), None
    while True:
        async with work.transaction():
            await work.run("identity.no_timeout")
            rows = await work.all("identity.batch_of_other_form", after=after, limit=BATCH)
            if not rows:
                await work.run("identity.set_key_form", key_form=KEY_FORM)
                return
            await ledger.renew_keys(work, rows, book)
        after = rows[-1]["ref"]
