"""Tasks that read import sources: start those that are due, fetch a file, and queue its import."""

import asyncio
import logging
from dataclasses import dataclass
from functools import partial
from hashlib import md5
from pathlib import Path
from typing import IO, Any, Final
from uuid import UUID, uuid4

from innkeeper.actions.bulk import batches, import_sources, imports
from innkeeper.actions.identity import rulebook
from innkeeper.errors import OperatorError, Unavailable
from innkeeper.jobs.registry import lending_task, scheduled
from innkeeper.rules.identity_rules import IdentityRules
from innkeeper.settings import Settings
from innkeeper.store.downloads import DownloadFailed, download, is_http, is_prefix, list_files
from innkeeper.store.external_calls import within
from innkeeper.store.files import Files, seconds_to_put
from innkeeper.store.outbound_http import OutboundFailed
from innkeeper.store.readers import Unreadable
from innkeeper.store.work import Lend, Row, Work
from innkeeper.wire.bulk.batch_files import Layout
from innkeeper.wire.bulk.file_formats import MOST_EXPANSION, TABLES
from innkeeper.wire.bulk.high_water import HighWaterMark
from innkeeper.wire.bulk.mapping import mapping_of, named_like_targets
from innkeeper.wire.bulk.presets import Preset, find_preset, preset_folders, read_presets
from innkeeper.wire.bulk.sample import read_json_sample, read_sample
from innkeeper.wire.bulk.suggestion import are_own_values, suggest
from innkeeper.wire.bulk.survey import TableSurvey

log = logging.getLogger("innkeeper.jobs")
_BLOCK: Final = 1 << 20
_LONGEST_ETAG: Final = 1024
_FAULTS: Final = (
    *(DownloadFailed, OutboundFailed, Unreadable, OperatorError, Unavailable),
    *(ImportError, OSError),
)
"""Errors that a source may cause; any other is a fault of the server, which only its log shows."""


@scheduled("* * * * *", "import_sources.due")
async def due(work: Work) -> None:
    """Queue the import sources that are due."""
    await import_sources.start_due(work)


@lending_task(import_sources.RUN)
async def run(lend: Lend, source: str) -> None:
    """Fetch the next file of a source, if it has anything new, and queue its import."""
    async with lend() as work:
        row = await import_sources.begin(work, UUID(source))
        settings, workspace = work.settings, work.workspace
        rules = await rulebook.current(work)
    if row is None:
        return
    ref, files = uuid4(), Files.of(settings)
    try:
        with files.staged() as staged:
            fetched = await _fetch(settings, row, staged, lend)
            if fetched is not None:
                staged.flush()
                file = await asyncio.to_thread(_file_of, staged)
                look = partial(_look, settings, workspace, rules, row)
                options = await asyncio.to_thread(look, Path(staged.name), fetched)
                if options is not None:
                    name = batches.upload_name(workspace, ref)
                    await within(seconds_to_put(file[1]), name, lambda: files.put(name, staged))
    except _FAULTS as fault:
        reason = _reason(row, fault)
        log.warning("import source %s of %s: %s", row["name"], workspace, reason)
        async with lend() as work:
            await import_sources.fail(work, row["ref"], reason)
        return
    async with lend() as work:
        if fetched is None or options is None:
            mark = row["mark"] if fetched is None else fetched.mark
            await import_sources.succeed(work, row["ref"], mark)
        else:
            await import_sources.start_import(work, row, ref, options, file, fetched.mark)


@dataclass(slots=True)
class _Fetched:
    """The fetched file, and the mark of the source once it is imported."""

    name: str
    mark: dict[str, Any]


async def _fetch(settings: Settings, row: Row, staged: IO[bytes], lend: Lend) -> _Fetched | None:
    """Write the next file of a source to `staged`; None if there is nothing new."""
    address, mark, is_free = row["address"], dict(row["mark"]), row["is_free"]
    most: Any = {"most": settings.max_upload_bytes, "is_free": is_free}
    if is_http(address):
        conditions = {"If-None-Match": mark["etag"]} if mark.get("etag") else {}
        headers = await download(settings, address, staged, headers=conditions, **most)
        if headers is None:
            return None
        etag = headers.get("etag", "")
        # Any other one could not be sent as a header of the next request.
        is_usable = etag.isprintable() and 0 < len(etag) <= _LONGEST_ETAG
        return _Fetched("", {**mark, "etag": etag} if is_usable else mark)
    if not is_prefix(address):
        await download(settings, address, staged, **most)
        return _Fetched(address.rpartition("/")[2], mark)
    files = await list_files(settings, address, is_free=is_free)
    async with lend() as work:
        file = await import_sources.find_new_file(work, row, files)
        mark = row["mark"]
    if file is None:
        return None
    await download(settings, address, staged, name=file.name, **most)
    return _Fetched(file.name, {**mark, "name": file.name, "version": file.version})


def _look(
    settings: Settings,
    workspace: str,
    rules: IdentityRules,
    row: Row,
    path: Path,
    fetched: _Fetched,
) -> dict[str, Any] | None:
    """Return the options of a file's import, with its recognised mapping if the source has none,
    and the mark that it reads from; None if it has nothing new. Adds the greatest value of the file
    to the mark of the source."""
    options = {**row["file_options"], "name": fetched.name or row["name"]}
    if row["mark_column"] is None and options.get("mapping"):
        return options
    layout = Layout.of({**row, "file_options": options}, tracking=False)
    layout, survey = layout.surveyed(path, MOST_EXPANSION * settings.max_upload_bytes)
    if not options.get("mapping"):
        presets = read_presets(preset_folders(settings.data, workspace))
        options["mapping"] = _recognised(layout, path, survey, rules, presets)
        if row["mark_column"] and (options["mapping"] or {}).get("group"):
            raise OperatorError("It has orders of several rows, which are read as a whole only.")
    if row["mark_column"] is None:
        return options
    is_inclusive = row["entity"] != "events"
    mark = HighWaterMark(row["mark_column"], row["mark"].get("value", ""), is_inclusive)
    if survey.names and mark.column not in survey.names:
        raise OperatorError(f"There is no column {mark.column} in it.")
    with layout.opened(path) as source:
        value, newer = mark.greatest(layout.every_row(source))
    if not newer:
        return None
    fetched.mark |= {"value": value}
    reading = {"column": mark.column, "after": mark.after, "inclusive": is_inclusive}
    return {**options, "mark": reading}


def _recognised(
    layout: Layout, path: Path, survey: TableSurvey, rules: IdentityRules, presets: list[Preset]
) -> dict[str, Any] | None:
    """Return the mapping of a file, None if its columns are named as fields are; raises
    OperatorError for what only a person can decide."""
    entity = layout.entity
    is_table = layout.form is not None and layout.form.format in TABLES
    sample = read_sample(layout, path) if is_table else read_json_sample(layout, path)
    preset = find_preset(sample.columns, entity, presets)
    if is_table:
        if named_like_targets(entity, sample.columns):
            return None
    elif preset is None and are_own_values(entity, sample.columns, sample.rows):
        return None
    else:
        survey = TableSurvey.of(sample.rows)
    suggestion = suggest(entity, sample.columns, sample.rows, rules, preset, survey)
    if suggestion.undecided:
        questions = " ".join(dict.fromkeys(suggestion.undecided.values()))
        raise OperatorError(
            f"{questions} Import such a file once, decide there, and choose its columns here."
        )
    return mapping_of(entity, suggestion.document()).plain()


def _file_of(staged: IO[bytes]) -> tuple[str, int]:
    """Return checksum and size of a staged file."""
    digest = md5(usedforsecurity=False)
    with open(staged.name, "rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
        return digest.hexdigest(), file.tell()


def _reason(row: Row, fault: Exception) -> str:
    """Return why a source cannot be read, for those who may see it."""
    if isinstance(fault, DownloadFailed | OutboundFailed):
        return f"It {fault}."
    if isinstance(fault, ImportError):
        return "The server lacks the package for this kind of address."
    return imports.failure_message(fault)
