"""What erasure leaves to the background: files at rest."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

from innkeeper.actions.admin import audit
from innkeeper.actions.admin.background import try_each
from innkeeper.actions.identity import rulebook
from innkeeper.actions.privacy import erasure, privacy
from innkeeper.jobs.registry import scheduled
from innkeeper.lake import compaction
from innkeeper.store.files import Files
from innkeeper.store.work import Work
from innkeeper.wire.privacy.upload_search import search_exports, search_uploads

log = logging.getLogger("innkeeper.jobs")
_PAUSE_SECONDS: Final = 1.0
_ATTEMPTS: Final = 60


# On a schedule rather than queued by each erasure: one that commits while a search is under way
# is found by the next, and erasures do not wait for each other to queue it.
@scheduled("* * * * * */5", "privacy.files")
async def search(work: Work) -> None:
    """Take who was erased out of uploads, exports and the lake."""
    await search_files(work)


async def search_files(work: Work) -> dict[str, int]:
    """Search everything at rest; how many files changed, by place."""
    wanted = await privacy.wanted(work)
    if wanted is None:
        return {}
    files = Files.of(work.settings)
    searches: dict[str, Callable[[], Awaitable[int]]] = {
        "uploads": partial(_search_uploads, work, files, wanted.digests),
        "exports": partial(search_exports, work),
        "lake": partial(_search_lake, work),
        **{
            place.name: partial(place.files, work, wanted.guests)
            for place in erasure.targets()
            if place.files is not None
        },
    }
    found: dict[str, int] = {}

    async def look_in(name: str) -> None:
        if many := await searches[name]():
            found[name] = many

    # A place that cannot be searched now keeps nobody in the others; all are searched again.
    await try_each(searches, look_in, "searching files for erased guests")
    await audit.note(work, "privacy.files", None, changed=found)
    await privacy.searched(work, wanted)
    return found


async def _search_uploads(work: Work, files: Files, digests: frozenset[bytes]) -> int:
    return await search_uploads(work, files, await rulebook.read(work), digests)


async def _search_lake(work: Work) -> int:
    """Write the lake's files again without who was erased; how many were dropped."""
    for _ in range(_ATTEMPTS):
        done = await compaction.erase(work)
        if done is not None:
            return done.dropped
        # Another process compacts: what it read before the erasure is compacted again.
        await asyncio.sleep(_PAUSE_SECONDS)
    raise TimeoutError("the lake was busy for too long")
