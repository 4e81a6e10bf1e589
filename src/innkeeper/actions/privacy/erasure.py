"""Taking people out: every place that holds something of a guest, and how it goes from there.

A place of the database is emptied in the transaction of the erasure; files at rest follow in the
background within seconds, or at once for a command (`privacy.search_files`). A module that keeps
personal data somewhere new registers a `Place`, and erasure, subject access and receipts know it.
"""

import hmac
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from importlib import import_module
from typing import Any, Final
from uuid import UUID

from innkeeper import clock
from innkeeper.actions.admin import audit, stored_secrets
from innkeeper.actions.identity import ledger, rulebook
from innkeeper.actions.privacy import block_list
from innkeeper.resources.base import Record
from innkeeper.rules.identity import identifying_keys
from innkeeper.rules.identity_keys import digest
from innkeeper.store.work import Row, Work

DELETE: Final = "delete"
"""Takes the guest, sessions and events; orders and items stay (batch-api.md 6)."""
GDPR_DELETE: Final = "gdpr_delete"
"""Takes the orders that are nobody else's as well."""


@dataclass(frozen=True, slots=True)
class Erasure:
    """Whom and what an erasure takes, all of it locked."""

    guests: list[UUID]
    """Live guests and all that they stand for."""
    orders: list[UUID]

    def params(self) -> dict[str, Any]:
        """What the queries of places take."""
        return {"guests": self.guests, "orders": self.orders}


Erase = Callable[[Work, Erasure], Awaitable[int]]
Access = Callable[[Work, list[UUID]], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class ErasureTarget:
    """Somewhere that personal data is kept."""

    name: str
    erase: Erase | None = None
    """Removes what it holds of guests, in the erasure's transaction; how many pieces."""
    access: Access | None = None
    """All that it holds of guests and those they stand for, as JSON can show it."""
    files: Callable[[Work, list[UUID]], Awaitable[int]] | None = None
    """Removes erased guests from files at rest, after the transaction; how many files changed."""


def deletes(query: str) -> Erase:
    """How a place is emptied that a named query empties."""

    async def erase(work: Work, what: Erasure) -> int:
        parts = what.params()
        return await work.run(query, **parts)

    return erase


def rows(query: str) -> Access:
    """What a place holds, as a named query finds it."""

    async def access(work: Work, guests: list[UUID]) -> list[Row]:
        return await work.all(query, guests=guests)

    return access


_TARGETS: Final[dict[str, ErasureTarget]] = {}
_MODULES: Final = ("innkeeper.actions.audiences.erased_guests",)
"""Modules that register places; imported when they are needed, since some import this one."""


def register(place: ErasureTarget) -> None:
    """Make a place known; a name stands for one place."""
    if place.name in _TARGETS:
        raise ValueError(f"two places are called {place.name}")
    _TARGETS[place.name] = place


def targets() -> list[ErasureTarget]:
    """Every place, those that others refer to last."""
    for module in _MODULES:
        import_module(module)
    return list(_TARGETS.values())


@dataclass(frozen=True, slots=True)
class Receipt:
    """What an erasure did: never who it was about, but as a salted hash."""

    at: str
    by: str
    mode: str
    subjects: list[str]
    guests: int
    removed: dict[str, int] = field(default_factory=dict)


async def with_open_sessions(work: Work, roots: Sequence[UUID]) -> set[UUID]:
    """Those of some live guests who have an open session."""
    if not roots:
        return set()
    found = await work.all("privacy.open_sessions", roots=list(roots), now=clock.now())
    return {row["root"] for row in found}


async def erase(
    work: Work, roots: Sequence[UUID], mode: str = GDPR_DELETE, *, suppress: bool = False
) -> Receipt:
    """Take live guests out with all that they stand for, and keep a receipt in the audit log.

    `suppress` puts what they were known by on the block list. Guests that are gone already are
    passed over. Files at rest follow in the background.
    """
    async with work.transaction():
        group = await work.all("privacy.lock_groups", roots=list(roots))
        guests = [row["ref"] for row in group]
        orders = []
        if mode == GDPR_DELETE and guests:
            orders = [row["ref"] for row in await work.all("privacy.orders", guests=guests)]
        keys = await keys_of(work, group)
        what = Erasure(guests, orders)
        removed = {}
        if guests:
            for place in targets():
                if place.erase is not None and (many := await place.erase(work, what)):
                    removed[place.name] = many
        await _remember(work, keys, guests)
        if suppress:
            await block_list.suppress(work, keys, mode)
        live = [row["ref"] for row in group if row["survivor_ref"] is None]
        receipt = await _receipt(work, live, mode, len(guests), removed)
        details: dict[str, Any] = {"mode": mode, "removed": removed, "suppressed": suppress}
        for root, salted in zip(live, receipt.subjects, strict=True):
            await audit.note(work, "privacy.erase", root, salted=salted, **details)
    return receipt


async def _remember(work: Work, keys: Sequence[UUID], guests: Sequence[UUID]) -> None:
    """Note what files at rest are still to be searched for."""
    found: dict[bytes, UUID | None] = dict.fromkeys(await block_list.digests_of(work, keys))
    for guest in guests:
        (key,) = await block_list.digests_of(work, [digest("guest", str(guest))])
        found[key] = guest
    await work.run(
        "privacy.remember_erased",
        digests=list(found),
        guests=list(found.values()),
        now=clock.now(),
    )


async def subject(work: Work, guest: UUID) -> str:
    """A ref as receipts name it: a hash salted with a key of this installation."""
    salt = await stored_secrets.installation_key(work, stored_secrets.SUBJECTS)
    return hmac.new(salt, str(guest).encode(), sha256).hexdigest()


async def _receipt(
    work: Work, roots: list[UUID], mode: str, guests: int, removed: dict[str, int]
) -> Receipt:
    subjects = [await subject(work, root) for root in roots]
    at = clock.now().isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return Receipt(at, work.actor, mode, subjects, guests, removed)


async def keys_of(work: Work, group: Sequence[Row]) -> list[UUID]:
    """Everything that guests are known by, as they are and as they would be without merges."""
    book = await rulebook.current(work)
    records: list[Record] = [ledger.visible_record(row) for row in group]
    records += [ledger.own_record(row) for row in group if row["own"] is not None]
    return sorted({key for record in records for key in identifying_keys(record, book)})


async def _erase_audit(work: Work, what: Erasure) -> int:
    named = await audit.erase_definitions(work, what.guests)
    return named + await audit.erase(work, what.guests)


register(ErasureTarget("audit_changes", _erase_audit, audit.of_guests))
for _name, _erase, _access in (
    ("answers", "privacy.erase_answers", "privacy.answers"),
    ("jobs", "privacy.erase_jobs", None),
    ("batch_failures", "privacy.erase_failures", None),
    ("order_items", "privacy.erase_order_items", "privacy.items_of"),
    ("order_item_extensions", None, "privacy.item_extensions_of"),
    ("order_extensions", None, "privacy.order_extensions_of"),
    ("order_contacts", "privacy.erase_order_contacts", "privacy.contacts_of"),
    ("order_consumers", "privacy.erase_order_consumers", "privacy.consumers_of"),
    ("orders", "privacy.erase_orders", "privacy.orders_of"),
    ("quarantine", "privacy.erase_quarantine", "privacy.quarantine"),
    ("events", "privacy.erase_events", "privacy.events"),
    ("sessions", "privacy.erase_sessions", "privacy.sessions"),
    ("browsers", "privacy.erase_browsers", "privacy.browsers"),
    ("data_extensions", "privacy.erase_extensions", "privacy.extensions"),
    ("guarded_values", "privacy.erase_guarded", "privacy.guarded"),
    ("merges", "privacy.erase_merges", "privacy.merges"),
    ("merge_journal", "privacy.erase_journal", "privacy.journal"),
    ("joined_records", "privacy.erase_joins", "privacy.joins"),
    ("keys", "privacy.erase_keys", None),
    ("guests", "privacy.erase_guests", "privacy.guests"),
):
    register(
        ErasureTarget(
            _name, deletes(_erase) if _erase else None, rows(_access) if _access else None
        )
    )
