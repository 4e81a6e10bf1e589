"""What a person may ask for: to be erased, to see what is held, not to come back."""

from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from innkeeper import clock
from innkeeper.actions.admin import audit
from innkeeper.actions.privacy import erasure
from innkeeper.actions.privacy.erasure import GDPR_DELETE, Receipt
from innkeeper.errors import Unknown
from innkeeper.resources.guests import Guest
from innkeeper.resources.values import iso
from innkeeper.store.work import Row, Work


@dataclass(frozen=True, slots=True)
class ErasedGuests:
    """Erased guests who may still be in files at rest."""

    rows: list[Row]

    @property
    def guests(self) -> list[UUID]:
        """Their refs."""
        return [row["guest_ref"] for row in self.rows if row["guest_ref"] is not None]

    @property
    def digests(self) -> frozenset[bytes]:
        """What they were known by, as the block list has it."""
        return frozenset(bytes(row["digest"]) for row in self.rows)


MODES: Final = (erasure.DELETE, erasure.GDPR_DELETE)


async def erase(
    work: Work, guest: UUID, mode: str = GDPR_DELETE, *, suppress: bool = False
) -> Receipt:
    """Take a guest out, and all that it stands for; a ref that was merged means its survivor.

    Raises `Unknown`. The receipt stays in the audit log.
    """
    root = await _root(work, guest)
    receipt = await erasure.erase(work, [root], mode, suppress=suppress)
    if not receipt.subjects:
        raise Unknown(Guest.singular, guest)
    return receipt


async def access(work: Work, guest: UUID) -> dict[str, Any]:
    """All that is held on a guest and those it stands for, by place; raises `Unknown`.

    That somebody looked is noted in the audit log.
    """
    async with work.transaction():
        root = await _root(work, guest)
        group = [row["ref"] for row in await work.all("merges.group", guest=root)]
        held = {}
        for place in erasure.targets():
            if place.access is not None:
                held[place.name] = await place.access(work, group)
        await audit.note(work, "privacy.access", root, salted=await erasure.subject(work, root))
    return {
        "guest": root,
        "guests": group,
        "workspace": work.workspace,
        "at": iso(clock.now()),
        "held": held,
    }


async def keys_of(work: Work, guest: UUID) -> list[UUID]:
    """Everything that a guest and those it stands for are found by; raises `Unknown`."""
    root = await _root(work, guest)
    group = [row["ref"] for row in await work.all("merges.group", guest=root)]
    return await erasure.keys_of(work, await work.all("privacy.guests", guests=group))


async def wanted(work: Work) -> ErasedGuests | None:
    """What files at rest are still to be searched for, if anything."""
    rows = await work.all("privacy.erased")
    return ErasedGuests(rows) if rows else None


async def searched(work: Work, what: ErasedGuests) -> None:
    """Files at rest hold nothing of it any more."""
    await work.run(
        "privacy.forget_erased",
        digests=[row["digest"] for row in what.rows],
        times=[row["erased_at"] for row in what.rows],
    )


async def _root(work: Work, guest: UUID) -> UUID:
    row = await work.one("privacy.root", ref=guest)
    if row is None:
        raise Unknown(Guest.singular, guest)
    root: UUID = row["root"]
    return root
