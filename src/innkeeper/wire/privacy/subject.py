"""All data about a person: from the database, and from unfinished uploads."""

from typing import Any
from uuid import UUID

from innkeeper.actions.privacy import privacy
from innkeeper.store.files import Files
from innkeeper.store.work import Work
from innkeeper.wire.privacy.upload_search import find_in_uploads


async def held_on(work: Work, guest: UUID) -> dict[str, Any]:
    """Return the result of `privacy.access` with `uploads`; raises `Unknown`."""
    subject = await privacy.access(work, guest)
    uploads = await find_in_uploads(work, Files.of(work.settings), guest)
    subject["held"]["uploads"] = uploads
    return subject
