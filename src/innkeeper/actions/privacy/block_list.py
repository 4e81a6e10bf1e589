"""The block list: identifiers of erased people, which must not come back.

It holds keyed digests, so it tells nobody who is on it, and whoever asks must know whom to ask
about. `blocked` costs nothing while the list is empty: that is remembered for a moment.
"""

import hmac
import time
from collections.abc import Iterable, Sequence
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
from innkeeper.store.work import Row, Work

CACHE_SECONDS: Final = 2.0
"""How long other processes may go on after the first identifier was suppressed."""

REFUSED: Final = Counter(
    "innkeeper_suppressed_total", "Records and events refused for somebody on the block list."
)

_empty_until: dict[tuple[str, str], float] = {}


async def blocked(work: Work, person: Record) -> bool:
    """Whether anything a person is identified by is suppressed; counted as a refusal if so.

    `person` holds the fields of a guest: identifiers, email, emails and whatever identity rules
    look at. Refuse the record then, and write nothing of it.
    """
    if await _is_empty(work):
        return False
    digests = await digests_of(work, await _keys(work, person))
    return bool(digests and await _refuse(work, digests))


async def refuse_blocked(work: Work, person: Record) -> None:
    """Raise `Forbidden` for a person who is suppressed. Call it before the transaction that would
    write, since that takes the count with it when it fails."""
    if await blocked(work, person):
        raise Forbidden("Action not allowed", "The identifier is on the block list.")


async def blocked_among(work: Work, people: Sequence[Record], *, count: bool = True) -> set[int]:
    """Which of many people, by position, are suppressed; in one question for all of them.

    `count`: each of them is a refusal.
    """
    if await _is_empty(work):
        return set()
    each = [await digests_of(work, await _keys(work, person)) for person in people]
    every = sorted({digest for digests in each for digest in digests})
    rows = await work.all("block_list.find", digests=every)
    known = {bytes(row["digest"]) for row in rows}
    found = {position for position, digests in enumerate(each) if not known.isdisjoint(digests)}
    for position in sorted(found) if count else ():
        await _refuse(work, [digest for digest in each[position] if digest in known])
    return found


async def _refuse(work: Work, digests: Sequence[bytes]) -> bool:
    """Count a refusal if any of them is on the list; whether one is."""
    refused = bool(await work.all("block_list.refuse", digests=digests))
    if refused:
        REFUSED.inc()
    return refused


async def suppress(work: Work, keys: Iterable[UUID], reason: str) -> int:
    """Put the keys of a guest (`identity.identifying_keys`) on the list; how many were new."""
    digests = await digests_of(work, keys)
    now = clock.now()
    _empty_until.clear()
    return await work.run(
        "block_list.add", digests=digests, reason=reason, actor=work.actor, now=now
    )


async def suppress_person(work: Work, person: Record, reason: str) -> int:
    """Put what a person is identified by on the list; how many digests were new. Raises `Invalid`
    for values that never identify: they would keep everybody out who has them."""
    keys = await _keys(work, person)
    if not keys:
        raise Invalid(Problem("identifiers", NEVER_IDENTIFIES))
    async with work.transaction():
        added = await suppress(work, keys, reason)
        await audit.note(work, "privacy.suppress", None, digests=added, reason=reason)
    return added


async def release_person(work: Work, person: Record) -> int:
    """Take what a person is identified by off the list; how many digests there were."""
    async with work.transaction():
        digests = await digests_of(work, await _keys(work, person))
        removed = await work.run("block_list.remove", digests=digests)
        await audit.note(work, "privacy.release", None, digests=removed)
    return removed


async def totals(work: Work) -> Row:
    """How many digests are on the list (`suppressed`), and how often one was `refused`."""
    row = await work.one("block_list.totals")
    assert row is not None  # noqa: S101 - an aggregate has a row
    return row


async def digests_of(work: Work, keys: Iterable[UUID]) -> list[bytes]:
    """Keys as the list holds them."""
    salt = await stored_secrets.installation_key(work, stored_secrets.SUPPRESSION)
    return [hmac.digest(salt, key.bytes, sha256) for key in sorted({*keys})]


async def _keys(work: Work, person: Record) -> list[UUID]:
    book = await rulebook.current(work)
    return [*identifying_keys(person, book), *keys_with_invisible_characters(person)]


async def _is_empty(work: Work) -> bool:
    place = (_installation(work), work.workspace)
    if _empty_until.get(place, 0.0) > time.monotonic():
        return True
    row = await work.one("block_list.any")
    if row is None or row["some"]:
        _empty_until.pop(place, None)
        return False
    _empty_until[place] = time.monotonic() + CACHE_SECONDS
    return True


def _installation(work: Work) -> str:
    """A process of tests meets several databases."""
    return work.settings.database or work.connection.info.dsn
