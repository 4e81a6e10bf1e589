"""The task that loads demo data into a sandbox."""

from uuid import UUID

from procrastinate import JobContext

from innkeeper.actions.console import demo_loads
from innkeeper.jobs.registry import DATABASE, RETRY, TASKS


@TASKS.task(name=demo_loads.TASK, retry=RETRY, pass_context=True)
async def load(context: JobContext, /, workspace: str, load: str) -> None:
    """Load the demo data; a load that was interrupted fails."""
    await demo_loads.run(context.additional_context[DATABASE], workspace, UUID(load))
