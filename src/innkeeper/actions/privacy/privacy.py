"""Requests of a person: erasure, access to the stored data, suppression."""

from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from innkeeper import clock
from innkeeper.actions.admin import audit
from innkeeper.actions.privacy import erasure
from innkeeper.actions.privacy.erasure import GDPR_DELETE, Receipt
from innkeeper.errors import Unknown, existing
from innkeeper.resources.guests import Guest
from innkeeper.resources.values import iso
from innkeeper.store.work import Row, Work


@dataclass(frozen=True, slots=True)
class ErasedGuests:
    """Erased guests that may still be in files at rest."""

    rows: list[Row]

    @property
    def guests(self) -> list[UUID]:
        """The refs of the guests."""
        return [row["guest_ref"] for row in self.rows if row["guest_ref"] is not None]

    @property
    def digests(self) -> frozenset[bytes]:
        """The digests of their identifying keys, in the form of the block list."""
        return frozenset(bytes(row["digest"]) for row in self.rows)


MODES: Final = (erasure.DELETE, erasure.GDPR_DELETE)


async def erase(
    work: Work, guest: UUID, mode: str = GDPR_DELETE, *, suppress: bool = False
) -> Receipt:
    """Erase a guest with its merged group; an absorbed guest's ref means its survivor.

    Returns the receipt, which the audit log stores. Raises `Unknown`.
    """
    root = await _root(work, guest)
    receipt = await erasure.erase(work, [root], mode, suppress=suppress)
    if not receipt.subjects:
        raise Unknown(Guest.singular, guest)
    return receipt


async def access(work: Work, guest: UUID) -> dict[str, Any]:
    """Return all stored data of a guest and its merged group, by target; raises `Unknown`.

    The access is written to the audit log.
    """
    async with work.transaction():
        root = await _root(work, guest)
        group = [row["ref"] for row in await work.all("merges.group", guest=root)]
        by_target = {}
        for target in erasure.targets():
            if target.access is not None:
                by_target[target.name] = await target.access(work, group)
        await audit.note(
            work, "privacy.access", root, salted=await erasure.subject_hash(work, root)
        )
    return {
        "guest": root,
        "guests": group,
        "workspace": work.workspace,
        "at": iso(clock.now()),
        "held": by_target,
    }


async def keys_of(work: Work, guest: UUID) -> list[UUID]:
    """Return the identifying keys of a guest and its merged group; raises `Unknown`."""
    root = await _root(work, guest)
    group = [row["ref"] for row in await work.all("merges.group", guest=root)]
    return await erasure.keys_of(work, await work.all("privacy.guests", guests=group))


async def list_pending(work: Work) -> ErasedGuests | None:
    """Return the erased guests for which files at rest must still be searched, or None."""
    rows = await work.all("privacy.erased")
    return ErasedGuests(rows) if rows else None


async def mark_searched(work: Work, erased: ErasedGuests) -> None:
    """Store that these erased guests are removed from files at rest."""
    await work.run(
        "privacy.delete_erased",
        digests=[row["digest"] for row in erased.rows],
        times=[row["erased_at"] for row in erased.rows],
    )


async def _root(work: Work, guest: UUID) -> UUID:
    """Return the survivor of a guest, or itself; raises `Unknown`."""
    row = existing(await work.one("privacy.root", ref=guest), Guest.singular, guest)
    root: UUID = row["root"]
    return root
