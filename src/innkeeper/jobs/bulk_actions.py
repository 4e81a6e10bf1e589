"""The task of actions on many guests."""

from uuid import UUID

from innkeeper.actions.audiences import bulk_actions
from innkeeper.jobs.registry import scheduled, task
from innkeeper.store.work import Work


@task(bulk_actions.RUN)
async def run(work: Work, action: str) -> None:
    """Continue an action with the guests that it did not reach yet."""
    await bulk_actions.run(work, UUID(action))


@scheduled("23 3 * * *", "bulk_actions.delete_finished")
async def delete_finished(work: Work) -> None:
    """Delete the actions that finished longer than `batch_days` ago."""
    await bulk_actions.delete_finished(work)
