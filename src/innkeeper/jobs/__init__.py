"""Background jobs: thin tasks that call actions, queued in the same PostgreSQL database.

Add a task to the module of its subject, and a new module to `worker.MODULES`:

    @task("imports.run")
    async def run_import(work: Work, ref: str) -> None: ...

    @scheduled("* * * * *", "sessions.close_idle")
    async def close_idle(work: Work) -> None: ...

`actions.background.defer(work, "imports.run", ref=…)` queues the first for the caller's
workspace. The second runs for every workspace on its schedule (cron, UTC).
"""
