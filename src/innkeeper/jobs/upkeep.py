"""Upkeep of the queue itself."""

import logging
from typing import Final

from procrastinate import JobContext

from innkeeper.jobs.board import BOARD, RETRY

KEPT_HOURS: Final = 72
STALLED_SECONDS: Final = 60

log = logging.getLogger("innkeeper.jobs")


@BOARD.periodic(cron="* * * * *")
@BOARD.task(name="jobs.revive", retry=RETRY, pass_context=True, queueing_lock="jobs.revive")
async def revive(context: JobContext, /, timestamp: int) -> None:
    """Queue again what a killed worker left unfinished; without this it would stay so."""
    manager = context.app.job_manager
    for job in await manager.get_stalled_jobs(seconds_since_heartbeat=STALLED_SECONDS):
        log.warning("job %s (%s) was cut off and runs again", job.id, job.task_name)
        await manager.retry_job(job)


@BOARD.periodic(cron="17 * * * *")
@BOARD.task(name="jobs.forget", retry=RETRY, pass_context=True, queueing_lock="jobs.forget")
async def forget(context: JobContext, /, timestamp: int) -> None:
    """Forget finished jobs after three days; failed ones stay to be looked at."""
    await context.app.job_manager.delete_old_jobs(nb_hours=KEPT_HOURS, include_failed=False)
