"""Erased guests taken out of segments, of messages about them, and of files of audience exports.

A file is written again without them under another name, which its list takes in one commit; then
the old one is removed. Cut off anywhere, the next search goes on from there.
"""

import asyncio
from collections import defaultdict
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from innkeeper.actions.audiences import segment_runs, segments
from innkeeper.actions.audiences.export_runs import put_file
from innkeeper.actions.privacy.erasure import Erasure, ErasureTarget, deletes, register, rows
from innkeeper.lake.locks import EXPORTS, alone
from innkeeper.resources.exports import CSV
from innkeeper.store.files import Files
from innkeeper.store.temp_files import temporary
from innkeeper.store.work import Row, Work


async def remove_from_segments(work: Work, what: Erasure) -> int:
    """Take guests out of stored memberships, and tell who is told of leaving; how many."""
    left = await work.all("segments.forget_guests", guests=what.guests)
    by_segment: dict[UUID, list[UUID]] = defaultdict(list)
    for row in left:
        by_segment[row["segment_ref"]].append(row["guest_ref"])
    for segment, guests in by_segment.items():
        row = await segments.fetch(work, segment)
        await segment_runs.queue_notifications(work, row, "departed", guests)
    return len(left)


async def remove_from_files(work: Work, guests: list[UUID]) -> int:
    """Write the files of audience exports that hold guests again without them; how many."""
    async with alone(work, EXPORTS):
        # Exports that began before the guests were erased have ended, and list their files.
        found = await work.all("exports.holding", guests=guests)
    cut = 0
    for row in found:
        key = {"execution": row["execution_ref"], "number": row["number"]}
        async with work.transaction():
            file = await work.one("exports.lock_file", guests=guests, **key)
            if file is None:
                continue
            await _remove_replaced(work, file, key)
            if file["places"]:
                await _replace_file(work, file, key)
                cut += 1
        file = await work.one("exports.lock_file", guests=guests, **key)
        if file is not None:
            await _remove_replaced(work, file, key)
    return cut


async def _replace_file(work: Work, file: Row, key: dict[str, Any]) -> None:
    files, name = Files.of(work.settings), next_name(file["name"])
    with temporary(work.settings, "export") as folder:
        target = folder / "file"
        await asyncio.to_thread(_write_without, work, files, file, target)
        size = target.stat().st_size
        await asyncio.to_thread(put_file, files, name, target)
    await work.run("exports.rewritten", name=name, bytes=size, places=file["places"], **key)


def _write_without(work: Work, files: Files, file: Row, target: Path) -> None:
    from innkeeper.lake.export_files import write_without  # noqa: PLC0415 - loads SQLGlot

    shape = file["shape"]
    form = str(shape.get("format", CSV)).upper()
    header = form == CSV and shape.get("header", True) is True
    with files.local(file["name"]) as source:
        write_without(work.settings, source, target, form, file["places"], header=header)


async def _remove_replaced(work: Work, file: Row, key: dict[str, Any]) -> None:
    if file["replaced"] is not None:
        await asyncio.to_thread(Files.of(work.settings).remove, file["replaced"])
        await work.run("exports.replaced", **key)


def next_name(name: str) -> str:
    """The name of the file in place of another: `0000.csv.gz`, `0000-1.csv.gz`, …"""
    folder, _, file = name.rpartition("/")
    stem, _, ending = file.partition(".")
    number, _, revision = stem.partition("-")
    return f"{folder}/{number}-{int(revision or 0) + 1}.{ending}"


TARGETS: Final = (
    ErasureTarget("segment_members", remove_from_segments, rows("privacy.segments_of")),
    ErasureTarget("segment_samples", deletes("segments.forget_samples")),
    ErasureTarget("webhook_messages", deletes("webhooks.forget_guests")),
    ErasureTarget(
        "audience_exports", access=rows("privacy.audience_exports_of"), files=remove_from_files
    ),
)
for _place in TARGETS:
    register(_place)
