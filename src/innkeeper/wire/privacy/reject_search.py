"""Remove erased guests from the stored rows that imports refused.

A row, or all rows of an order, stays only if its identifiers or e-mail addresses name people, and
none of them an erased guest. A row that names nobody may be about anybody.
"""

import asyncio
import csv
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import IO, Any, Final
from uuid import UUID

from innkeeper.actions.admin.background import try_each
from innkeeper.actions.bulk import batches
from innkeeper.actions.privacy import block_list
from innkeeper.errors import OperatorError
from innkeeper.rules.identity_keys import email_key, identifier_key
from innkeeper.rules.identity_rules import IdentityRules
from innkeeper.rules.normalize import is_damaged
from innkeeper.rules.placeholders import identifies_nobody
from innkeeper.rules.spreadsheets import unguarded
from innkeeper.store.files import Files
from innkeeper.store.readers import MAX_LINE
from innkeeper.store.work import Row, Work
from innkeeper.wire.bulk.batch_files import Layout
from innkeeper.wire.bulk.mapping import ColumnMapping, by_name
from innkeeper.wire.bulk.order_rows import order_runs

_EMAIL: Final = ("email", "emails")
IsErased = Callable[[UUID], bool]


async def search_rejects(
    work: Work, files: Files, book: IdentityRules, erased: frozenset[bytes]
) -> int:
    """Remove erased guests from the files of refused rows; returns how many files changed.

    A file that is being written is deleted.
    """
    changed = 0
    digest_of = await block_list.digester(work)

    def is_erased(key: UUID) -> bool:
        return digest_of(key) in erased

    async def search(ref: UUID) -> None:
        nonlocal changed
        batch = await batches.fetch(work, ref)
        changed += await _search(work, files, batch, partial(_stays, book.never, is_erased))

    for ref in await batches.forget_unfinished_rejects(work):
        await asyncio.to_thread(files.remove, batches.rejects_name(work.workspace, ref))
        changed += 1
    refs = await batches.list_with_rejects(work)
    await try_each(refs, search, "searching refused rows for erased guests")
    return changed


Stays = Callable[[ColumnMapping, list[Mapping[str, str]]], bool]


async def _search(work: Work, files: Files, batch: Row, stays: Stays) -> bool:
    """Rewrite the refused rows of an import without those that do not stay; whether any did not."""
    name = batches.rejects_name(work.workspace, batch["ref"])
    try:
        async with files.fetched(name) as path:
            with files.staged() as staged:
                mapping = Layout.of(batch, tracking=False).mapping
                arguments = (path, staged, batch["entity"], mapping, stays)
                left, removed = await asyncio.to_thread(_rewrite, *arguments)
                if left and removed:
                    await asyncio.to_thread(files.put, name, staged)
    except FileNotFoundError:
        left, removed = 0, 1
    if removed and not left:
        await batches.forget_rejects(work, batch["ref"])
        await asyncio.to_thread(files.remove, name)
    return removed > 0


def _rewrite(
    path: Path, staged: IO[bytes], entity: str, mapping: ColumnMapping | None, stays: Stays
) -> tuple[int, int]:
    """Write the rows that stay; returns how many orders or rows stay, and how many do not."""
    csv.field_size_limit(MAX_LINE)
    left = removed = 0
    with (
        path.open(encoding="utf-8", newline="") as source,
        open(staged.fileno(), "w", encoding="utf-8", newline="", closefd=False) as out,
    ):
        reader = csv.DictReader(source)
        columns = reader.fieldnames or []
        writer = csv.DictWriter(out, columns)
        writer.writeheader()
        if mapping is None or not mapping.columns:
            mapping = _named(entity, columns)
        for rows in _units(reader, mapping):
            if stays(mapping, rows):
                writer.writerows(rows)
                left += 1
            else:
                removed += 1
    return left, removed


def _named(entity: str, columns: Iterable[str]) -> ColumnMapping:
    try:
        return by_name(entity, columns)
    except OperatorError:
        return ColumnMapping({})


def _units(reader: Iterable[Any], mapping: ColumnMapping) -> Iterator[list[Mapping[str, str]]]:
    """Yield the rows of one order together, else each row."""
    if not mapping.group:
        yield from ([row] for row in reader)
        return
    for _, run in order_runs(enumerate(reader), mapping.group):
        yield [row for _, row in run]


def _stays(
    never: Collection[str],
    is_erased: IsErased,
    mapping: ColumnMapping,
    rows: list[Mapping[str, str]],
) -> bool:
    """Whether rows name people, and none who was erased."""
    cells = [unguarded(cell).strip() for row in rows for cell in row.values() if cell]
    addresses = [cell for cell in cells if "@" in cell]
    keys = [*map(email_key, addresses), *(identifier_key("email", each) for each in addresses)]
    own = [
        key
        for row in rows
        for column, targets in mapping.columns.items()
        for target in targets
        for key in _keys_of(target.removeprefix("contact."), row.get(column) or "", never)
    ]
    return bool(own) and not any(map(is_erased, {*keys, *own}))


def _keys_of(target: str, cell: str, never: Collection[str]) -> list[UUID]:
    """Return the keys of a cell of identifiers or e-mail addresses that can be read."""
    value = unguarded(cell).strip()
    where, _, provider = target.partition(".")
    if not value or is_damaged(value) or identifies_nobody(value, never):
        return []
    if "email" in (where, provider.lower()) and "@" not in value:
        return []
    if where == "identifiers" and provider:
        return [identifier_key(provider, value)]
    return [email_key(value)] if where in _EMAIL else []
