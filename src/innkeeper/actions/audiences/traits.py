"""Computed traits: define them, and compute them for one guest."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from innkeeper import clock
from innkeeper.errors import Unknown
from innkeeper.lake.guest_rows import guest_rows
from innkeeper.resources.base import Record
from innkeeper.rules import traits as rules
from innkeeper.rules.matching import Guest, rows_that_meet
from innkeeper.rules.traits import BUILTIN, IN_CURRENCY, Traits
from innkeeper.store.work import Json, Work


async def known(work: Work) -> Traits:
    """Every trait there is."""
    rows = await work.all("traits.list")
    return Traits({row["name"]: rules.read(row["name"], row["definition"]) for row in rows})


async def list_all(work: Work) -> list[Record]:
    """The built-in traits, then those defined here."""
    built = [
        {"name": trait.name, "type": trait.type, "doc": trait.doc, "builtin": True}
        for trait in BUILTIN.values()
    ]
    built += [
        {"name": f"{trait.name}.EUR", "type": trait.type, "doc": trait.doc, "builtin": True}
        for trait in IN_CURRENCY.values()
    ]
    own = []
    for row in await work.all("traits.list"):
        trait = rules.read(row["name"], row["definition"])
        own.append({**row, "type": trait.type, "builtin": False})
    return built + own


async def put(work: Work, name: str, body: Mapping[str, Any]) -> Record:
    """Define a trait, or define it anew; raises `Invalid`."""
    trait = rules.read(name, body)
    row = await work.one(
        "traits.put", name=name, definition=Json(dict(body)), actor=work.actor, now=clock.now()
    )
    if row is None:
        raise RuntimeError(f"trait {name} was not stored")
    return {**row, "type": trait.type, "builtin": False}


async def delete(work: Work, name: str) -> None:
    """Remove a trait; raises `Unknown`."""
    if not await work.run("traits.delete", name=name):
        raise Unknown("Trait", name)


async def of_guest(work: Work, guest: UUID) -> dict[str, Any]:
    """Every trait of a guest as it is now, in each currency of its orders; raises `Unknown`."""
    rows = await guest_rows(work, guest)
    if rows is None:
        raise Unknown("Guest", guest)
    every = await known(work)
    codes = sorted({str(row["core_currency_code"]) for row in rows.of("orders")})
    names = [*every, *(f"{name}.{code}" for name in IN_CURRENCY for code in codes)]
    names = [name for name in names if name in every]
    return {name: of_rows(every, name, rows) for name in names}


def of_rows(every: Traits, name: str, guest: Guest) -> Any:
    """A trait of a guest whose rows are known."""
    trait = every.trait(name)
    return rules.computed(trait, rows_that_meet(trait.group, guest))
