"""Points of sale of a workspace, and its settings as a client reads them."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from innkeeper.actions.admin import audit
from innkeeper.errors import Conflict, OperatorError, existing
from innkeeper.resources.base import Changes, Record
from innkeeper.resources.configuration import DEFAULT_TIMEOUT, PointOfSale
from innkeeper.rules.audited import POINT_OF_SALE
from innkeeper.rules.identity_keys import digest
from innkeeper.rules.versions import Expected
from innkeeper.store.work import Work

DATA_MODEL: Final = "2.1"


async def points_of_sale(work: Work) -> list[Record]:
    """List every point of sale, by name."""
    return await work.all("points_of_sale.list")


async def create_point_of_sale(work: Work, changes: Changes) -> Record:
    """Create a point of sale; 409 if the name exists."""
    created: Record = {name: changes.get(name) for name in PointOfSale.fields}
    created["timeout_minutes"] = created["timeout_minutes"] or DEFAULT_TIMEOUT
    created["test"] = created["test"] or None
    async with work.transaction():
        if not await work.run("points_of_sale.create", **created):
            raise Conflict(f"Point of sale {created['name']} already exists.")
        await audit.record(work, POINT_OF_SALE, "create", None, created)
    return created


def version_of(point: Record) -> str:
    """Return the version of a point of sale, which changes with the fields that pages change."""
    names = ("market", "brand", "language", "timeout_minutes")
    return digest("point of sale", *(str(point[name]) for name in names)).hex


async def change_point_of_sale(
    work: Work,
    name: str,
    timeout_minutes: int | None = None,
    test: bool | None = None,
    texts: Mapping[str, str] = MappingProxyType({}),
    expected: Expected | None = None,
) -> Record:
    """Change the timeout of a point of sale, whether it is for tests, or some of the `texts`
    market, brand and language, of which an empty one is cleared.

    Raises OperatorError if there is none, and `Outdated` if its `version_of` is not the expected.
    """
    async with work.transaction():
        before = await work.one("points_of_sale.lock", name=name)
        if before is not None and expected is not None:
            expected.check(version_of(before))
        row = await work.one(
            "points_of_sale.change",
            name=name,
            timeout_minutes=timeout_minutes,
            test=test,
            market=texts.get("market"),
            brand=texts.get("brand"),
            language=texts.get("language"),
        )
        if row is None:
            raise OperatorError(f"There is no point of sale {name}.")
        await audit.record(work, POINT_OF_SALE, "change", before, row)
    return row


async def delete_point_of_sale(work: Work, name: str) -> None:
    """Delete a point of sale; raises `Unknown`."""
    async with work.transaction():
        stored = await work.one("points_of_sale.delete", name=name)
        row = existing(stored, PointOfSale.singular, name)
        await audit.record(work, POINT_OF_SALE, "delete", row, None)


async def settings(work: Work) -> dict[str, Any]:
    """Return the settings of the workspace that a client's configuration request reads."""
    return {
        "client_key": work.actor,
        "name": work.workspace,
        "default_timeout": DEFAULT_TIMEOUT,
        "data_model": DATA_MODEL,
    }
