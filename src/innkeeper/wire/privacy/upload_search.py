"""Search stored files for erased guests: unfinished uploads, and finished exports."""

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import msgspec

from innkeeper.actions.admin.background import try_each
from innkeeper.actions.bulk import batches, file_exports
from innkeeper.actions.identity import rulebook
from innkeeper.actions.privacy import block_list, privacy
from innkeeper.errors import OperatorError
from innkeeper.resources.base import Record
from innkeeper.rules import batch as rules
from innkeeper.rules.batch import BatchRecord
from innkeeper.rules.identity import identifying_keys
from innkeeper.rules.identity_rules import IdentityRules
from innkeeper.store.files import Files
from innkeeper.store.readers import Unreadable, ahead, is_gzip, unzipped
from innkeeper.store.work import Row, Work
from innkeeper.wire.bulk import batch_records
from innkeeper.wire.bulk.batch_files import Layout
from innkeeper.wire.bulk.file_formats import FIRST_LOOK, TABLES
from innkeeper.wire.bulk.mapping import mapping_of
from innkeeper.wire.bulk.presets import find_preset, preset_folders, read_presets
from innkeeper.wire.bulk.sample import read_json_sample, read_sample
from innkeeper.wire.bulk.suggestion import suggest
from innkeeper.wire.bulk.targets import is_target

GUESTS: Final = "guests"
CONTACT: Final = "contact."
ASK_AGAIN: Final = "somebody in this file was erased: upload it again without that person"


async def search_exports(work: Work) -> int:
    """Delete every file export and every file of rows that an import refused, since each may
    contain an erased guest; returns how many exports."""
    files = Files.of(work.settings)
    for ref in await batches.forget_rejects(work):
        await asyncio.to_thread(files.remove, batches.rejects_name(work.workspace, ref))
    exports = [row["ref"] for row in await file_exports.list_with_files(work)]
    await try_each(exports, partial(file_exports.delete_file, work), "removing an export")
    return len(exports)


async def search_uploads(
    work: Work, files: Files, book: IdentityRules, erased: frozenset[bytes]
) -> int:
    """Remove erased guests from unfinished uploads; returns the number of changed uploads.

    Their lines become empty, so that other lines keep their numbers. An upload that is not JSON
    lines ends with an error that requests a new upload.
    """
    changed = 0

    async def search(ref: UUID) -> None:
        nonlocal changed
        async with work.transaction():
            # A job that applies it waits for this lock, then opens the file again.
            batch = await batches.lock_batch(work, ref)
            if batch["finished_at"] is None:
                changed += await _search(work, files, batch, book, erased)

    refs = await batches.list_stored(work) if erased else []
    await try_each(refs, search, "searching an upload for erased guests")
    return changed


async def find_in_uploads(work: Work, files: Files, guest: UUID) -> list[dict[str, Any]]:
    """Return the records of unfinished uploads on a guest or on guests merged into it."""
    book = await rulebook.read(work)
    keys = await block_list.digests_of(work, await privacy.keys_of(work, guest))
    records: list[dict[str, Any]] = []
    for ref in await batches.list_stored(work):
        batch = await batches.fetch(work, ref)
        for entry in await _matching(work, files, batch, book, frozenset(keys)):
            record = msgspec.to_builtins(entry.what, builtin_types=(Decimal,))
            records.append({"batch": ref, "line": entry.line, "record": record})
    return records


async def _search(
    work: Work, files: Files, batch: Row, book: IdentityRules, erased: frozenset[bytes]
) -> bool:
    records = await _matching(work, files, batch, book, erased)
    if not records:
        return False
    name = batches.upload_name(work.workspace, batch["ref"])
    numbers = frozenset(entry.line for entry in records)
    async with files.fetched(name) as path:
        layout = await _prepared(work, batch, path, book)
        if not layout.is_of_utf8_lines:
            files.remove(name)
            await batches.mark_rewritten(work, batch["ref"])
            await batches.set_state(work, batch["ref"], batches.ERROR, fault=ASK_AGAIN)
            return True
        with files.staged() as staged:
            await asyncio.to_thread(_write_without, path, numbers, staged)
            await asyncio.to_thread(files.put, name, staged)
    await batches.mark_rewritten(work, batch["ref"])
    return True


async def _matching(
    work: Work, files: Files, batch: Row, book: IdentityRules, searched_keys: frozenset[bytes]
) -> list[BatchRecord]:
    """Return the records of an upload about people with one of the `searched_keys` keys.

    A file that cannot be read is never applied: it is deleted with its batch.
    """
    records: list[BatchRecord] = []
    name = batches.upload_name(work.workspace, batch["ref"])
    try:
        async with files.fetched(name) as path:
            layout = await _prepared(work, batch, path, book)
            with layout.opened(path) as source:
                async for chunk in ahead(layout.chunks(source)):
                    for entry in chunk.items:
                        keys = await block_list.digests_of(work, _keys(entry, book))
                        if not searched_keys.isdisjoint(keys):
                            records.append(entry)
    except (Unreadable, FileNotFoundError, OperatorError):
        return []
    return records


async def _prepared(work: Work, batch: Row, path: Path, book: IdentityRules) -> Layout:
    """Return the layout of an upload's records; raises `Unreadable` and OperatorError."""
    layout = Layout.of(batch, tracking=True)
    if batch["state"] != batches.UPLOADING:
        return await asyncio.to_thread(layout.prepared, path)
    folders = preset_folders(work.settings.data, work.workspace)
    return await asyncio.to_thread(_suggested, layout, path, book, folders)


def _suggested(layout: Layout, path: Path, book: IdentityRules, folders: Iterable[Path]) -> Layout:
    """Return the layout of a file whose columns nobody has chosen yet; raises `Unreadable`.

    By the suggested mapping each row or contact is a guest, without cells that a field refuses.
    """
    layout, survey = layout.surveyed(path, limit=FIRST_LOOK)
    is_table = layout.form is not None and layout.form.format in TABLES
    sample = read_sample(layout, path) if is_table else read_json_sample(layout, path)
    preset = find_preset(sample.columns, layout.entity, read_presets(folders))
    if layout.entity == "events" or not (is_table or preset):
        return layout
    first = suggest(layout.entity, sample.columns, sample.rows, book, preset, survey)
    columns = {
        column: [
            each for target in targets if is_target(GUESTS, each := target.removeprefix(CONTACT))
        ]
        for column, targets in first.columns.items()
    }
    named = {column: targets for column, targets in columns.items() if targets}
    mapping = mapping_of(GUESTS, {"columns": named, "refuse": "cell"})
    return replace(layout, entity=GUESTS, mapping=mapping)


def _write_without(path: Path, numbers: frozenset[int], staged: Any) -> None:
    from isal import igzip  # noqa: PLC0415 - most processes write no files

    opener: Any = igzip.open
    with path.open("rb") as file:
        compressed = is_gzip(file)
        stream = unzipped(file) if compressed else file
        out = opener(staged, "wb") if compressed else staged
        for number, line in enumerate(stream, 1):
            out.write(b"\n" if number in numbers else line)
        if out is not staged:
            out.close()


def _keys(entry: BatchRecord, book: IdentityRules) -> list[UUID]:
    """Return the keys of every person of a record."""
    return [key for person in _people(entry) for key in identifying_keys(person, book)]


def _people(entry: BatchRecord) -> list[Record]:
    match entry.what:
        case rules.GuestWrite(changes=changes):
            return [changes]
        case rules.GuestDelete(person=person):
            return [person]
        case rules.OrderWrite(contact=contact, contacts=contacts, consumers=consumers):
            return [one.changes for one in (contact, *contacts, *consumers)]
        case rules.GuestMigration(source=source, target=target):
            return [source, target]
        case rules.EventRecord(message=message):
            identifiers = message.get("identifiers")
            return [{"identifiers": batch_records.identifiers_in(identifiers)}]
    return []
