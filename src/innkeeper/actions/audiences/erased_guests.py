"""Remove erased guests from segments, webhook messages and files of audience exports.

A file is written again under another name without the guests. One commit replaces the name in the
list of files; then the old file is deleted. If this is interrupted anywhere, the next search
continues from there.
"""

import asyncio
from collections import defaultdict
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from innkeeper.actions.audiences import segment_runs, segments, static_lists
from innkeeper.actions.audiences.export_runs import put_file
from innkeeper.actions.privacy.erasure import (
    Erasure,
    ErasureTarget,
    access_query,
    erase_query,
    register,
)
from innkeeper.lake.locks import EXPORTS, alone
from innkeeper.resources.exports import CSV
from innkeeper.store.files import Files
from innkeeper.store.temp_files import temporary
from innkeeper.store.work import Row, Work


async def remove_from_segments(work: Work, erasure: Erasure) -> int:
    """Delete stored memberships and queue `departed` notifications; returns how many."""
    deleted = await work.all("segments.forget_guests", guests=erasure.guests)
    by_segment: dict[UUID, list[UUID]] = defaultdict(list)
    for row in deleted:
        by_segment[row["segment_ref"]].append(row["guest_ref"])
    for segment, guests in by_segment.items():
        row = await segments.fetch(work, segment)
        await segment_runs.queue_notifications(work, row, "departed", guests)
    return len(deleted)


async def remove_from_files(work: Work, guests: list[UUID]) -> int:
    """Replace the files of audience exports that contain guests; returns how many."""
    async with alone(work, EXPORTS):
        # Exports that started before the erasure have finished, and their files are listed.
        rows_of_files = await work.all("exports.holding", guests=guests)
    count = 0
    for row in rows_of_files:
        key = {"execution": row["execution_ref"], "number": row["number"]}
        async with work.transaction():
            file = await work.one("exports.lock_file", guests=guests, **key)
            if file is None:
                continue
            await _remove_replaced(work, file, key)
            if file["positions"]:
                await _replace_file(work, file, key)
                count += 1
        file = await work.one("exports.lock_file", guests=guests, **key)
        if file is not None:
            await _remove_replaced(work, file, key)
    return count


async def _replace_file(work: Work, file: Row, key: dict[str, Any]) -> None:
    """Store a file without some rows under its next name, and list it in place of the old one."""
    files, name = Files.of(work.settings), next_name(file["name"])
    with temporary(work.settings, "export") as folder:
        target = folder / "file"
        await asyncio.to_thread(_write_without, work, files, file, target)
        size = target.stat().st_size
        await asyncio.to_thread(put_file, files, name, target)
    await work.run("exports.rewritten", name=name, bytes=size, positions=file["positions"], **key)


def _write_without(work: Work, files: Files, file: Row, target: Path) -> None:
    """Write a file to `target` without the rows at `file["positions"]`."""
    from innkeeper.lake.export_files import write_without  # noqa: PLC0415 - loads SQLGlot

    shape = file["shape"]
    form = str(shape.get("format", CSV)).upper()
    header = form == CSV and shape.get("header", True) is True
    with files.local(file["name"]) as source:
        write_without(work.settings, source, target, form, file["positions"], header=header)


async def _remove_replaced(work: Work, file: Row, key: dict[str, Any]) -> None:
    """Delete the file that a listed file replaced, if it still exists."""
    if file["replaced_name"] is not None:
        await asyncio.to_thread(Files.of(work.settings).remove, file["replaced_name"])
        await work.run("exports.replaced", **key)


def next_name(name: str) -> str:
    """Return the name of the file that replaces another: `0000.csv.gz`, `0000-1.csv.gz`, …"""
    folder, _, file = name.rpartition("/")
    stem, _, ending = file.partition(".")
    number, _, revision = stem.partition("-")
    return f"{folder}/{number}-{int(revision or 0) + 1}.{ending}"


TARGETS: Final = (
    ErasureTarget("segment_members", remove_from_segments, access_query("privacy.segments_of")),
    ErasureTarget("segment_samples", erase_query("segments.forget_samples")),
    ErasureTarget("webhook_messages", erase_query("webhooks.forget_guests")),
    ErasureTarget(
        "audience_exports",
        access=access_query("privacy.audience_exports_of"),
        files=remove_from_files,
    ),
    *static_lists.TARGETS,
)
for _target in TARGETS:
    register(_target)
