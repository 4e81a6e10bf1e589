"""What a workspace decides identity by, remembered by each process and never out of date.

Whoever uses a rulebook learns in the same statement whether its version is still in force:
`guests.create` writes nothing otherwise, and the statements that look up or lock return it.
So no process decides by rules that were changed, and no guest lacks the keys of new ones.
"""

from innkeeper.rules.identity_rules import IdentityRule, IdentityRules
from innkeeper.rules.placeholders import PLACEHOLDERS
from innkeeper.store.work import Work

_cache: dict[str, IdentityRules] = {}


async def current(work: Work) -> IdentityRules:
    """The rulebook as this process last read it: compare its version before relying on it."""
    book = _cache.get(work.workspace)
    return await read(work) if book is None else book


async def read(work: Work) -> IdentityRules:
    """The rulebook as it is now."""
    row = await work.one("identity.rulebook")
    if row is None:
        raise RuntimeError(f"workspace {work.workspace} has no identity settings")
    book = _cache[work.workspace] = IdentityRules(
        version=row["version"],
        rules=tuple(IdentityRule.of(rule["name"], rule["conditions"]) for rule in row["rules"]),
        never=frozenset(PLACEHOLDERS).union(row["never_added"]).difference(row["never_removed"]),
        group_limit=row["group_limit"],
        region=row["region"],
    )
    return book
