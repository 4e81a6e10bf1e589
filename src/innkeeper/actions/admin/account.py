"""What users change about themselves: password, open logins, time zone."""

import asyncio
from datetime import timedelta
from typing import Final
from uuid import UUID

from innkeeper.actions.admin import audit, users
from innkeeper.actions.admin.log_in import Budget, count_attempt, hash_password, is_password
from innkeeper.actions.admin.stored_secrets import digest_of
from innkeeper.errors import Invalid, Problem
from innkeeper.resources.base import Record
from innkeeper.resources.values import ValueRefused
from innkeeper.rules.time_zones import read_time_zone
from innkeeper.store.limiter import Limits
from innkeeper.store.work import Work

MOST_LOGINS: Final = 50


async def change_password(
    work: Work, limits: Limits, person: users.SignedInUser, current: str, new: str, token: str
) -> None:
    """Replace the password and end the user's other logins than that of `token`.

    Call it outside a transaction. Raises `Invalid` if `current` is not the password, or `new` is
    too short, and `Locked` after five wrong ones: whoever uses a login that was left open cannot
    guess the password.
    """
    if len(new) < users.SHORTEST_PASSWORD:
        raise Invalid(Problem("password", f"at least {users.SHORTEST_PASSWORD} characters"))
    budget = Budget(digest_of(f"password {person.ref}"), 5, timedelta(days=1))
    await count_attempt(work, (budget,))
    row = await users.find(work, person.email) or {}
    async with work.released(), limits.account_log_ins:
        is_right = await asyncio.to_thread(is_password, row.get("password_hash"), current)
        hashed = await asyncio.to_thread(hash_password, new) if is_right else ""
    if not is_right:
        raise Invalid(Problem("current", "is not your password"))
    async with work.transaction():
        await work.run("users.forget_attempts", budget=budget.digest)
        await work.run("users.set_password", ref=person.ref, password_hash=hashed)
        await close_other_logins(work, person.ref, token)
        about = audit.AuditSubject(audit.USER, person.email)
        await audit.note(work, "user.password", person.ref, about=about)


async def list_logins(work: Work, user: UUID, token: str) -> list[Record]:
    """List the user's open logins, newest first; `is_current` is that of `token`."""
    return await work.all(
        "users.logins", user=user, token_sha256=digest_of(token), most=MOST_LOGINS
    )


async def close_other_logins(work: Work, user: UUID, token: str | None) -> int:
    """End every login of a user except that of `token`; returns how many ended."""
    login = None if token is None else digest_of(token)
    async with work.transaction():
        ended = await work.run("users.close_logins", user=user, except_login=login)
        await work.run("users.forget_browsers", user=user)
        await audit.note(work, "login.close_all", user, ended=ended)
    return ended


async def set_time_zone(work: Work, user: UUID, zone: str) -> None:
    """Set the time zone of a user's pages; raises `Invalid`."""
    try:
        read_time_zone(zone)
    except ValueRefused as refused:
        raise Invalid(Problem("time_zone", refused.reason)) from None
    async with work.transaction():
        await work.run("users.set_time_zone", ref=user, time_zone=zone)
        await audit.note(work, "user.time_zone", user, time_zone=zone)
