"""The task that deletes old jobs from the queue."""

from typing import Final

from procrastinate import JobContext

from innkeeper.jobs.registry import RETRY, TASKS

RETENTION_HOURS: Final = 72


@TASKS.periodic(cron="17 * * * *")
@TASKS.task(name="jobs.forget", retry=RETRY, pass_context=True, queueing_lock="jobs.forget")
async def forget(context: JobContext, /, timestamp: int) -> None:
    """Delete finished and aborted jobs after three days; failed ones stay for inspection."""
    await context.app.job_manager.delete_old_jobs(nb_hours=RETENTION_HOURS, include_aborted=True)
