"""Write the dump of this version that later versions must upgrade (CONTRIBUTING.md, a release).

Usage: python tests/store/upgrades/write_dump.py postgresql://…/an_empty_database
"""

import asyncio
import lzma
import sys
from pathlib import Path
from typing import Any

from innkeeper import __version__
from innkeeper.actions.audiences import segments
from innkeeper.actions.identity import rekeying
from innkeeper.actions.records import guests, orders
from innkeeper.actions.records.order_people import CONTACTS
from innkeeper.store import dumps
from innkeeper.store.database import Database


def person(name: str, **more: Any) -> dict[str, Any]:
    """A customer with an email address of her own."""
    identifiers = [{"provider": "email", "id": f"{name.lower()}@example.org"}]
    return {"guest_type": "customer", "first_name": name, "identifiers": identifiers, **more}


async def fill(dsn: str) -> None:
    """Three guests, an order with two contacts of whom one is new, and a segment."""
    await rekeying.upgrade(dsn)
    async with Database(dsn, pool_size=1) as database, database.work("live", "operator") as work:
        for name in ("Ann", "Bea", "Cian"):
            await guests.create(work, person(name, phone_numbers=["+353 86 123 4567"]))
        placed = {"reference_id": "order-1", "ordered_at": "2026-10-01T10:00:00.000Z"}
        order = await orders.create(work, {**placed, "price": 12.5, "currency_code": "EUR"})
        for name in ("Ann", "Dara"):
            await CONTACTS.create(work, order=order["ref"], changes=person(name))
        rules = [{"field": "firstName", "comparator": "is equal to", "values": ["Ann"]}]
        groups = [{"entity": "guest", "rules": rules}]
        await segments.create(work, {"name": "ann", "definition": {"filterGroups": groups}})


if __name__ == "__main__":
    asyncio.run(fill(sys.argv[1]))
    path = Path(__file__).with_name(f"{__version__}.dump")
    dumps.dump(sys.argv[1], path, lambda _: None)
    path.with_name(path.name + ".xz").write_bytes(lzma.compress(path.read_bytes(), preset=9))
    path.unlink()
