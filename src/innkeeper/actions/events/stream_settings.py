"""What events are decided by: points of sale and aliases of sites, and their changes.

Each process remembers them. Whoever writes by them compares their version in the very statement
(`events.append`, `quarantine.keep`), so a change is in force as soon as it is committed.
"""

from datetime import timedelta

from innkeeper.actions.admin import audit
from innkeeper.errors import OperatorError
from innkeeper.rules.audited import SITE
from innkeeper.rules.stream import ConfiguredPointOfSale, StreamConfiguration
from innkeeper.store.work import Row, Work

_cache: dict[str, StreamConfiguration] = {}


async def fetch_cached(work: Work) -> StreamConfiguration:
    """The configuration as this process last read it."""
    known = _cache.get(work.workspace)
    return await read(work) if known is None else known


async def read(work: Work) -> StreamConfiguration:
    """The configuration as it is now."""
    row = await work.one("events.settings")
    if row is None:
        raise RuntimeError(f"workspace {work.workspace} has no stream settings")
    found = _cache[work.workspace] = StreamConfiguration(
        version=row["version"],
        points_of_sale={
            one["name"]: ConfiguredPointOfSale(
                one["name"], timedelta(minutes=one["minutes"]), one["test"]
            )
            for one in row["points_of_sale"]
        },
        sites=row["sites"],
    )
    return found


async def list_site_aliases(work: Work) -> list[Row]:
    """Every alias of a site, by site."""
    return await work.all("stream_settings.sites")


async def set_site_alias(work: Work, site: str, point_of_sale: str) -> None:
    """Let a site of the edge paths mean a point of sale; raises OperatorError without it."""
    async with work.transaction():
        before = await work.one("stream_settings.lock_site", site=site)
        row = await work.one("stream_settings.name_site", site=site, point_of_sale=point_of_sale)
        if row is None:
            raise OperatorError(f"There is no point of sale {point_of_sale}.")
        await audit.record(work, SITE, "name", before, row)


async def delete_site_alias(work: Work, site: str) -> None:
    """Take an alias of a site away; raises OperatorError for an unknown one."""
    async with work.transaction():
        row = await work.one("stream_settings.forget_site", site=site)
        if row is None:
            raise OperatorError(f"There is no alias of a site {site}.")
        await audit.record(work, SITE, "remove", row, None)
