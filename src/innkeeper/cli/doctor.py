"""`innkeeper doctor`: find faults of an installation and advise what to do."""

from typing import Annotated, Any

import typer

from innkeeper.cli.options import CommandContext, Json


def doctor(
    context: CommandContext,
    security: Annotated[
        bool, typer.Option("--security", help="Check the security of a production installation.")
    ] = False,
    json: Json = False,
) -> None:
    """Check an installation; the exit status is 1 if a check is bad.

    Without --security it checks migrations, background jobs and quarantine.
    """
    from innkeeper.cli.output import print_rows
    from innkeeper.rules.security_checks import Severity

    rows = _security(context) if security else _health(context)
    print_rows(rows, json, "state", "name", "finding", "advice")
    if any(row["state"] == Severity.BAD for row in rows):
        raise typer.Exit(1)


def _security(context: CommandContext) -> list[dict[str, Any]]:
    from dataclasses import asdict

    from innkeeper.actions.admin import security_review

    files = security_review.secret_files_open_to_others(context.settings)
    saved = security_review.login_is_saved(context.settings)
    checks = context.control(lambda work: security_review.review(work, files, saved_login=saved))
    return [asdict(check) for check in checks]


def _health(context: CommandContext) -> list[dict[str, Any]]:
    import asyncio

    from innkeeper.actions.admin import background, workspaces
    from innkeeper.rules.security_checks import Severity
    from innkeeper.store import migrate

    def row(name: str, is_wrong: bool, finding: str, advice: str) -> dict[str, Any]:
        state = Severity.WARNING if is_wrong else Severity.GOOD
        return {
            "name": name,
            "state": state,
            "finding": finding,
            "advice": advice if is_wrong else "",
        }

    with context.database() as dsn:
        pending = [one for state in asyncio.run(migrate.status(dsn)) for one in state.pending]
    rows = [
        row(
            "migrations",
            bool(pending),
            f"{len(pending)} pending.",
            "Start the server, or run `innkeeper db migrate`.",
        )
    ]
    counts = context.control(background.count_jobs)
    failed = counts.get("failed", 0)
    rows.append(
        row("background jobs", failed > 0, f"{failed} failed.", "See `innkeeper jobs list`.")
    )
    for each in context.control(workspaces.list_all):
        count = context.run(each["name"], _count_quarantined)
        advice = f"See `innkeeper quarantine list --workspace {each['name']}`."
        finding = f"{count} waiting."
        rows.append(row(f"quarantine of {each['name']}", count > 0, finding, advice))
    return rows


async def _count_quarantined(work: Any) -> int:
    from innkeeper.actions.events import quarantine

    return sum(row["waiting"] for row in await quarantine.reasons(work))
