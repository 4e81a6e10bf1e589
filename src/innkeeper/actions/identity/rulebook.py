"""Cache of each workspace's identity rules and guards, validated by version on every use.

The statement that uses cached rules also checks their version: `guests.create` writes nothing if
the version is out of date, and the statements that look up or lock guests return the version in
force. So no process decides by old rules, and no guest lacks the keys of new rules.
"""

from uuid import UUID

from innkeeper.rules.identity_rules import IdentityRule, IdentityRules
from innkeeper.rules.placeholders import PLACEHOLDERS
from innkeeper.store.configuration_cache import IDENTITY_RULES
from innkeeper.store.work import Work


async def current(work: Work) -> IdentityRules:
    """Return the rules that this process read last; compare their version before use."""
    book: IdentityRules | None = work.cache.get(IDENTITY_RULES, work.workspace)
    return await read(work) if book is None else book


async def of_version(work: Work, version: UUID) -> IdentityRules:
    """Return the rules of a version that is in force until the caller's transaction ends."""
    book = await current(work)
    return book if book.version == version else await read(work)


async def read(work: Work) -> IdentityRules:
    """Read the rules in force from the database, and cache them."""
    row = await work.row("identity.rulebook")
    book = IdentityRules(
        version=row["version"],
        rules=tuple(IdentityRule.of(rule["name"], rule["conditions"]) for rule in row["rules"]),
        never=frozenset(PLACEHOLDERS)
        .union(row["placeholders_added"])
        .difference(row["placeholders_removed"]),
        group_limit=row["group_limit"],
        region=row["region"],
    )
    return work.cache.put(IDENTITY_RULES, work.workspace, book)
