"""Bringing files of exports to where they are wanted: a folder, object storage, a web address.

What was taken is noted batch by batch, so a delivery that is cut off goes on where it stopped. A
destination that is down delays only its own deliveries.
"""

import asyncio
import gzip
import shutil
from collections.abc import Iterator
from datetime import timedelta
from itertools import islice
from typing import Any, Final
from uuid import UUID

from innkeeper import clock
from innkeeper.actions.admin import background
from innkeeper.actions.audiences import webhooks
from innkeeper.actions.audiences.audience_exports import fetch
from innkeeper.actions.audiences.export_runs import DELIVER
from innkeeper.resources.base import Record
from innkeeper.store.files import Files
from innkeeper.store.work import Work

BATCH: Final = 500
"""Records in one request; the next waits for its answer."""
ATTEMPTS: Final = 20
FIRST_PAUSE: Final = timedelta(seconds=10)
LONGEST_PAUSE: Final = timedelta(hours=1)


async def deliver(work: Work, execution: UUID) -> bool:
    """Deliver what has not been; whether all of it has now. What fails is tried again later."""
    found = await work.one("exports.find_execution", parts=_EXECUTION, ref=execution)
    if found is None or found["delivered_at"] is not None:
        return True
    row = await fetch(work, found["export_ref"])
    if row["destination"] is None:
        return True
    error = None
    for file in await work.all("exports.files", execution=execution):
        error = await _deliver(work, row, execution, file)
        if error is not None:
            break
    done = await work.one(
        "exports.delivered",
        ref=execution,
        delivered_at=None if error else clock.now(),
        error=error,
    )
    attempts = done["delivery_attempts"] if done else ATTEMPTS
    if error and attempts < ATTEMPTS:
        pause = min(FIRST_PAUSE * 2 ** min(attempts - 1, 20), LONGEST_PAUSE)
        await background.defer(work, DELIVER, at=clock.now() + pause, execution=str(execution))
    return error is None


async def _deliver(work: Work, row: Record, execution: UUID, file: Record) -> str | None:
    """Deliver one file; what was wrong, or None."""
    if file["delivered"] >= max(file["rows"], 1):
        return None
    files = Files.of(work.settings)
    destination = row["destination"]
    if destination["type"] == "FOLDER":
        name = f"{row['friendly_id']}/{execution}/{file['name'].rpartition('/')[2]}"
        error = await asyncio.to_thread(_copy, files, file["name"], destination["url"], name)
        return error or await _note(work, execution, file, max(file["rows"], 1))
    done = file["delivered"]
    lines = _lines(files, file["name"], done)
    while batch := await asyncio.to_thread(lambda: list(islice(lines, BATCH))):
        error = await _post(row, execution, file, done, batch)
        done += len(batch)
        error = error or await _note(work, execution, file, done)
        if error is not None:
            return error
    return None


async def _post(
    row: Record, execution: UUID, file: Record, done: int, batch: list[bytes]
) -> str | None:
    body = b"".join(batch)
    stamp = str(int(clock.now().timestamp()))
    headers = {
        "Content-Type": "application/x-ndjson",
        webhooks.SIGNATURE: webhooks.signature(row["webhook_secret"], stamp, body),
        # The same for a batch that is sent again: a receiver tells a repeat by it.
        "Idempotency-Key": f"{execution}-{file['number']}-{done}",
        "X-Innkeeper-Export": row["friendly_id"],
        "X-Innkeeper-Action": file["delta_action"] or "full",
    }
    url = row["destination"]["url"]
    return await asyncio.to_thread(webhooks.post, url, body, headers)


async def _note(work: Work, execution: UUID, file: Record, delivered: int) -> str | None:
    """Note how far it is; that another file is in its place now, which is delivered later."""
    noted = await work.run(
        "exports.delivering",
        execution=execution,
        number=file["number"],
        name=file["name"],
        delivered=delivered,
    )
    return None if noted else "somebody was erased meanwhile"


def _lines(files: Files, name: str, skip: int) -> Iterator[bytes]:
    with files.open(name) as source, gzip.open(source) as lines:
        yield from islice(lines, skip, None)


def _copy(files: Files, name: str, url: str, target: str) -> str | None:
    """Copy a file whole; a repeat writes the same again."""
    import fsspec  # noqa: PLC0415 - slow to import

    try:
        system, root = fsspec.core.url_to_fs(url)
        path = f"{root.rstrip('/')}/{target}"
        system.makedirs(path.rpartition("/")[0], exist_ok=True)
        half = f"{path}.half"
        with files.open(name) as source, system.open(half, "wb") as sink:
            shutil.copyfileobj(source, sink)
        system.mv(half, path)
    except Exception as fault:
        return f"{type(fault).__name__}: {fault}"[:500]
    return None


_EXECUTION: Final[dict[str, Any]] = {"execution": ("exports.execution",)}
