"""The fixed types of the attributes of `ext`, for each event type (stream-api.md 4.3)."""

from typing import Any, Final

from innkeeper.resources.events import MAX_EXT
from innkeeper.rules.stream import kind_of
from innkeeper.store.work import Work

CACHE_SIZE: Final = 1000
"""Maximum number of cached event types of a process; when it is exceeded, the cache is cleared."""
_cache: dict[tuple[str, str], dict[str, str]] = {}


async def fetch_kinds(work: Work, type_: str, ext: Any) -> dict[str, str]:
    """Return the type of each attribute of `ext`; the first event with an attribute fixes it."""
    if not isinstance(ext, dict):
        return {}
    kinds = {name: kind for name, value in ext.items() if (kind := kind_of(value))}
    key = (work.workspace, type_)
    cached = _cache.get(key, {})
    # A type that differs from the cached one is read again: the workspace may have been reset.
    unsure = {name: kind for name, kind in kinds.items() if cached.get(name) != kind}
    if not unsure:
        return cached
    unsure = dict(list(unsure.items())[: MAX_EXT * 2])
    names = list(unsure)
    await work.run("events.learn_kinds", type=type_, names=names, kinds=list(unsure.values()))
    rows = await work.all("events.kinds", type=type_, names=names)
    if len(_cache) >= CACHE_SIZE:
        _cache.clear()
    merged = _cache[key] = {**cached, **{row["name"]: row["kind"] for row in rows}}
    if len(merged) > CACHE_SIZE:
        # The names differ in each event: caching them is useless.
        del _cache[key]
    return merged
