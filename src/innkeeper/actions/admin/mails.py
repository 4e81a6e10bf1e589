"""E-mail to users: a link for a forgotten password, and jobs that failed. Off without SMTP."""

from datetime import timedelta
from typing import Final
from uuid import UUID

from innkeeper import clock
from innkeeper.actions.admin import background, long_jobs, users
from innkeeper.actions.admin.log_in import Budget, count_attempt
from innkeeper.actions.admin.stored_secrets import digest_of
from innkeeper.resources.base import Record
from innkeeper.rules.access import Right, Role, is_member, may
from innkeeper.rules.identity_keys import digest
from innkeeper.rules.masking import masked_line
from innkeeper.settings import Settings
from innkeeper.store.database import Database
from innkeeper.store.mail import mail_server, send_mail
from innkeeper.store.work import Lend, Work

RESET: Final = "mails.reset"
FAILURE: Final = "mails.failure"
KINDS: Final = {
    "import": "import",
    "undo": "undo of the import",
    "export": "export",
    "file_export": "export",
    "segment": "publication of the segment",
    "identity_rules": "change of identity rules",
    "demo": "load of demo data",
    "add_to_list": "addition of guests to the list",
    "remove_from_list": "removal of guests from the list",
    "erase": "erasure of guests",
}
"""Kind of job -> its name in a message."""
_LATEST: Final = timedelta(hours=1)
"""Age up to which a failure is reported."""
_REPORTED: Final = timedelta(days=1)
"""Time for which it is stored that a failure was reported."""


async def request_reset(lend: Lend, email: str, address: str, base: str) -> None:
    """Queue the link for a forgotten password; nothing for an address without an account.

    Takes as long in both cases, up to one insert. Raises `log_in.Locked` for too many requests.
    """
    email = users.normal_email(email)
    budgets = (
        Budget(digest_of(f"forgotten from {address}"), 20, timedelta(hours=1), shared=True),
        Budget(digest_of(f"forgotten {email}"), 3, timedelta(days=1)),
    )
    async with lend() as work:
        await count_attempt(work, budgets)
        row = await users.find(work, email)
        if row is not None and row["disabled_at"] is None:
            await background.defer(work, RESET, user=str(row["ref"]), base=base)


async def send_reset(database: Database, user: UUID, base: str) -> None:
    """Create a link that sets a new password, and send it; older links are revoked. Nothing for a
    user who was deleted or disabled meanwhile."""
    async with database.control("mail") as work:
        row = await work.one("users.fetch", ref=user)
        if row is None or row["disabled_at"]:
            return
        email, link = row["email"], await users.renew_link(work, user)
    hours = round(users.LINK.total_seconds() / 3600)
    await send_mail(
        database.settings,
        email,
        "Innkeeper: choose a new password",
        f"Somebody, probably you, asked for a new password of {email}.\n\n"
        f"Choose it here within {hours} hours:\n{base}/login?link={link}\n\n"
        "If it was not you, ignore this message: the password stays as it is.\n",
    )


async def queue_failures(work: Work) -> int:
    """Queue a message about each job that failed lately to the user who started it; returns how
    many."""
    if mail_server(work.settings) is None:
        return 0
    since, queued = clock.now() - _LATEST, 0
    for row in await long_jobs.list_newest(work, long_jobs.MOST_JOBS):
        if row["state"] != "failed" or row["finished_at"] < since or "@" not in row["actor"]:
            continue
        # By its time as well: a segment may fail to be published several times.
        failure = digest("failed job", str(row["ref"]), row["finished_at"].isoformat())
        async with work.transaction():
            if not await work.run("long_jobs.note_mail", job=failure):
                continue
            await background.defer(
                work,
                FAILURE,
                email=row["actor"],
                kind=row["kind"],
                name=row["name"] or "",
                error=row["error"] or "",
            )
            queued += 1
    return queued


async def forget_failures(work: Work) -> int:
    """Delete which failures were reported, once they are too old to be; returns how many."""
    return await work.run("long_jobs.forget_mails", before=clock.now() - _REPORTED)


async def send_failure(database: Database, workspace: str, job: Record) -> None:
    """Send a message about a failed job, if its user may still open the workspace."""
    async with database.control("mail") as work:
        user = await users.find(work, job["email"])
    if user is None or user["disabled_at"] or not is_member(user["workspaces"], workspace):
        return
    personal = may(Role(user["role"]), Right.PERSONAL)
    error = job["error"] if personal else masked_line(job["error"])
    what = f"{KINDS[job['kind']]} {job['name']}".strip()
    link = _link(database.settings, workspace)
    await send_mail(
        database.settings,
        user["email"],
        f"Innkeeper: the {what} failed",
        f"The {what} in the workspace {workspace} failed.\n\n{error}\n\n{link}",
    )


def _link(settings: Settings, workspace: str) -> str:
    if not settings.public_url:
        return "All jobs are on the page Jobs.\n"
    return f"All jobs: {settings.public_url.rstrip('/')}/w/{workspace}/jobs\n"
