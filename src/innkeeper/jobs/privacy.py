"""The task that removes erased guests from stored files: uploads, exports and the lake."""

import asyncio
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

_PAUSE_SECONDS: Final = 1.0
_ATTEMPTS: Final = 60


# Scheduled rather than queued by each erasure: an erasure that commits during a search is handled
# by the next search, and erasures do not wait for each other to queue one.
@scheduled("* * * * * */5", "privacy.files")
async def search(work: Work) -> None:
    """Remove erased guests from uploads, exports and the lake."""
    await search_files(work)


async def search_files(work: Work) -> dict[str, int]:
    """Search all stored files; return target name -> number of files changed."""
    erased = await privacy.list_pending(work)
    if erased is None:
        return {}
    files = Files.of(work.settings)
    searches: dict[str, Callable[[], Awaitable[int]]] = {
        "uploads": partial(_search_uploads, work, files, erased.digests),
        "exports": partial(search_exports, work),
        "lake": partial(_search_lake, work),
        **{
            target.name: partial(target.files, work, erased.guests)
            for target in erasure.targets()
            if target.files is not None
        },
    }
    changed: dict[str, int] = {}

    async def search_target(name: str) -> None:
        if count := await searches[name]():
            changed[name] = count

    # A target that fails does not stop the others; then all of them are searched again.
    await try_each(searches, search_target, "searching files for erased guests")
    await audit.note(work, "privacy.files", None, changed=changed)
    await privacy.mark_searched(work, erased)
    return changed


async def _search_uploads(work: Work, files: Files, digests: frozenset[bytes]) -> int:
    return await search_uploads(work, files, await rulebook.read(work), digests)


async def _search_lake(work: Work) -> int:
    """Rewrite the lake's files without erased guests; return how many files were dropped."""
    for _ in range(_ATTEMPTS):
        done = await compaction.erase(work)
        if done is not None:
            return done.dropped
        # Another process is compacting, and may have read files before the erasure: try again.
        await asyncio.sleep(_PAUSE_SECONDS)
    raise TimeoutError("the lake was busy for too long")
