"""The block list: identifiers of erased people, whose records must be refused.

It stores keyed digests: the list does not reveal its people, and a lookup needs the person's
identifiers. While the list is empty `is_blocked` needs no statement: that state is cached.
"""

import hmac
from collections.abc import Iterable, Sequence
from functools import partial
from hashlib import sha256
from typing import Final
from uuid import UUID

from prometheus_client import Counter

from innkeeper import clock
from innkeeper.actions.admin import audit, stored_secrets
from innkeeper.actions.identity import rulebook
from innkeeper.errors import Forbidden, Invalid, Problem
from innkeeper.resources.base import Record
from innkeeper.rules.identity import NEVER_IDENTIFIES, identifying_keys
from innkeeper.rules.identity_keys import keys_with_invisible_characters
from innkeeper.store.configuration_cache import BLOCK_LIST
from innkeeper.store.work import Row, Work

REFUSED: Final = Counter(
    "innkeeper_suppressed_total", "Records and events rejected because of the block list."
)


async def is_blocked(work: Work, person: Record) -> bool:
    """Return whether any identifying value of a person is suppressed, and count it as a refusal.

    `person` holds the fields of a guest: identifiers, email, emails and the fields of identity
    rules. If true, the caller must refuse the record and write none of its data.
    """
    if await is_empty(work):
        return False
    digests = await digests_of(work, await _keys(work, person))
    return bool(digests and await _refuse(work, digests))


async def refuse_blocked(work: Work, person: Record) -> None:
    """Raise `Forbidden` for a person who is suppressed.

    Call it before the transaction of the write: a rollback would also undo the refusal count.
    """
    if await is_blocked(work, person):
        raise Forbidden("Action not allowed", "The identifier is on the block list.")


async def find_blocked(work: Work, people: Sequence[Record], *, count: bool = True) -> set[int]:
    """Return the positions of the people who are suppressed, by one statement for all.

    `count`: count each of them as a refusal.
    """
    if await is_empty(work):
        return set()
    each = [await digests_of(work, await _keys(work, person)) for person in people]
    every = sorted({digest for digests in each for digest in digests})
    rows = await work.all("block_list.find", digests=every)
    suppressed = {bytes(row["digest"]) for row in rows}
    positions = {
        position for position, digests in enumerate(each) if not suppressed.isdisjoint(digests)
    }
    for position in sorted(positions) if count else ():
        await _refuse(work, [digest for digest in each[position] if digest in suppressed])
    return positions


async def _refuse(work: Work, digests: Sequence[bytes]) -> bool:
    """Count a refusal for each digest on the list; return whether there is one."""
    is_refused = bool(await work.all("block_list.refuse", digests=digests))
    if is_refused:
        REFUSED.inc()
    return is_refused


async def suppress(work: Work, keys: Iterable[UUID], reason: str) -> int:
    """Add a guest's keys (`identity.identifying_keys`) to the list; return how many are new."""
    digests = await digests_of(work, keys)
    now = clock.now()
    added = await work.run("block_list.add", digests=digests, reason=reason, now=now)
    work.drop_cached(BLOCK_LIST)
    return added


async def suppress_person(work: Work, person: Record, reason: str) -> int:
    """Add a person's identifying values to the list; return how many digests are new.

    Raises `Invalid` for values that never identify: they would block everyone who has them.
    """
    keys = await _keys(work, person)
    if not keys:
        raise Invalid(Problem("identifiers", NEVER_IDENTIFIES))
    async with work.transaction():
        added = await suppress(work, keys, reason)
        await audit.note(work, "privacy.suppress", None, digests=added, reason=reason)
    return added


async def release_person(work: Work, person: Record) -> int:
    """Remove a person's identifying values from the list; return how many digests it had."""
    async with work.transaction():
        digests = await digests_of(work, await _keys(work, person))
        removed = await work.run("block_list.remove", digests=digests)
        work.drop_cached(BLOCK_LIST)
        await audit.note(work, "privacy.release", None, digests=removed)
    return removed


async def count_totals(work: Work) -> Row:
    """Return the number of digests on the list (`suppressed`) and of refusals (`refused`)."""
    return await work.row("block_list.totals")


async def digests_of(work: Work, keys: Iterable[UUID]) -> list[bytes]:
    """Return the digests of keys, as the list stores them."""
    salt = await stored_secrets.installation_key(work, stored_secrets.SUPPRESSION)
    return [hmac.digest(salt, key.bytes, sha256) for key in sorted({*keys})]


async def _keys(work: Work, person: Record) -> list[UUID]:
    """Return the identifying keys of a person, also those with invisible characters."""
    book = await rulebook.current(work)
    return [*identifying_keys(person, book), *keys_with_invisible_characters(person)]


async def is_empty(work: Work) -> bool:
    """Return whether the workspace's list is empty."""
    return await work.cache.read(BLOCK_LIST, work.workspace, partial(_read_is_empty, work))


async def _read_is_empty(work: Work) -> bool:
    row = await work.one("block_list.any")
    return row is not None and not row["some"]
