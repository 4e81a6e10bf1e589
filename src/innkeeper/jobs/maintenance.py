"""Upkeep of the queue itself."""

from typing import Final

from procrastinate import JobContext

from innkeeper.jobs.registry import BOARD, RETRY

RETENTION_HOURS: Final = 72


@BOARD.periodic(cron="17 * * * *")
@BOARD.task(name="jobs.forget", retry=RETRY, pass_context=True, queueing_lock="jobs.forget")
async def forget(context: JobContext, /, timestamp: int) -> None:
    """Forget finished jobs after three days; failed ones stay to be looked at."""
    await context.app.job_manager.delete_old_jobs(nb_hours=RETENTION_HOURS, include_aborted=True)
