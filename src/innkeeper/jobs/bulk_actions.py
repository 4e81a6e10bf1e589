"""The task of actions on many guests."""

from uuid import UUID

from innkeeper.actions.audiences import bulk_actions
from innkeeper.jobs.registry import task
from innkeeper.store.work import Work


@task(bulk_actions.RUN)
async def run(work: Work, action: str) -> None:
    """Continue an action with the guests that it did not reach yet."""
    await bulk_actions.run(work, UUID(action))
