"""Scopes of API keys, and the scopes that each role may grant."""

from collections.abc import Iterable
from enum import StrEnum
from typing import Final

from innkeeper.errors import Invalid, Problem
from innkeeper.rules.access import Right, Role, may


class Scope(StrEnum):
    """A permission of an API key."""

    READ = "read"
    WRITE = "write"
    DELETE = "delete"
    PERSONAL_DATA = "personal_data"
    ADMINISTRATION = "administration"


SCOPES: Final[dict[Scope, str]] = {
    Scope.READ: "Fetch and list.",
    Scope.WRITE: "Create and change; send events, batches and imports.",
    Scope.DELETE: "Delete and erase.",
    Scope.PERSONAL_DATA: "See, filter by and hand on what names or locates a person.",
    Scope.ADMINISTRATION: "Manage API keys, and change identity rules and guards.",
}
EVERY_SCOPE: Final = frozenset(Scope)
DEFAULT_SCOPES: Final = EVERY_SCOPE - {Scope.ADMINISTRATION}
"""Scopes of a key that is created without a choice."""
READ_PERSONAL: Final = frozenset({Scope.READ, Scope.PERSONAL_DATA})
WRITE_PERSONAL: Final = frozenset({Scope.WRITE, Scope.PERSONAL_DATA})
CHANGE_RULES: Final = frozenset({Scope.WRITE, Scope.ADMINISTRATION})
"""Changes of identity rules may merge every guest with another."""
_PLAIN: Final = frozenset({Scope.READ, Scope.WRITE, Scope.DELETE})


def scopes_of_role(role: Role) -> frozenset[Scope]:
    """Return the scopes that a user with a role may grant: never more than the user may do."""
    if not may(role, Right.KEYS):
        return frozenset()
    personal = {Scope.PERSONAL_DATA} if may(role, Right.PERSONAL) else set()
    administration = {Scope.ADMINISTRATION} if may(role, Right.USERS) else set()
    return _PLAIN | personal | administration


def read_scopes(words: Iterable[str]) -> frozenset[Scope]:
    """Read scopes from words; raises `Invalid` if there are none or a word is not a scope."""
    scopes, problems = set(), []
    for word in words:
        try:
            scopes.add(Scope(word))
        except ValueError:
            every = ",".join(Scope)
            problems.append(Problem("scopes", f"{word[:50]!r} is none of {every}"))
    if not scopes and not problems:
        problems.append(Problem("scopes", "must name at least one scope"))
    if problems:
        raise Invalid(*problems)
    return frozenset(scopes)


def in_order(scopes: Iterable[Scope]) -> list[Scope]:
    """Return scopes in order of declaration."""
    members = set(scopes)
    return [scope for scope in Scope if scope in members]
