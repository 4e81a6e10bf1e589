"""People who log in to the screens: links, passwords, logins, roles."""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID, uuid4

from innkeeper import clock
from innkeeper.actions.admin import audit
from innkeeper.errors import ApiError, Conflict, Invalid, Problem, Unknown
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
    """What a person typed does not let them in."""

    status = 403


@dataclass(frozen=True, slots=True)
class SignedInUser:
    """Somebody who is logged in."""

    ref: UUID
    email: str
    name: str
    role: Role
    workspace: str
    """Where they were last."""
    memberships: Sequence[str] | None = None
    """Workspaces that they may open, each with its sandbox; None for every one."""

    def may_open(self, workspace: str) -> bool:
        """Whether they may open a workspace."""
        return is_member(self.memberships, workspace)

    @property
    def giver(self) -> "Giver":
        """What they may give to others."""
        return Giver(self.role, self.memberships)


@dataclass(frozen=True, slots=True)
class Giver:
    """Who gives access to somebody else: their role, and the workspaces that they may open."""

    role: Role
    memberships: Sequence[str] | None = None


OPERATOR: Final = Giver(Role.OWNER)
"""Whoever runs commands on the machine."""


async def first_owner_link(work: Work, stored: str = "") -> str | None:
    """The token of a link that makes the first owner; None once there is anybody. It is the
    `stored` one while that works, else a new one, and every earlier one ends."""
    async with work.transaction():
        await work.run("control.one_at_a_time", lock=LOCK)
        counted = await work.one("users.count")
        if counted is None or counted["total"]:
            return None
        if stored:
            row = await work.one("users.link", token_sha256=digest_of(stored), now=clock.now())
            if row is not None and row["user_ref"] is None:
                return stored
        return await _create_link(work, None)


async def list_all(work: Work) -> list[Record]:
    """Everybody: ref, email, name, role, created_at, last_seen_at, disabled_at, has_password."""
    return await work.all("users.list")


async def invite(
    work: Work,
    email: str,
    name: str,
    role: Role,
    memberships: Sequence[str] | None = None,
    *,
    by: Giver = OPERATOR,
) -> str:
    """Create a user; the token of the link by which they choose a password.

    `memberships` are the workspaces that they may open, each with its sandbox; None for all.
    Raises `Invalid`, `Refused`.
    """
    check_person(email, name)
    async with work.transaction():
        await _check_memberships(work, role, memberships)
        _check_giver(by, None, role, memberships)
        row = await _create(work, email, name, role, None, memberships)
        await audit.record(work, USER, "invite", None, row, subject=row["ref"])
        return await _create_link(work, row["ref"])


async def renew_link(work: Work, user: UUID, *, by: Giver = OPERATOR) -> str:
    """Another link for somebody who lost their password or their link; older links end."""
    async with work.transaction():
        known = await _fetch(work, user)
        _check_giver(by, Role(known["role"]), Role(known["role"]), known["workspaces"])
        await audit.note(
            work, "user.link", user, about=audit.AuditSubject(audit.USER, known["email"])
        )
        return await _create_link(work, user)


def version_of(person: Record) -> str:
    """A word for what `change` changes of a person: another one when any of it is."""
    given = (person["role"], str(person["workspaces"]), str(person["disabled_at"] is not None))
    return digest("user", *given).hex


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
    """Another role or other workspaces, or access taken or given back.

    Raises `Invalid`, `Refused`, `Conflict` for the last owner, and `Outdated` where `version_of`
    the person is another than expected.
    """
    async with work.transaction():
        owners = {row["ref"] for row in await work.all("users.hold_owners")}
        known = await _fetch(work, user)
        if expected is not None:
            expected.check(version_of(known))
        await _check_memberships(work, role, memberships)
        _check_giver(by, Role(known["role"]), role, known["workspaces"], memberships)
        if owners == {user} and (disabled or role is not Role.OWNER):
            raise Conflict("The last owner stays one: make somebody else an owner first.")
        at = (known["disabled_at"] or clock.now()) if disabled else None
        await work.run(
            "users.update",
            ref=user,
            name=known["name"],
            role=role,
            workspaces=memberships,
            disabled_at=at,
        )
        if disabled:
            await work.run("users.close_logins", user=user, kept=None)
            await work.run("users.forget_browsers", user=user)
            await work.run("users.forget_links", user=user)
        before = {**known, "disabled": known["disabled_at"] is not None}
        after = {**before, "role": role, "disabled": disabled, "workspaces": memberships}
        await audit.record(work, USER, "change", before, after, subject=user)


async def _check_memberships(work: Work, role: Role, memberships: Sequence[str] | None) -> None:
    """Raise `Invalid` for a workspace that does not exist, and for an owner without all."""
    if memberships is None:
        return
    if role is Role.OWNER:
        raise Invalid(Problem("workspaces", "an owner opens every workspace"))
    known = {row["name"] for row in await work.all("control.list_workspaces")}
    unknown = [name for name in memberships if name not in known or name.endswith(SANDBOX)]
    if unknown or not memberships:
        words = ", ".join(unknown) or "no workspace"
        raise Invalid(Problem("workspaces", f"{words}: name workspaces that exist"))


def _check_giver(
    by: Giver, before: Role | None, after: Role, *memberships: Sequence[str] | None
) -> None:
    if not may_give(by.role, before, after):
        raise LoginRefused("Only an owner makes and changes owners.")
    if not covers(by.memberships, *memberships):
        raise LoginRefused("You can only give and change access to workspaces that you may open.")


async def fetch_link(work: Work, token: str) -> Record | None:
    """Whose link this is: user_ref, email, name, all None for the first owner's; None when it
    has expired or was used."""
    return await work.one("users.link", token_sha256=digest_of(token), now=clock.now())


async def use_link(
    work: Work, token: str, password_hash: str, email: str = "", name: str = ""
) -> UUID:
    """Keep a password that was chosen by a link; the person. The first owner's link needs an
    e-mail address and a name as well. Raises `Invalid`, and `Refused` for a link that has ended."""
    async with work.transaction():
        row = await work.one("users.use_link", token_sha256=digest_of(token), now=clock.now())
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
            await work.run("users.close_logins", user=user, kept=None)
            await work.run("users.forget_browsers", user=user)
        work.actor = (await _fetch(work, user))["email"]
        about = audit.AuditSubject(audit.USER, work.actor)
        await audit.note(work, "user.password", user, about=about)
    return user


def link_ended() -> LoginRefused:
    """What is said of a link that has ended."""
    return LoginRefused("This link has expired or was used. Ask for another one.")


async def open_login(work: Work, user: UUID) -> tuple[str, datetime]:
    """A login for a person who proved who they are: its token and when it ends."""
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
    """Whose login this is, if it is open; notes that they are here, at most once a minute."""
    now = clock.now()
    row = await work.one("users.of_login", token_sha256=digest_of(token), now=now)
    if row is None:
        return None
    allowed = row["workspaces"]
    here = workspace or row["workspace"]
    if not is_member(allowed, here):
        # The page itself is refused by whoever shows it; what is remembered is one of theirs.
        here = row["workspace"] if is_member(allowed, row["workspace"]) else allowed[0]
    seen = row["last_seen_at"]
    if here != row["workspace"] or seen is None or now - seen > timedelta(minutes=1):
        await work.run(
            "users.seen", token_sha256=digest_of(token), user=row["ref"], workspace=here, now=now
        )
    return SignedInUser(row["ref"], row["email"], row["name"], Role(row["role"]), here, allowed)


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
        now=clock.now(),
    )
    if row is None:
        raise Conflict(f"There is a user {normal_email(email)} already.")
    return row


async def _fetch(work: Work, user: UUID) -> Record:
    row = await work.one("users.fetch", ref=user)
    if row is None:
        raise Unknown("User", user)
    return row


def check_person(email: str, name: str) -> None:
    """Raises `Invalid` for what cannot be a person's e-mail address or name."""
    problems = []
    local, _, domain = email.strip().partition("@")
    if not local or not domain or len(email) > 254 or any(map(str.isspace, email.strip())):
        problems.append(Problem("email", "an e-mail address"))
    if not name.strip() or len(name) > 100:
        problems.append(Problem("name", "1 to 100 characters"))
    if problems:
        raise Invalid(*problems)


def normal_email(email: str) -> str:
    """An e-mail address as accounts have it."""
    return email.strip().lower()


def digest_of(secret: str) -> bytes:
    """What is stored of a secret that is random."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()
