"""Users of the screens: links, passwords, logins, roles."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID, uuid4

from innkeeper import clock
from innkeeper.actions.admin import audit
from innkeeper.actions.admin.stored_secrets import digest_of
from innkeeper.errors import ApiError, Conflict, Invalid, Problem, existing
from innkeeper.resources.base import Record
from innkeeper.rules.access import SANDBOX, Role, covers, is_member, may_give
from innkeeper.rules.audited import USER
from innkeeper.rules.identity_keys import digest
from innkeeper.rules.versions import Expected
from innkeeper.store.migrate import FIRST_WORKSPACE, LOCK
from innkeeper.store.work import Work

LOGIN: Final = timedelta(days=7)
LINK: Final = timedelta(days=3)
SHORTEST_PASSWORD: Final = 10


class LoginRefused(ApiError):
    """Credentials or rights of a user are not sufficient, or a link is not valid."""

    status = 403


@dataclass(frozen=True, slots=True)
class SignedInUser:
    """A user with an open login."""

    ref: UUID
    email: str
    name: str
    role: Role
    workspace: str
    """The workspace of the current request, or the last one."""
    memberships: Sequence[str] | None = None
    """Workspaces that the user may open, each with its sandbox; None for every workspace."""
    time_zone: str = "UTC"
    all_workspaces: Sequence[Record] = ()
    """Every workspace (name, sandbox_of, created_at), each before its sandbox."""

    def may_open(self, workspace: str) -> bool:
        """Whether the user may open a workspace."""
        return is_member(self.memberships, workspace)

    @property
    def giver(self) -> "Giver":
        """The rights that the user may grant to others."""
        return Giver(self.role, self.memberships)


@dataclass(frozen=True, slots=True)
class Giver:
    """The user who grants access: their role, and the workspaces that they may open."""

    role: Role
    memberships: Sequence[str] | None = None


OPERATOR: Final = Giver(Role.OWNER)
"""The operator who runs commands on the machine."""


async def first_owner_link(work: Work, stored: str = "") -> str | None:
    """Return the token of a link that creates the first owner; None if there is any user.

    Returns the `stored` token while it is valid, else creates one and revokes all earlier ones.
    """
    async with work.transaction():
        await work.run("control.one_at_a_time", lock=LOCK)
        counted = await work.one("users.count")
        if counted is None or counted["total"]:
            return None
        if stored:
            row = await work.one("users.link", token_sha256=digest_of(stored))
            if row is not None and row["user_ref"] is None:
                return stored
        return await _create_link(work, None)


async def list_all(work: Work) -> list[Record]:
    """List all users: ref, email, name, role, created_at, last_seen_at, disabled_at,
    has_password."""
    return await work.all("users.list")


async def find(work: Work, email: str) -> Record | None:
    """Return the user with an e-mail address, in whatever case it is written, or None."""
    return await work.one("users.by_email", email=normal_email(email))


async def invite(
    work: Work,
    email: str,
    name: str,
    role: Role,
    memberships: Sequence[str] | None = None,
    *,
    by: Giver = OPERATOR,
) -> str:
    """Create a user; returns the token of the link by which they set a password.

    `memberships` are the workspaces that they may open, each with its sandbox; None for all.
    Raises `Invalid`, `Conflict` for an e-mail address that exists, and `LoginRefused`.
    """
    check_person(email, name)
    async with work.transaction():
        await _check_memberships(work, role, memberships)
        _check_giver(by, None, role, memberships)
        row = await _create(work, email, name, role, None, memberships)
        await audit.record(work, USER, "invite", None, row, subject=row["ref"])
        return await _create_link(work, row["ref"])


async def renew_link(work: Work, user: UUID, *, by: Giver = OPERATOR) -> str:
    """Create a link for a user who lost their password or link; older links are revoked."""
    async with work.transaction():
        stored = await _fetch(work, user)
        _check_giver(by, Role(stored["role"]), Role(stored["role"]), stored["workspaces"])
        await audit.note(
            work, "user.link", user, about=audit.AuditSubject(audit.USER, stored["email"])
        )
        return await _create_link(work, user)


def version_of(person: Record) -> str:
    """Return the version of a user row, which changes with the fields that `change` writes."""
    is_disabled = person["disabled_at"] is not None
    return digest("user", person["role"], str(person["workspaces"]), str(is_disabled)).hex


async def change(
    work: Work,
    user: UUID,
    *,
    role: Role,
    disabled: bool,
    memberships: Sequence[str] | None = None,
    by: Giver = OPERATOR,
    expected: Expected | None = None,
) -> None:
    """Change role and workspaces of a user, disable or enable them.

    Raises `Invalid`, `LoginRefused`, `Conflict` for the last owner, and `Outdated` if the
    `version_of` the user is not the expected one.
    """
    async with work.transaction():
        owners = {row["ref"] for row in await work.all("users.hold_owners")}
        stored = await _fetch(work, user)
        if expected is not None:
            expected.check(version_of(stored))
        await _check_memberships(work, role, memberships)
        _check_giver(by, Role(stored["role"]), role, stored["workspaces"], memberships)
        if owners == {user} and (disabled or role is not Role.OWNER):
            raise Conflict("This is the last owner: make another user an owner first.")
        at = (stored["disabled_at"] or clock.now()) if disabled else None
        await work.run(
            "users.update",
            ref=user,
            name=stored["name"],
            role=role,
            workspaces=memberships,
            disabled_at=at,
        )
        if disabled:
            await work.run("users.close_logins", user=user, except_login=None)
            await work.run("users.forget_browsers", user=user)
            await work.run("users.forget_links", user=user)
        before = {**stored, "disabled": stored["disabled_at"] is not None}
        after = {**before, "role": role, "disabled": disabled, "workspaces": memberships}
        await audit.record(work, USER, "change", before, after, subject=user)


async def _check_memberships(work: Work, role: Role, memberships: Sequence[str] | None) -> None:
    """Raise `Invalid` for workspaces that do not exist, and for an owner without all of them."""
    if memberships is None:
        return
    if role is Role.OWNER:
        raise Invalid(Problem("workspaces", "an owner opens every workspace"))
    existing = {row["name"] for row in await work.all("control.list_workspaces")}
    unknown = [name for name in memberships if name not in existing or name.endswith(SANDBOX)]
    if unknown or not memberships:
        words = ", ".join(unknown) or "no workspace"
        raise Invalid(Problem("workspaces", f"{words}: name workspaces that exist"))


def _check_giver(
    by: Giver, before: Role | None, after: Role, *memberships: Sequence[str] | None
) -> None:
    """Raise `LoginRefused` if `by` may not grant or change this role or these workspaces."""
    if not may_give(by.role, before, after):
        raise LoginRefused("Only an owner can create or change owners.")
    if not covers(by.memberships, *memberships):
        raise LoginRefused("You can only give and change access to workspaces that you may open.")


async def fetch_link(work: Work, token: str) -> Record | None:
    """Fetch a link: user_ref, email, name, all None for the first owner's link.

    Returns None if the link has expired or was used.
    """
    return await work.one("users.link", token_sha256=digest_of(token))


async def use_link(
    work: Work, token: str, password_hash: str, email: str = "", name: str = ""
) -> UUID:
    """Use up a link and store the password that was set by it; returns the user's ref.

    The first owner's link also needs an e-mail address and a name. Raises `Invalid`, and
    `LoginRefused` for a link that has expired or was used.
    """
    async with work.transaction():
        row = await work.one("users.use_link", token_sha256=digest_of(token))
        if row is None:
            raise link_ended()
        user: UUID | None = row["user_ref"]
        if user is None:
            check_person(email, name)
            owner = await _create(work, email, name, Role.OWNER, password_hash)
            user, work.actor = owner["ref"], owner["email"]
            await audit.record(work, USER, "create", None, owner, subject=user)
        else:
            await work.run("users.set_password", ref=user, password_hash=password_hash)
            await work.run("users.close_logins", user=user, except_login=None)
            await work.run("users.forget_browsers", user=user)
        work.actor = (await _fetch(work, user))["email"]
        about = audit.AuditSubject(audit.USER, work.actor)
        await audit.note(work, "user.password", user, about=about)
    return user


def link_ended() -> LoginRefused:
    """Return the error for a link that has expired or was used."""
    return LoginRefused("This link has expired or was used. Ask for another one.")


async def open_login(work: Work, user: UUID) -> tuple[str, datetime]:
    """Open a login for an authenticated user; returns its token and when it expires."""
    token, now = secrets.token_urlsafe(32), clock.now()
    await work.run(
        "users.open_login",
        token_sha256=digest_of(token),
        user=user,
        workspace=FIRST_WORKSPACE,
        now=now,
        expires_at=now + LOGIN,
    )
    return token, now + LOGIN


async def fetch_login(work: Work, token: str, workspace: str | None = None) -> SignedInUser | None:
    """Return the user of an open login, else None.

    Stores the time and the workspace of the visit, at most once a minute for the same workspace.
    """
    now = clock.now()
    row = await work.one("users.of_login", token_sha256=digest_of(token), now=now)
    if row is None:
        return None
    allowed = row["workspaces"]
    exists = any(each["name"] == workspace for each in row["all_workspaces"])
    current = workspace if workspace and exists else row["workspace"]
    if not is_member(allowed, current):
        # The caller refuses the page itself; the stored workspace must be one of the user's.
        current = row["workspace"] if is_member(allowed, row["workspace"]) else allowed[0]
    last_seen_at = row["last_seen_at"]
    if (
        current != row["workspace"]
        or last_seen_at is None
        or now - last_seen_at > timedelta(minutes=1)
    ):
        await work.run(
            "users.seen", token_sha256=digest_of(token), user=row["ref"], workspace=current, now=now
        )
    return SignedInUser(
        *(row["ref"], row["email"], row["name"], Role(row["role"]), current, allowed),
        time_zone=row["time_zone"],
        all_workspaces=[
            {**each, "created_at": datetime.fromisoformat(each["created_at"])}
            for each in row["all_workspaces"]
        ],
    )


async def close_login(work: Work, token: str) -> None:
    """Log out."""
    async with work.transaction():
        person = await fetch_login(work, token)
        await work.run("users.close_login", token_sha256=digest_of(token))
        if person is not None:
            work.actor = person.email
            about = audit.AuditSubject(audit.USER, person.email)
            await audit.note(work, "login.close", person.ref, about=about)


async def _create_link(work: Work, user: UUID | None) -> str:
    """Create a one-time link and revoke the older ones; returns its token."""
    token, now = secrets.token_urlsafe(24), clock.now()
    await work.run("users.forget_links", user=user)
    await work.run(
        "users.create_link",
        token_sha256=digest_of(token),
        user=user,
        now=now,
        expires_at=now + LINK,
    )
    return token


async def _create(
    work: Work,
    email: str,
    name: str,
    role: Role,
    password_hash: str | None,
    memberships: Sequence[str] | None = None,
) -> Record:
    row = await work.one(
        "users.create",
        ref=uuid4(),
        email=normal_email(email),
        name=name.strip(),
        role=role,
        workspaces=memberships,
        password_hash=password_hash,
    )
    if row is None:
        raise Conflict(f"There is a user {normal_email(email)} already.")
    return row


async def _fetch(work: Work, user: UUID) -> Record:
    return existing(await work.one("users.fetch", ref=user), "User", user)


def check_person(email: str, name: str) -> None:
    """Raise `Invalid` for an invalid e-mail address or name of a user."""
    problems = []
    local, _, domain = email.strip().partition("@")
    if not local or not domain or len(email) > 254 or any(map(str.isspace, email.strip())):
        problems.append(Problem("email", "an e-mail address"))
    if not name.strip() or len(name) > 100:
        problems.append(Problem("name", "1 to 100 characters"))
    if problems:
        raise Invalid(*problems)


def normal_email(email: str) -> str:
    """Return an e-mail address in the form in which accounts store it."""
    return email.strip().lower()
