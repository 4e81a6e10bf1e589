"""Rule changes carried through the existing guests."""

import asyncio

from innkeeper.actions.identity import rule_changes
from innkeeper.actions.identity.rule_settings import TASK
from innkeeper.jobs.registry import task
from innkeeper.store.work import Work


@task(TASK)
async def run(work: Work) -> None:
    """Run what is waiting in this workspace; cut off, it goes on where it stopped."""
    while True:
        if await rule_changes.run_jobs(work):
            return
        # A command is at it: wait, in case it is cut off.
        await asyncio.sleep(1)
