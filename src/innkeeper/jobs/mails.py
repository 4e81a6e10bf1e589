"""Tasks that send e-mail to users."""

from uuid import UUID

from procrastinate import JobContext

from innkeeper.actions.admin import mails
from innkeeper.jobs.registry import DATABASE, RETRY, TASKS, scheduled
from innkeeper.store.work import Work


@TASKS.task(name=mails.RESET, retry=RETRY, pass_context=True)
async def send_reset(context: JobContext, /, workspace: str, user: str, base: str) -> None:
    """Send the link for a forgotten password; another attempt sends another link."""
    await mails.send_reset(context.additional_context[DATABASE], UUID(user), base)


@TASKS.task(name=mails.FAILURE, retry=RETRY, pass_context=True)
async def send_failure(context: JobContext, /, workspace: str, **job: str) -> None:
    """Send a message about a failed job."""
    await mails.send_failure(context.additional_context[DATABASE], workspace, job)


@scheduled("* * * * *", "mails.failures")
async def queue_failures(work: Work) -> None:
    """Queue messages about jobs that failed."""
    await mails.queue_failures(work)


@scheduled("23 3 * * *", "mails.forget_failures")
async def forget_failures(work: Work) -> None:
    """Delete what is stored about messages that cannot be queued again."""
    await mails.forget_failures(work)
