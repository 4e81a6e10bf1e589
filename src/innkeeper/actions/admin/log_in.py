"""Log in to the screens: take a slot, count the attempt, verify the password.

Attempts are counted against the caller's address and the account. A browser with which the user
has logged in before has a separate budget instead, so that nobody else can lock the user out.
Hashing holds a slot, but no database connection.
"""

import asyncio
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from innkeeper import clock
from innkeeper.actions.admin import audit, users
from innkeeper.actions.admin.stored_secrets import digest_of
from innkeeper.errors import ApiError, Invalid, Problem
from innkeeper.rules.access import locked_seconds
from innkeeper.store.limiter import Limits
from innkeeper.store.work import Lend, Row, Work

BROWSER_LIFE: Final = timedelta(days=180)
"""How long a browser is recognized after a login."""
MOST_BROWSERS: Final = 20
"""Maximum number of recognized browsers of one user."""

_hasher: Final = PasswordHasher()
# Verified if there is no such user, so that the response takes as long as for an existing one.
_NOBODY: Final = (
    "$argon2id$v=19$m=65536,t=3,p=4$c29tZSBzYWx0IGhlcmUh$"
    "GG7vvF3hS0RLqNIQr4dYXrIoZZZaDyRbD2KNcGkUDGY"
)


class Locked(ApiError):
    """A budget of attempts is used up until a time."""

    status = 429

    def __init__(self, until: datetime) -> None:
        seconds = max(1, round((until - clock.now()).total_seconds()))
        words = f"{seconds} seconds" if seconds < 120 else f"{seconds // 60} minutes"
        super().__init__(
            f"Too many attempts. Try again in {words}.", headers={"Retry-After": str(seconds)}
        )


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """A new login, and the token by which its browser is recognized."""

    user: UUID
    token: str
    browser: str


@dataclass(frozen=True, slots=True)
class Budget:
    """A counter of attempts: `free` of them are allowed, a pause of `window` resets it."""

    digest: bytes
    free: int
    window: timedelta
    shared: bool = False
    """Whether other accounts use it too: a success removes only its own attempt."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt to log in: `browser` is the token of the browser's cookie, or empty."""

    email: str
    password: str
    address: str
    browser: str = ""

    def budgets(self, *, is_familiar: bool) -> Sequence[Budget]:
        """Return the budgets of this attempt, always in the same order: no deadlocks."""
        day, hour = timedelta(days=1), timedelta(hours=1)
        email = users.normal_email(self.email)
        if is_familiar:
            return (Budget(digest_of(f"browser {self.browser} {email}"), 5, day),)
        return (
            Budget(digest_of(f"address {self.address}"), 20, hour, shared=True),
            Budget(digest_of(f"account {email}"), 5, day),
        )


async def log_in(lend: Lend, limits: Limits, attempt: Attempt) -> LoggedIn:
    """Open a login; raises `users.LoginRefused`, `Locked`, and `Unavailable` under load.

    Refused attempts are recorded in the audit log.
    """
    try:
        return await _log_in(lend, limits, attempt)
    except (users.LoginRefused, Locked) as refused:
        action = "login.failure" if isinstance(refused, users.LoginRefused) else "login.refused"
        async with lend() as work:
            row = await users.find(work, attempt.email)
            since = clock.now() - timedelta(hours=1)
            await audit.count_repeat(work, action, row, attempt.address, since)
        raise


async def _log_in(lend: Lend, limits: Limits, attempt: Attempt) -> LoggedIn:
    """Open a login without recording refused attempts."""
    async with lend() as work:
        is_familiar = await _is_familiar_browser(work, attempt)
        budgets = attempt.budgets(is_familiar=is_familiar)
        await _check_locks(work, budgets)
    async with limits.account_log_ins if is_familiar else limits.log_ins:
        async with lend() as work:
            row = await _count_attempt(work, attempt, budgets)
        stored = (row and row["password_hash"]) or _NOBODY
        is_right = await asyncio.to_thread(is_password, stored, attempt.password)
    if row is None or not is_right or row["disabled_at"] is not None:
        raise users.LoginRefused("The e-mail address or the password is wrong.")
    async with lend() as work, work.transaction():
        for budget in budgets:
            query = "users.uncount_attempt" if budget.shared else "users.forget_attempts"
            await work.run(query, budget=budget.digest)
        return await _open_login(work, row["ref"], attempt)


async def log_in_by_link(
    lend: Lend, limits: Limits, link: str, attempt: Attempt, name: str = ""
) -> LoggedIn:
    """Set the password by a one-time link, and open a login.

    Raises `Invalid`, `users.LoginRefused`.
    """
    if len(attempt.password) < users.SHORTEST_PASSWORD:
        raise Invalid(Problem("password", f"at least {users.SHORTEST_PASSWORD} characters"))
    async with lend() as work:
        row = await users.fetch_link(work, link)
    if row is None:
        raise users.link_ended()
    if row["user_ref"] is None:
        users.check_person(attempt.email, name)
    async with limits.account_log_ins:
        hashed = await asyncio.to_thread(hash_password, attempt.password)
    async with lend() as work, work.transaction():
        user = await users.use_link(work, link, hashed, attempt.email, name)
        return await _open_login(work, user, attempt)


async def _is_familiar_browser(work: Work, attempt: Attempt) -> bool:
    """Whether this user has logged in with this browser within `BROWSER_LIFE`."""
    row = await _find_browser(work, attempt)
    return bool(row and row["theirs"])


async def _find_browser(work: Work, attempt: Attempt) -> Row | None:
    """Find the browser of an attempt: {theirs}, whether this user has logged in with it."""
    if not attempt.browser:
        return None
    return await work.one(
        "users.browser",
        token_sha256=digest_of(attempt.browser),
        email=users.normal_email(attempt.email),
        since=clock.now() - BROWSER_LIFE,
    )


async def _check_locks(work: Work, budgets: Sequence[Budget]) -> None:
    """Raise `Locked` if any of the budgets is locked now."""
    digests = [budget.digest for budget in budgets]
    row = await work.one("users.locked", budgets=digests)
    if row and row["until"]:
        raise Locked(row["until"])


async def _count_attempt(work: Work, attempt: Attempt, budgets: Sequence[Budget]) -> Row | None:
    """Count an attempt and return its account, None if there is none; raises `Locked`."""
    await count_attempt(work, budgets)
    return await users.find(work, attempt.email)


async def count_attempt(work: Work, budgets: Sequence[Budget]) -> None:
    """Count an attempt to give a password, before it is verified; raises `Locked`."""
    now = clock.now()
    async with work.transaction():
        for budget in budgets:
            counted = await work.one(
                "users.count_attempt", budget=budget.digest, window=budget.window, now=now
            )
            if counted is None:
                break
            seconds = locked_seconds(counted["attempts"], budget.free)
            if seconds:
                until = now + timedelta(seconds=seconds)
                await work.run("users.lock", budget=budget.digest, until=until)
    if counted is None:
        await _check_locks(work, budgets)
        raise Locked(clock.now())


async def _open_login(work: Work, user: UUID, attempt: Attempt) -> LoggedIn:
    """Open a login, record it in the audit log, and store the browser as recognized."""
    token, _ = await users.open_login(work, user)
    person = await users.fetch_login(work, token)
    if person is not None:
        work.actor = person.email
        about = audit.AuditSubject(audit.USER, person.email)
        await audit.note(work, "login.open", user, about=about, address=attempt.address)
    # Do not accept a token that this server did not create: another person may know it.
    is_ours = await _find_browser(work, attempt) is not None
    browser = attempt.browser if is_ours else secrets.token_urlsafe(32)
    await work.run(
        "users.note_browser", token_sha256=digest_of(browser), user=user, most=MOST_BROWSERS - 1
    )
    return LoggedIn(user, token, browser)


def hash_password(password: str) -> str:
    """Return the hash of a password to store; slow by intent."""
    return _hasher.hash(password)


def is_password(stored: str | None, password: str) -> bool:
    """Whether a password matches a stored hash; slow by intent."""
    try:
        return _hasher.verify(stored or _NOBODY, password)
    except (VerificationError, InvalidHashError):
        return False
