"""Background work: thin tasks that call actions, on a queue in the same PostgreSQL.

Write a task beside its like in this package and add its module to `worker.MODULES`:

    @task("imports.run")
    async def run_import(work: Work, ref: str) -> None: ...

    @scheduled("* * * * *", "sessions.close_idle")
    async def close_idle(work: Work) -> None: ...

`actions.background.defer(work, "imports.run", ref=…)` queues the first for the caller's
workspace. The second runs for every workspace on its schedule (cron, UTC).
"""
