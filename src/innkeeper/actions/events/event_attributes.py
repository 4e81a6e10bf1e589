"""The types that attributes of `ext` keep, for each type of event (stream-api.md 4.3)."""

from typing import Any, Final

from innkeeper.resources.events import MAX_EXT
from innkeeper.rules.stream import kind_of
from innkeeper.store.work import Work

CACHE_SIZE: Final = 1000
"""Event types remembered by a process; one more starts over."""
_cache: dict[tuple[str, str], dict[str, str]] = {}


async def fetch_kinds(work: Work, type_: str, ext: Any) -> dict[str, str]:
    """The type of each attribute of `ext`, which the first event that had one decided."""
    if not isinstance(ext, dict):
        return {}
    sent = {name: kind for name, value in ext.items() if (kind := kind_of(value))}
    key = (work.workspace, type_)
    known = _cache.get(key, {})
    # One that differs is asked for again: the workspace may have been reset.
    asked = {name: kind for name, kind in sent.items() if known.get(name) != kind}
    if not asked:
        return known
    asked = dict(list(asked.items())[: MAX_EXT * 2])
    names = list(asked)
    await work.run("events.learn_kinds", type=type_, names=names, kinds=list(asked.values()))
    rows = await work.all("events.kinds", type=type_, names=names)
    if len(_cache) >= CACHE_SIZE:
        _cache.clear()
    merged = _cache[key] = {**known, **{row["name"]: row["kind"] for row in rows}}
    if len(merged) > CACHE_SIZE:
        # Names made up for each event: not worth remembering.
        del _cache[key]
    return merged
