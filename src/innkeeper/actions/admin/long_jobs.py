"""Long jobs, whose progress users see: imports, exports, segments, identity rules, actions on
guests."""

from typing import Final

from innkeeper.resources.base import Record
from innkeeper.store.work import Work

KINDS: Final = (
    *("import", "undo", "export", "file_export", "segment", "identity_rules", "demo"),
    *("add_to_list", "remove_from_list", "erase"),
)
STATES: Final = ("waiting", "running", "done", "partly_done", "failed")
MOST_JOBS: Final = 100


async def list_newest(work: Work, limit: int) -> list[Record]:
    """List the newest jobs of each kind, the unfinished ones first.

    Each row has kind, ref, name, state, done and total (in records; null if unknown), error, times,
    and `unfinished`, the number of unfinished jobs.
    """
    return await work.all("long_jobs.list", limit=min(limit, MOST_JOBS))
