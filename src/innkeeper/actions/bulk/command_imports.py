"""The imports that commands run: start or continue them, and end those whose command was killed."""

from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from innkeeper import clock
from innkeeper.actions.bulk import batches
from innkeeper.actions.bulk.batches import Holds
from innkeeper.errors import Conflict
from innkeeper.rules.identity_keys import digest
from innkeeper.store.work import Row, Work

SILENCE_LIMIT: Final = timedelta(minutes=2)
"""Time without progress after which a command's import is checked for a killed command."""
INTERRUPTED: Final = (
    "The command that imported this file stopped after line {line}, before the end of the file. "
    "The records up to that line are imported. Run the same command again to import the rest."
)
INTERRUPTED_STREAM: Final = (
    "The command that imported this stopped after line {line}, before the end of its input. The "
    "records up to that line are imported. Run it again from the start; they will not change."
)


async def start(
    work: Work, ref: UUID, *, entity: Holds, source: Any, file_options: dict[str, Any]
) -> Row:
    """Start the import of a local file, or continue the interrupted import of the same file.

    `source` identifies the file (JSON); None for an input that cannot be read again.
    """
    key = _source_key(work, entity, source)
    async with work.transaction():
        row = None
        if key is not None:
            row = await work.one("batches.of_source", source_key=key)
        if row is not None and row["finished_at"] is not None:
            row = await work.one("batches.reopen", ref=row["ref"])
        row = row or await batches.insert(
            work, ref, entity, batches.PROCESSING, file_options, source_key=key
        )
        if row is None:
            raise Conflict(f"Import {ref} already exists.")
        return row


async def abandon(work: Work, entity: Holds, source: Any) -> None:
    """Abandon the unfinished import of a file, so that the next one starts at its beginning."""
    key = _source_key(work, entity, source)
    row = await work.one("batches.of_source", source_key=key)
    if row is not None:
        await work.run("batches.abandon", ref=row["ref"])


def _source_key(work: Work, entity: Holds, source: Any) -> UUID | None:
    """Return the key that identifies an interrupted import of the same source; None without one."""
    return None if source is None else digest("import", work.workspace, entity, repr(source))


async def end_interrupted(work: Work) -> int:
    """Finish the imports whose command was killed; return their number.

    They are silent and unlocked. The same command continues them (`start`).
    """
    ended = 0
    for row in await work.all("batches.silent", before=clock.now() - SILENCE_LIMIT):
        if not await batches.try_lock(work, row["ref"]):
            continue
        try:
            fault = INTERRUPTED.format(line=row["line"])
            if row["source_key"] is None:
                fault = INTERRUPTED_STREAM.format(line=row["line"])
            ended += await work.run("batches.interrupt", ref=row["ref"], fault=fault)
        finally:
            await batches.unlock(work, row["ref"])
    return ended
