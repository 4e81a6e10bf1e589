"""The configuration of the stream API: points of sale and aliases of sites.

Each process caches it. A statement that relies on it compares its version (`events.append`,
`quarantine.store`), so a change is in force as soon as it is committed.
"""

from datetime import timedelta

from innkeeper.actions.admin import audit
from innkeeper.errors import OperatorError
from innkeeper.rules.audited import SITE
from innkeeper.rules.stream import ConfiguredPointOfSale, StreamConfiguration
from innkeeper.store.configuration_cache import STREAM_SETTINGS
from innkeeper.store.work import Row, Work


async def fetch_cached(work: Work) -> StreamConfiguration:
    """Return the configuration that this process read last; reads it the first time."""
    cached: StreamConfiguration | None = work.cache.get(STREAM_SETTINGS, work.workspace)
    return await read(work) if cached is None else cached


async def read(work: Work) -> StreamConfiguration:
    """Read the current configuration and cache it."""
    row = await work.row("events.settings")
    config = StreamConfiguration(
        version=row["version"],
        points_of_sale={
            point["name"]: ConfiguredPointOfSale(
                point["name"], timedelta(minutes=point["minutes"]), point["test"]
            )
            for point in row["points_of_sale"]
        },
        sites=row["sites"],
    )
    return work.cache.put(STREAM_SETTINGS, work.workspace, config)


async def list_site_aliases(work: Work) -> list[Row]:
    """List every alias of a site, by site."""
    return await work.all("stream_settings.sites")


async def set_site_alias(work: Work, site: str, point_of_sale: str) -> None:
    """Map a site of the edge paths to a point of sale; raises OperatorError if it is unknown."""
    async with work.transaction():
        before = await work.one("stream_settings.lock_site", site=site)
        row = await work.one("stream_settings.set_site", site=site, point_of_sale=point_of_sale)
        if row is None:
            raise OperatorError(f"There is no point of sale {point_of_sale}.")
        await audit.record(work, SITE, "name", before, row)


async def delete_site_alias(work: Work, site: str) -> None:
    """Delete an alias of a site; raises OperatorError for an unknown one."""
    async with work.transaction():
        row = await work.one("stream_settings.delete_site", site=site)
        if row is None:
            raise OperatorError(f"There is no alias of a site {site}.")
        await audit.record(work, SITE, "remove", row, None)
