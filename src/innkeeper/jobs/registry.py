"""Decorators that register functions as tasks, their retries, and the connection of each run."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Concatenate, Final, ParamSpec

from procrastinate import BaseRetryStrategy, Blueprint, JobContext, RetryDecision, RetryStrategy
from procrastinate.jobs import Job

from innkeeper.actions.admin import workspaces
from innkeeper.actions.admin.background import RetryAt, try_each
from innkeeper.store.database import Database, retrying
from innkeeper.store.work import Lend, Work

P = ParamSpec("P")
Task = Callable[Concatenate[Work, P], Awaitable[None]]
LendingTask = Callable[Concatenate[Lend, P], Awaitable[None]]

TASKS: Final = Blueprint()
# Every task has a retry strategy: a job that was cancelled with its worker must run again.
MOST_ATTEMPTS: Final = 10
RETRY: Final = RetryStrategy(max_attempts=MOST_ATTEMPTS, exponential_wait=2)
LONGEST_PAUSE: Final = 300
_SHORT_PAUSE: Final = 60
DATABASE: Final = "database"


class _Scheduled(BaseRetryStrategy):
    """Retry a scheduled task with increasing pauses of at most `longest` seconds.

    The next tick is skipped while a retry is pending, so tasks that run often wait a minute at
    most.
    """

    def __init__(self, longest: int) -> None:
        self._longest = longest

    def get_retry_decision(self, *, exception: BaseException, job: Job) -> RetryDecision | None:
        if job.attempts >= MOST_ATTEMPTS:
            return None
        return RetryDecision(retry_in={"seconds": min(2 ** (job.attempts + 1), self._longest)})


class _Patience(BaseRetryStrategy):
    """Retry at the time of a raised `RetryAt`, and after other faults with increasing pauses.

    There is no last attempt: the job itself decides when to stop.
    """

    def get_retry_decision(self, *, exception: BaseException, job: Job) -> RetryDecision:
        if isinstance(exception, RetryAt):
            return RetryDecision(retry_at=exception.at)
        return RetryDecision(retry_in={"seconds": min(2 ** min(job.attempts, 20), LONGEST_PAUSE)})


def task(name: str, retry: BaseRetryStrategy = RETRY) -> Callable[[Task[P]], Task[P]]:
    """Register a task under a name; it gets a `Work` of the workspace that it was queued for.

    It runs again after a crash or an error, so it must be able to continue from what is committed.
    """

    def register(function: Task[P]) -> Task[P]:
        @TASKS.task(name=name, retry=retry, pass_context=True)
        async def run(context: JobContext, /, workspace: str, **args: Any) -> None:
            await _in_workspace(context, workspace, name, function, args)

        return function

    return register


def patient_task(name: str) -> Callable[[Task[P]], Task[P]]:
    """Register a `task` that runs again at the time of the `RetryAt` that it raises."""
    return task(name, _Patience())


def lending_task(name: str) -> Callable[[LendingTask[P]], LendingTask[P]]:
    """Register a `patient_task` that receives a function to borrow connections with.

    It holds a connection only while it uses it, and none while it waits for another system.
    """

    def register(function: LendingTask[P]) -> LendingTask[P]:
        @TASKS.task(name=name, retry=_Patience(), pass_context=True)
        async def run(context: JobContext, /, workspace: str, **args: Any) -> None:
            database: Database = context.additional_context[DATABASE]
            act: Callable[..., Awaitable[None]] = function
            await act(partial(database.work, workspace, f"job:{name}"), **args)

        return function

    return register


def scheduled(cron: str, name: str) -> Callable[[Task[[]]], Task[[]]]:
    """Register a task that runs for every workspace on a schedule (cron, UTC).

    Runs do not overlap: at most one waits for the current one. A failure in one workspace does not
    affect the others. A task that runs at least hourly is not retried: its next tick comes soon
    enough, and a retry would delay it in every workspace.
    """
    is_often = cron.startswith("*")
    retry = _Scheduled(_SHORT_PAUSE if is_often else LONGEST_PAUSE)

    def register(function: Task[[]]) -> Task[[]]:
        @TASKS.periodic(cron=cron)
        @TASKS.task(name=name, retry=retry, pass_context=True, queueing_lock=name, lock=name)
        async def run(context: JobContext, /, timestamp: int) -> None:
            database: Database = context.additional_context[DATABASE]
            async with database.control("job") as work:
                names = [row["name"] for row in await workspaces.list_all(work)]

            async def act(workspace: str) -> None:
                await _in_workspace(context, workspace, name, function, {})

            try:
                await try_each(names, act, name)
            except Exception:
                if not is_often:
                    raise

        return function

    return register


async def _in_workspace(
    context: JobContext, workspace: str, name: str, function: Any, args: dict[str, Any]
) -> None:
    database: Database = context.additional_context[DATABASE]

    async def once() -> None:
        async with database.work(workspace, f"job:{name}") as work:
            await function(work, **args)

    await retrying(once)
