"""Roles of users, the rights of each role, and access to workspaces."""

from collections.abc import Collection
from enum import StrEnum
from typing import Final

SANDBOX: Final = "_sandbox"
"""Suffix of the name of a workspace's sandbox."""


class Right(StrEnum):
    """A permission of a role. Every logged-in user may view pages."""

    PERSONAL = "see personal data"
    ACCESS = "export all data on a guest"
    EDIT = "edit guests"
    MERGE = "merge and undo merges"
    ERASE = "erase guests"
    SEGMENTS = "edit segments"
    EXPORTS = "run exports"
    IMPORTS = "import files"
    REPLAY = "replay quarantined events"
    KEYS = "manage API access"
    RULES = "edit identity rules"
    POINTS_OF_SALE = "edit points of sale"
    WEBHOOKS = "edit webhooks"
    RESET = "reset the sandbox"
    USERS = "manage users"
    AUDIT = "read the audit log"


class Role(StrEnum):
    """The role of a user."""

    OWNER = "owner"
    ADMIN = "admin"
    DEVELOPER = "developer"
    ANALYST = "analyst"
    MARKETER = "marketer"
    READ_ONLY = "read-only"


RIGHTS: Final[dict[Role, frozenset[Right]]] = {
    Role.OWNER: frozenset(Right),
    Role.ADMIN: frozenset(Right),
    Role.DEVELOPER: frozenset(
        {Right.IMPORTS, Right.REPLAY, Right.KEYS, Right.POINTS_OF_SALE, Right.WEBHOOKS, Right.RESET}
    ),
    Role.ANALYST: frozenset(
        {*(Right.PERSONAL, Right.ACCESS, Right.EDIT, Right.MERGE), *(Right.SEGMENTS, Right.EXPORTS)}
    ),
    Role.MARKETER: frozenset({Right.PERSONAL, Right.SEGMENTS, Right.EXPORTS, Right.IMPORTS}),
    Role.READ_ONLY: frozenset(),
}

ABOUT: Final[dict[Role, str]] = {
    Role.OWNER: "Everything; only an owner changes owners.",
    Role.ADMIN: "Everything except owners.",
    Role.DEVELOPER: "API access, imports, events, settings. Personal data is masked.",
    Role.ANALYST: "Guests, segments and exports, personal data included.",
    Role.MARKETER: "Segments, exports and imports, personal data included.",
    Role.READ_ONLY: "Looks at every page. Personal data is masked.",
}


def may(role: Role, right: Right) -> bool:
    """Whether a role has a right."""
    return right in RIGHTS[role]


def may_give(giver: Role, before: Role | None, after: Role | None) -> bool:
    """Whether the role `giver` may change a user's role from `before` (None: a new user) to
    `after` (None: delete the user). Only owners may change owners."""
    if Right.USERS not in RIGHTS[giver]:
        return False
    return giver is Role.OWNER or Role.OWNER not in (before, after)


def is_member(memberships: Collection[str] | None, workspace: str) -> bool:
    """Whether a user may open a workspace: one of `memberships` or its sandbox; None means all."""
    return memberships is None or workspace.removesuffix(SANDBOX) in memberships


def covers(giver: Collection[str] | None, *memberships: Collection[str] | None) -> bool:
    """Whether a user with the memberships `giver` may add or remove other memberships: only those
    that the user has."""
    if giver is None:
        return True
    return all(each is not None and set(each) <= set(giver) for each in memberships)


def locked_seconds(attempts: int, free: int) -> int:
    """Return the seconds for which log-ins are locked after consecutive failed attempts.

    The last of the `free` attempts locks for 30 seconds; each further one doubles the time, up to
    an hour.
    """
    return 0 if attempts < free else min(30 * 2 ** min(attempts - free, 7), 3600)
