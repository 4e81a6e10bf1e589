"""`innkeeper import sitecore FOLDER`: import the data that a tenant can export from the vendor."""

import json
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import typer

if TYPE_CHECKING:
    from uuid import UUID

    from innkeeper.cli.options import CommandContext
    from innkeeper.rules.transfers import MissingRecord, TransferCounts, TransferredRecord
    from innkeeper.store.work import Row, Work
    from innkeeper.wire.bulk.sitecore_folder import SitecoreFolder

    Transfer = Callable[[Work, Sequence[TransferredRecord], UUID | None], Awaitable[TransferCounts]]

MISSING_SUFFIX: Final = ".missing.ndjson"
_CHUNK: Final = 1000
_SHOWN: Final = 10
_MISSING: Final = "Records of the export are missing: the command has written a list of them."


def import_sitecore(
    context: "CommandContext",
    workspace: str,
    folder: Path,
    batches: Callable[[list[str]], Any],
    *,
    quiet: bool,
    as_json: bool,
) -> None:
    """Import a folder, print the counts of the source and of the workspace, and end with status 2
    unless they agree. `batches` imports batch files, where the folder has no data lake export."""
    from innkeeper.wire.bulk.sitecore_folder import read_folder

    source = read_folder(folder)
    for path in source.ignored[:_SHOWN]:
        print(f"innkeeper: {path} is not imported.", file=sys.stderr)
    transfer = _FolderTransfer(folder.resolve().name, source, quiet=quiet)
    missing_path = folder.resolve().with_name(folder.resolve().name + MISSING_SUFFIX)
    with transfer.report(missing_path):
        context.run(workspace, transfer.run)
    if source.batches and not source.entities:
        batches([str(path) for path in source.batches])
    transfer.show(missing_path, as_json=as_json)
    if not transfer.counts.agree:
        raise typer.Exit(2)


class _FolderTransfer:
    """The transfer of one folder, with its counts."""

    def __init__(self, name: str, source: "SitecoreFolder", *, quiet: bool) -> None:
        from innkeeper.rules.transfers import TransferCounts

        self.name = name
        self.source = source
        self.batch: Row | None = None
        """The import that it is stored as; None for a folder without a data lake export."""
        self.counts = TransferCounts()
        self._quiet = quiet
        self._missing = 0
        self._write_missing: Callable[[MissingRecord], object] = self.counts.missing.append

    @contextmanager
    def report(self, path: Path) -> Iterator[None]:
        """Write the missing records to a file while they are found; without any it is deleted."""
        with path.open("w", encoding="utf-8") as file:

            def write(missing: "MissingRecord") -> None:
                file.write(json.dumps(missing.line()) + "\n")
                self._missing += 1
                if len(self.counts.missing) < _SHOWN:
                    self.counts.missing.append(missing)

            self._write_missing = write
            yield
        if not self.counts.missing:
            path.unlink()

    async def run(self, work: "Work") -> None:
        """Transfer everything, as an import that can be undone."""
        from innkeeper.actions.bulk import batches, imports
        from innkeeper.rules.transfers import RECORDS
        from innkeeper.store.memory import collect_seldom

        collect_seldom()
        if not self.source.entities:
            await self._configure(work)
            return
        options = {"name": self.name, "format": "parquet", "compressed": False, "mapping": None}
        async with imports.start_local(work, batches.SITECORE, None, options) as row:
            self.batch = row
            before = await _settings(work)
            try:
                await self._configure(work)
                await _mark_changed_settings(work, row["ref"], before)
                await self._transfer(work)
            finally:
                # Also of an import that fails; sessions and events add points of sale.
                if not work.connection.closed:
                    await _mark_changed_settings(work, row["ref"], before)
            left_out = {f"{of}: {fault}": many for (of, fault), many in self.counts.faults.items()}
            written = {name: many for name, many in self.counts.target.items() if name in RECORDS}
            await batches.record_counts(work, row, written, self._missing, left_out)
            if self._missing:
                await batches.set_state(work, row["ref"], batches.ERROR, fault=_MISSING)
            else:
                await batches.finish(work, row["ref"])

    async def _transfer(self, work: "Work") -> None:
        """Transfer all records, parents before those that belong to them."""
        from innkeeper.actions.bulk import transfers
        from innkeeper.wire.bulk.sitecore import is_retired
        from innkeeper.wire.bulk.sitecore_folder import migrations_of

        await self._all(work, "guests", transfers.transfer_guests, lambda row: not is_retired(row))
        await transfers.add_targets(work, migrations_of(self.source.batches))
        await self._all_retired(work)
        await self._all(work, "orders", transfers.transfer_orders)
        await self._all(work, "order_items", transfers.transfer_items)
        await self._all(work, "orders", transfers.transfer_consumers, called="order consumers")
        await self._all(work, "sessions", transfers.transfer_sessions)
        await self._all(work, "events", transfers.transfer_events)

    async def _configure(self, work: "Work") -> None:
        """Transfer identity rules and points of sale, before anything is indexed by them."""
        from innkeeper.actions.bulk import transfers
        from innkeeper.rules import transfers as rules
        from innkeeper.wire.bulk.sitecore_folder import identity_rules, points_of_sale

        if self.source.rules:
            own = identity_rules(self.source.rules)
            self.counts.source[rules.RULES] = len(own)
            self.counts.target[rules.RULES] = await transfers.transfer_rules(work, own)
        if self.source.points_of_sale:
            points = points_of_sale(self.source.points_of_sale)
            written = await transfers.transfer_points_of_sale(work, points)
            self.counts.source[rules.POINTS_OF_SALE] = len(points)
            self.counts.target[rules.POINTS_OF_SALE] = written

    async def _all_retired(self, work: "Work") -> None:
        """Transfer retired guests, again as long as that finds survivors that were retired too."""
        from innkeeper.actions.bulk import transfers
        from innkeeper.rules.transfers import RETIRED_GUESTS as KIND
        from innkeeper.wire.bulk.sitecore import is_retired

        before = -1
        while True:
            one_pass = (work, "guests", transfers.transfer_retired, is_retired, KIND)
            counts = await self._pass(*one_pass, lambda _: None)
            if counts.target[KIND] in (before, counts.source[KIND]):
                break
            before = counts.target[KIND]
        if not counts.agree:
            counts = await self._pass(*one_pass, self._write_missing)
        self.counts.add(counts)

    async def _all(
        self,
        work: "Work",
        entity: str,
        transfer: "Transfer",
        is_selected: "Callable[[Row], bool]" = lambda _: True,
        called: str = "",
    ) -> None:
        args = (work, entity, transfer, is_selected, called or entity, self._write_missing)
        self.counts.add(await self._pass(*args))

    async def _pass(
        self,
        work: "Work",
        entity: str,
        transfer: "Transfer",
        is_selected: "Callable[[Row], bool]",
        called: str,
        write_missing: "Callable[[MissingRecord], object]",
    ) -> "TransferCounts":
        """Transfer the rows of an entity, chunk by chunk, each read while the last is written."""
        from innkeeper.actions.bulk import batches
        from innkeeper.cli.output import progress_bar
        from innkeeper.rules.transfers import TransferCounts
        from innkeeper.store.parquet_rows import parquet_count
        from innkeeper.store.readers import ahead, chunks
        from innkeeper.wire.bulk.sitecore import READERS
        from innkeeper.wire.bulk.sitecore_folder import rows_of

        paths, read = self.source.entities.get(entity, []), READERS[entity]
        rows = ((number, row) for number, row in rows_of(paths) if is_selected(row))
        recording = batches.source_of(self.batch).recording if self.batch else None
        state = {"state": called, "total": sum(map(parquet_count, paths))}
        total = TransferCounts()
        with progress_bar(silent=self._quiet) as update:
            async for chunk in ahead(chunks(rows, lambda _, row: read(row), _CHUNK)):
                records = list({one.ref: one for one in chunk.items}.values())
                counts = await transfer(work, records, recording)
                for one in counts.missing:
                    write_missing(one)
                total.add(counts)
                update({**state, "done": chunk.line})
        return total

    def show(self, missing_path: Path, *, as_json: bool) -> None:
        """Print the counts, the values that were left out of records, and the first missing
        records."""
        from innkeeper.cli.output import print_rows

        counts = self.counts
        rows = [
            {"entity": name, "source": number, "here": counts.target[name]}
            for name, number in counts.source.items()
        ]
        print_rows(rows, as_json, "entity", "source", "here")
        for (entity, fault), number in counts.faults.most_common(_SHOWN):
            print(f"innkeeper: not imported from {entity}: {fault} ({number:,})", file=sys.stderr)
        for one in counts.missing:
            print(f"innkeeper: {one.entity} {one.ref} is missing: {one.reason}", file=sys.stderr)
        if self.batch is not None and self.batch["undo"] is not None and not as_json:
            print(f"To undo this: innkeeper import undo {self.batch['ref']}", file=sys.stderr)
        if counts.missing:
            print(f"innkeeper: the list of missing records is in {missing_path}", file=sys.stderr)


async def _mark_changed_settings(work: "Work", batch: "UUID", before: dict[str, list[str]]) -> None:
    """Store how many settings an import has changed, which its undo leaves."""
    from innkeeper.actions.bulk import batches

    changed = {
        name: len(set(each) ^ set(before[name]))
        for name, each in (await _settings(work)).items()
        if each != before[name]
    }
    await batches.mark_not_undone(work, batch, changed)


async def _settings(work: "Work") -> dict[str, list[str]]:
    """Return the settings that an import changes, and its undo leaves: kind -> names."""
    from innkeeper.actions.admin import configuration
    from innkeeper.actions.identity import rule_settings
    from innkeeper.rules import transfers as rules

    return {
        rules.RULES: [repr(rule) for rule in await rule_settings.list_rules(work)],
        rules.POINTS_OF_SALE: [row["name"] for row in await configuration.points_of_sale(work)],
    }
