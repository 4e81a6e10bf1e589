"""Erase guests: the registry of everything that stores personal data, and the erasure itself.

The database is erased in one transaction. Files at rest follow in the background within seconds, or
at once for a command (`privacy.search_files`). A module that stores personal data registers an
`ErasureTarget`; erasure, subject access and receipts then include it.
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
from innkeeper.resources.orders import CHILDREN
from innkeeper.rules.identity import identifying_keys
from innkeeper.rules.identity_keys import digest
from innkeeper.store.work import Row, Work

DELETE: Final = "delete"
"""Deletes the guest, sessions and events; orders and items stay (batch-api.md 6)."""
GDPR_DELETE: Final = "gdpr_delete"
"""Also deletes the orders that have no other contact."""


@dataclass(frozen=True, slots=True)
class Erasure:
    """The guests and orders to erase, all of them locked."""

    guests: list[UUID]
    """Live guests and the guests merged into them."""
    orders: list[UUID]

    def params(self) -> dict[str, Any]:
        """Return the parameters of the targets' queries."""
        return {"guests": self.guests, "orders": self.orders}


Erase = Callable[[Work, Erasure], Awaitable[int]]
Access = Callable[[Work, list[UUID]], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class ErasureTarget:
    """A table or set of files that stores personal data."""

    name: str
    erase: Erase | None = None
    """Deletes the data of guests, in the erasure's transaction; returns the number of rows."""
    access: Access | None = None
    """Returns all data of guests and of those merged into them, as values that JSON can hold."""
    files: Callable[[Work, list[UUID]], Awaitable[int]] | None = None
    """Removes erased guests from files at rest, after the transaction; returns the number of
    changed files."""


def erase_query(query: str) -> Erase:
    """Return the `erase` of a target that a named query deletes from."""

    async def erase(work: Work, erasure: Erasure) -> int:
        params = erasure.params()
        return await work.run(query, **params)

    return erase


def access_query(query: str) -> Access:
    """Return the `access` of a target that a named query reads."""

    async def access(work: Work, guests: list[UUID]) -> list[Row]:
        return await work.all(query, guests=guests)

    return access


_TARGETS: Final[dict[str, ErasureTarget]] = {}
_MODULES: Final = ("innkeeper.actions.audiences.erased_guests",)
"""Modules that register targets; imported on first use, since some of them import this one."""


def register(target: ErasureTarget) -> None:
    """Register a target; raises ValueError if its name is in use."""
    if target.name in _TARGETS:
        raise ValueError(f"two erasure targets are called {target.name}")
    _TARGETS[target.name] = target


def targets() -> list[ErasureTarget]:
    """Return every target; a target comes after those that refer to it."""
    for module in _MODULES:
        import_module(module)
    return list(_TARGETS.values())


@dataclass(frozen=True, slots=True)
class Receipt:
    """The result of an erasure; it names the guests only by salted hashes."""

    at: str
    by: str
    mode: str
    subjects: list[str]
    guests: int
    removed: dict[str, int] = field(default_factory=dict)


async def find_open_sessions(work: Work, roots: Sequence[UUID]) -> set[UUID]:
    """Return those of some live guests who have an open session."""
    if not roots:
        return set()
    rows = await work.all("privacy.open_sessions", roots=list(roots))
    return {row["root"] for row in rows}


async def erase(
    work: Work, roots: Sequence[UUID], mode: str = GDPR_DELETE, *, suppress: bool = False
) -> Receipt:
    """Erase live guests with the guests merged into them, and store a receipt in the audit log.

    `suppress` adds their identifying values to the block list. Guests that no longer exist are
    skipped. Files at rest follow in the background. Returns the receipt.
    """
    async with work.transaction():
        group = await work.all("privacy.lock_groups", roots=list(roots))
        guests = [row["ref"] for row in group]
        orders = []
        if mode == GDPR_DELETE and guests:
            orders = [row["ref"] for row in await work.all("privacy.orders", guests=guests)]
        keys = await keys_of(work, group)
        erasure = Erasure(guests, orders)
        removed = {}
        if guests:
            for target in targets():
                if target.erase is not None and (count := await target.erase(work, erasure)):
                    removed[target.name] = count
        await _queue_file_search(work, keys, guests)
        if suppress:
            await block_list.suppress(work, keys, mode)
        live = [row["ref"] for row in group if row["survivor_ref"] is None]
        receipt = await _receipt(work, live, mode, len(guests), removed)
        details: dict[str, Any] = {"mode": mode, "removed": removed, "suppressed": suppress}
        for root, salted in zip(live, receipt.subjects, strict=True):
            await audit.note(work, "privacy.erase", root, salted=salted, **details)
    return receipt


async def _queue_file_search(work: Work, keys: Sequence[UUID], guests: Sequence[UUID]) -> None:
    """Store the digests and refs for which files at rest must still be searched."""
    guest_by_digest: dict[bytes, UUID | None] = dict.fromkeys(
        await block_list.digests_of(work, keys)
    )
    for guest in guests:
        (key,) = await block_list.digests_of(work, [digest("guest", str(guest))])
        guest_by_digest[key] = guest
    await work.run(
        "privacy.insert_erased",
        digests=list(guest_by_digest),
        guests=list(guest_by_digest.values()),
    )


async def subject_hash(work: Work, guest: UUID) -> str:
    """Return a ref as receipts name it: a hash salted with a key of this installation."""
    salt = await stored_secrets.installation_key(work, stored_secrets.SUBJECTS)
    return hmac.new(salt, str(guest).encode(), sha256).hexdigest()


async def _receipt(
    work: Work, roots: list[UUID], mode: str, guests: int, removed: dict[str, int]
) -> Receipt:
    """Return the receipt of an erasure by the current actor, with a time in UTC."""
    subjects = [await subject_hash(work, root) for root in roots]
    at = clock.now().isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return Receipt(at, work.actor, mode, subjects, guests, removed)


async def keys_of(work: Work, group: Sequence[Row]) -> list[UUID]:
    """Return the identifying keys of guests in both states, visible and unmerged."""
    book = await rulebook.current(work)
    records: list[Record] = [ledger.visible_record(row) for row in group]
    records += [ledger.unmerged_record(row) for row in group if row["unmerged"] is not None]
    return sorted({key for record in records for key in identifying_keys(record, book)})


async def _erase_audit(work: Work, erasure: Erasure) -> int:
    """Erase guests from the audit log; return the number of rows."""
    count = await audit.erase_definitions(work, erasure.guests)
    return count + await audit.erase(work, erasure.guests)


register(ErasureTarget("audit_changes", _erase_audit, audit.of_guests))
for _name, _erase, _access in (
    ("answers", "privacy.erase_answers", "privacy.answers"),
    ("jobs", "privacy.erase_jobs", None),
    ("batch_failures", "privacy.erase_failures", None),
    ("import_changes", "import_changes.erase", "import_changes.access"),
    ("imported_guests", "import_changes.erase_refs", None),
    *((child.table, f"{child.table}.erase", f"{child.table}.access") for child in CHILDREN),
    ("order_item_extensions", None, "privacy.item_extensions_of"),
    ("order_extensions", None, "privacy.order_extensions_of"),
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
            _name,
            erase_query(_erase) if _erase else None,
            access_query(_access) if _access else None,
        )
    )
