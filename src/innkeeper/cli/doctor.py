"""`innkeeper doctor`: what is wrong with an installation, and what to do about it."""

from typing import Annotated, Any

import typer

from innkeeper.cli.options import CommandContext, Json


def doctor(
    here: CommandContext,
    security: Annotated[
        bool, typer.Option("--security", help="Check what an operator must set in production.")
    ] = False,
    json: Json = False,
) -> None:
    """Check a running installation; the exit status is 1 when something is bad.

    Without --security: migrations, background jobs, quarantine.
    """
    from innkeeper.cli.output import show, table
    from innkeeper.rules.security_checks import Severity

    rows = _security(here) if security else _health(here)
    if json:
        show([{**row, "state": str(row["state"])} for row in rows])
    else:
        table(rows, "state", "name", "finding", "advice")
    if any(row["state"] == Severity.BAD for row in rows):
        raise typer.Exit(1)


def _security(here: CommandContext) -> list[dict[str, Any]]:
    from dataclasses import asdict

    from innkeeper.actions.admin import security_review

    files = security_review.secret_files_open_to_others(here.settings)
    saved = security_review.login_is_saved(here.settings)
    found = here.control(lambda work: security_review.review(work, files, saved_login=saved))
    return [asdict(check) for check in found]


def _health(here: CommandContext) -> list[dict[str, Any]]:
    import asyncio

    from innkeeper.actions.admin import background, workspaces
    from innkeeper.rules.security_checks import Severity
    from innkeeper.store import migrate

    def row(name: str, wrong: bool, finding: str, advice: str) -> dict[str, Any]:
        state = Severity.WARNING if wrong else Severity.GOOD
        return {
            "name": name,
            "state": state,
            "finding": finding,
            "advice": advice if wrong else "",
        }

    with here.database() as dsn:
        pending = [one for state in asyncio.run(migrate.status(dsn)) for one in state.pending]
    rows = [
        row(
            "migrations",
            bool(pending),
            f"{len(pending)} pending.",
            "Start the server, or run `innkeeper db migrate`.",
        )
    ]
    counts = here.control(background.count_jobs)
    failed = counts.get("failed", 0)
    rows.append(
        row("background jobs", failed > 0, f"{failed} failed.", "See `innkeeper jobs list`.")
    )
    for each in here.control(workspaces.list_all):
        waiting = here.run(each["name"], _waiting)
        advice = f"See `innkeeper quarantine list --workspace {each['name']}`."
        rows.append(row(f"quarantine of {each['name']}", waiting > 0, f"{waiting} wait.", advice))
    return rows


async def _waiting(work: Any) -> int:
    from innkeeper.actions.events import quarantine

    return sum(row["waiting"] for row in await quarantine.reasons(work))
