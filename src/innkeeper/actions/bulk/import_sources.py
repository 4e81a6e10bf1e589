"""Import sources: files in other places, imported on a schedule from where the last import ended.

The mark is the position up to which a source was imported. It moves in the transaction that stores
that an import has read its file to the end, so a partly read file does not count.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from innkeeper import clock
from innkeeper.actions.admin import audit, background
from innkeeper.actions.admin.named_records import NamedRecords
from innkeeper.actions.bulk import batches, imports
from innkeeper.errors import Conflict, Invalid, Problem
from innkeeper.resources.base import Record
from innkeeper.rules.audited import IMPORT_SOURCE
from innkeeper.rules.identity_keys import digest
from innkeeper.rules.schedules import next_time
from innkeeper.rules.versions import Expected, expect
from innkeeper.store.downloads import RemoteFile, check_address, is_prefix
from innkeeper.store.work import Json, Row, Work

SOURCES: Final = NamedRecords("import_sources", "Import source", IMPORT_SOURCE)
RUN: Final = "import_sources.run"
FORGET_DAYS: Final = 30
"""Days after which a file that its source does not list any more counts as new when it is back."""
SOURCE: Final = "source"
"""Member of an import's `file_options` that holds the ref of its source."""
list_all: Final = SOURCES.list_all
"""List every import source, by name."""
fetch: Final = SOURCES.fetch
"""Fetch one import source by ref or name; raises `Unknown`."""


async def create(
    work: Work,
    values: Mapping[str, Any],
    file_options: Mapping[str, Any],
    problems: Sequence[Problem] = (),
    *,
    is_free: bool = False,
) -> Record:
    """Create an import source of `name`, `address`, `entity`, `mark_column` and `schedule`.

    `is_free`: the operator's command creates it, so that it may read any address. Raises `Invalid`
    with `problems` and every other problem, and `Conflict` if the name exists.
    """
    fields = _read_fields(work, values, file_options, [*problems], is_free=is_free)
    async with work.transaction():
        return await SOURCES.create(work, entity=values["entity"], **fields)


def _read_fields(
    work: Work,
    values: Mapping[str, Any],
    file_options: Mapping[str, Any],
    problems: list[Problem],
    *,
    is_free: bool,
) -> dict[str, Any]:
    """Return the columns of a source that a caller chooses; raises `Invalid` with every problem."""
    address, schedule, next_at = values.get("address"), values.get("schedule") or None, None
    if address is not None:
        try:
            check_address(work.settings, address, is_free=is_free)
        except ValueError as error:
            problems.append(Problem("address", str(error)))
    try:
        next_at = next_time(schedule, clock.now())
    except Invalid as invalid:
        problems += invalid.problems
    if problems:
        raise Invalid(*problems)
    return {
        "name": values["name"].strip(),
        "address": address,
        "file_options": Json(dict(file_options)),
        "mark_column": values.get("mark_column") or None,
        "schedule": schedule,
        "next_at": next_at,
        "is_free": is_free,
    }


Read = Callable[[Record, list[Problem]], tuple[Mapping[str, Any], Mapping[str, Any]]]
"""Returns the values and file options of a stored source after changes; adds problems."""


async def change(
    work: Work,
    source: UUID | str,
    read: Read,
    expected: Expected | None = None,
    *,
    is_free: bool = False,
) -> Record:
    """Change an import source. With another address or mark column it is read from its start.

    `is_free`: the operator's command changes it. One with a new address may read any address only
    then. Raises `Invalid`, `Conflict` if the name exists, `Outdated` if the stored version is not
    the expected one, and `Unknown`.
    """
    problems: list[Problem] = []
    async with work.transaction():
        row = await SOURCES.fetch_locked(work, source)
        expect(expected, row)
        values, file_options = read(row, problems)
        is_moved = values.get("address") != row["address"]
        fields = _read_fields(
            work, values, file_options, problems, is_free=is_free if is_moved else row["is_free"]
        )
        if fields["schedule"] == row["schedule"]:
            fields["next_at"] = row["next_at"]
        names = {"ref": None, "name": fields["name"]}
        named = await work.one("import_sources.fetch", **names)
        if named is not None and named["ref"] != row["ref"]:
            raise Conflict(f"Import source {fields['name']} already exists.")
        is_other = is_moved or fields["mark_column"] != row["mark_column"]
        after = await SOURCES.rewrite(work, row, is_other=is_other, **fields)
        if is_moved:
            await work.run("import_sources.forget_files", ref=row["ref"])
    return after


async def delete(work: Work, source: UUID | str, expected: Expected | None = None) -> None:
    """Delete an import source; its imports stay. Raises `Unknown`, and `Outdated`."""
    async with work.transaction():
        row = await SOURCES.fetch_locked(work, source)
        expect(expected, row)
        await SOURCES.delete(work, row)


async def start(work: Work, source: UUID | str) -> Record:
    """Queue an import source to be read now; returns it.

    Raises `Unknown`, and `Conflict` while it is read or its last import runs, which may have read
    an older file.
    """
    async with work.transaction():
        row = await SOURCES.fetch_locked(work, source)
        if row["is_importing"] or await background.is_running(work, _lock_of(work, row["ref"])):
            raise Conflict(
                f"Import source {row['name']} is being imported: run it again once that has ended."
            )
        await audit.record(work, IMPORT_SOURCE, "run", row, row)
        # If the job is lost, the next search for due sources, within a minute, queues another.
        now = clock.now()
        await work.run(
            "import_sources.schedule", ref=row["ref"], next_at=row["next_at"], next_attempt_at=now
        )
        await _queue(work, row["ref"])
    return {**row, "next_attempt_at": now}


async def start_due(work: Work) -> int:
    """Queue the import sources that are due; returns how many."""
    rows = await work.all("import_sources.due")
    for row in rows:
        async with work.transaction():
            next_at = row["next_at"]
            if next_at is not None and next_at <= clock.now():
                next_at = next_time(row["schedule"], clock.now())
            # The due time stays until the run ends, so that a source whose job is lost is queued
            # again.
            again = row["next_attempt_at"] or clock.now()
            ref = row["ref"]
            await work.run(
                "import_sources.schedule", ref=ref, next_at=next_at, next_attempt_at=again
            )
            await _queue(work, ref)
    return len(rows)


async def _queue(work: Work, source: UUID) -> None:
    await background.defer_once(work, RUN, lock=_lock_of(work, source), source=str(source))


def _lock_of(work: Work, source: UUID) -> str:
    return f"{work.workspace} import source {source}"


async def begin(work: Work, source: UUID) -> Row | None:
    """Return a source that is to be read now; None while its last import runs, or if deleted."""
    async with work.transaction():
        row = await work.one("import_sources.lock", ref=source)
        if row is None or row["is_importing"]:
            return None
        if row["pending_mark"] is not None:
            # The import ended, but its job stopped before that was stored.
            await finish(work, await batches.fetch(work, row["import_ref"]))
            row = await work.one("import_sources.lock", ref=source)
    return row


async def start_import(
    work: Work,
    source: Row,
    ref: UUID,
    file_options: Mapping[str, Any],
    file: tuple[str, int],
    mark: Mapping[str, Any],
) -> None:
    """Queue the import of a stored file of a source: (checksum, size). `mark`: the mark of the
    source after the import. A mapping among the options is that of later files, too."""
    options = {**file_options, SOURCE: str(source["ref"])}
    async with work.transaction():
        await imports.create(work, source["entity"], options, *file, ref=ref)
        await imports.start(work, ref, options)
        recognised = {"mapping": mapping} if (mapping := options.get("mapping")) else {}
        values: dict[str, Any] = {"mark": Json(dict(mark)), "recognised": Json(recognised)}
        values["import"] = ref
        await work.run("import_sources.start_import", ref=source["ref"], **values)


async def find_new_file(work: Work, source: Row, files: Sequence[RemoteFile]) -> RemoteFile | None:
    """Return the first of the listed files that was not imported in its version; None if all were.

    A file that comes late is new, however old it is. Files that have not been listed for
    `FORGET_DAYS` are forgotten: a listing that is empty or incomplete for a while forgets none.
    """
    if not files:
        return None
    mark = source["mark"]
    if "changed" in mark:
        # The mark of an earlier release, which stored only the last file, by time and name.
        until = (mark["changed"], mark["name"])
        done = [file for file in files if (file.changed, file.name) <= until]
        source["mark"] = mark = {name: mark[name] for name in mark if name != "changed"}
        async with work.transaction():
            await work.run("import_sources.add_files", ref=source["ref"], **_digests(done))
            await work.run("import_sources.set_mark", ref=source["ref"], mark=Json(mark))
    now = clock.now()
    times: dict[str, Any] = {"now": now, "before": now - timedelta(days=FORGET_DAYS)}
    rows = await work.all(
        "import_sources.first_new_file", ref=source["ref"], **times, **_digests(files)
    )
    position = rows[0]["position"]
    return None if position is None else files[position]


def _digests(files: Sequence[RemoteFile]) -> dict[str, Any]:
    return {
        "names": [digest("file", file.name) for file in files],
        "versions": [digest("version", file.version) for file in files],
    }


async def succeed(work: Work, source: UUID, mark: Mapping[str, Any]) -> None:
    """Store that a source was read to its end."""
    now = clock.now()
    if "version" in mark:
        file = RemoteFile(mark["name"], "", 0, mark["version"])
        await work.run("import_sources.add_files", ref=source, **_digests([file]))
    await work.run("import_sources.succeed", ref=source, mark=Json(dict(mark)), now=now)


async def fail(work: Work, source: UUID, reason: str) -> None:
    """Store why a source cannot be read, and when it is tried again."""
    async with work.transaction():
        row = await work.one("import_sources.lock", ref=source)
        if row is None:
            return
        attempts = row["attempts"] + 1
        await work.run(
            "import_sources.fail",
            ref=source,
            attempts=attempts,
            error=reason,
            next_attempt_at=background.next_attempt(attempts),
        )


async def finish(work: Work, batch: Record) -> None:
    """Move the mark of the source of a finished import, unless the file was not read to its end.

    Records that were refused do not count: they are in the import's report.
    """
    source = batch["file_options"].get(SOURCE)
    if source is None:
        return
    async with work.transaction():
        row = await work.one("import_sources.lock", ref=UUID(source))
        if row is None or row["import_ref"] != batch["ref"] or row["pending_mark"] is None:
            return
        if batch["state"] == batches.ERROR and batch["fault"]:
            await fail(work, row["ref"], batch["fault"])
            return
        await succeed(work, row["ref"], row["pending_mark"])
        if is_prefix(row["address"]):
            # There may be more files.
            await _queue(work, row["ref"])
