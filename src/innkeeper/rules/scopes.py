"""What an API key may do: its scopes, and those a role of the screens may give."""

from collections.abc import Iterable
from enum import StrEnum
from typing import Final

from innkeeper.errors import Invalid, Problem
from innkeeper.rules.access import Right, Role, may


class Scope(StrEnum):
    """One thing that an API key may or may not do."""

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
"""Scopes of a key for which none are chosen."""
_PLAIN: Final = frozenset({Scope.READ, Scope.WRITE, Scope.DELETE})


def scopes_of_role(role: Role) -> frozenset[Scope]:
    """The scopes that a user of a role may give to a key: never more than the user may do."""
    if not may(role, Right.KEYS):
        return frozenset()
    personal = {Scope.PERSONAL_DATA} if may(role, Right.PERSONAL) else set()
    administration = {Scope.ADMINISTRATION} if may(role, Right.USERS) else set()
    return _PLAIN | personal | administration


def read_scopes(words: Iterable[str]) -> frozenset[Scope]:
    """The scopes that words name; raises `Invalid` for none, and for what is no scope."""
    found, problems = set(), []
    for word in words:
        try:
            found.add(Scope(word))
        except ValueError:
            every = ",".join(Scope)
            problems.append(Problem("scopes", f"{word[:50]!r} is none of {every}"))
    if not found and not problems:
        problems.append(Problem("scopes", "must name at least one scope"))
    if problems:
        raise Invalid(*problems)
    return frozenset(found)


def in_order(scopes: Iterable[Scope]) -> list[Scope]:
    """Scopes in the order of their declaration."""
    given = set(scopes)
    return [scope for scope in Scope if scope in given]
