"""Who may do what in the screens: five roles, and the rights each has."""

from collections.abc import Collection
from enum import StrEnum
from typing import Final

SANDBOX: Final = "_sandbox"
"""What the name of a workspace's sandbox ends with."""


class Right(StrEnum):
    """One thing that a role may or may not do. Everybody who logs in may look at pages."""

    PERSONAL = "see personal data"
    ACCESS = "export what is held on a guest"
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
    """What a user is."""

    OWNER = "owner"
    ADMIN = "admin"
    DEVELOPER = "developer"
    ANALYST = "analyst"
    READ_ONLY = "read-only"


RIGHTS: Final[dict[Role, frozenset[Right]]] = {
    Role.OWNER: frozenset(Right),
    Role.ADMIN: frozenset(Right),
    Role.DEVELOPER: frozenset(
        {Right.IMPORTS, Right.REPLAY, Right.KEYS, Right.POINTS_OF_SALE, Right.WEBHOOKS, Right.RESET}
    ),
    Role.ANALYST: frozenset(
        {
            *(Right.PERSONAL, Right.ACCESS, Right.EDIT, Right.MERGE),
            *(Right.SEGMENTS, Right.EXPORTS),
        }
    ),
    Role.READ_ONLY: frozenset(),
}

ABOUT: Final[dict[Role, str]] = {
    Role.OWNER: "Everything; only an owner changes owners.",
    Role.ADMIN: "Everything except owners.",
    Role.DEVELOPER: "API access, imports, events, settings. Personal data is masked.",
    Role.ANALYST: "Guests, segments and exports, personal data included.",
    Role.READ_ONLY: "Looks at every page. Personal data is masked.",
}


def may(role: Role, right: Right) -> bool:
    """Whether a role has a right."""
    return right in RIGHTS[role]


def may_give(giver: Role, before: Role | None, after: Role | None) -> bool:
    """Whether a role may make a user of role `before` (None: a new one) one of role `after`
    (None: no user any more). Nobody but an owner touches owners."""
    if Right.USERS not in RIGHTS[giver]:
        return False
    return giver is Role.OWNER or Role.OWNER not in (before, after)


def is_member(memberships: Collection[str] | None, workspace: str) -> bool:
    """Whether a user may open a workspace: one of theirs, or its sandbox; None means every one."""
    return memberships is None or workspace.removesuffix(SANDBOX) in memberships


def covers(giver: Collection[str] | None, *given: Collection[str] | None) -> bool:
    """Whether memberships may be given, or taken, by somebody with `giver`: none beyond theirs."""
    if giver is None:
        return True
    return all(each is not None and set(each) <= set(giver) for each in given)


def locked_seconds(attempts: int, free: int) -> int:
    """How long a budget of log-ins is locked after so many attempts in a row without success:
    from the last of the `free` ones on for 30 seconds, then twice as long each time, up to an hour.
    """
    return 0 if attempts < free else min(30 * 2 ** min(attempts - free, 7), 3600)
