"""What a person may ask for: to be erased, to see what is held, not to come back."""

from typing import Any, Final
from uuid import UUID

from innkeeper import clock
from innkeeper.actions.admin import audit
from innkeeper.actions.protection import erasure
from innkeeper.actions.protection.erasure import GDPR_DELETE, Receipt
from innkeeper.errors import Unknown
from innkeeper.resources.guests import Guest
from innkeeper.resources.kinds import iso
from innkeeper.store.work import Row, Work

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
        for place in erasure.places():
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


async def waiting(work: Work) -> list[Row]:
    """Digests that files at rest are still to be searched for, and since when."""
    return await work.all("privacy.erased")


async def searched(work: Work, rows: list[Row]) -> None:
    """Files at rest were searched for those digests."""
    await work.run(
        "privacy.forget_erased",
        digests=[row["digest"] for row in rows],
        times=[row["erased_at"] for row in rows],
    )


async def _root(work: Work, guest: UUID) -> UUID:
    row = await work.one("privacy.root", ref=guest)
    if row is None:
        raise Unknown(Guest.singular, guest)
    root: UUID = row["root"]
    return root
