"""The task that applies changes of identity rules to existing guests."""

import asyncio

from innkeeper.actions.identity import rule_changes
from innkeeper.actions.identity.rule_settings import TASK
from innkeeper.jobs.registry import task
from innkeeper.store.work import Work


@task(TASK)
async def run(work: Work) -> None:
    """Run the pending rule changes of a workspace; an interrupted one continues where it ended."""
    while True:
        if await rule_changes.run_jobs(work):
            return
        # A command is running it. Wait, in case the command is interrupted.
        await asyncio.sleep(1)
