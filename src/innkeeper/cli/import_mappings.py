"""Mappings of `innkeeper import`: read beside a file, or suggested from its columns."""

import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final

from innkeeper.cli.import_files import STDIN, is_elsewhere, local_name
from innkeeper.errors import OperatorError
from innkeeper.rules.spreadsheets import MAPPING_SUFFIX

if TYPE_CHECKING:
    from innkeeper.store.work import Work
    from innkeeper.wire.bulk.batch_files import Layout
    from innkeeper.wire.bulk.presets import Preset
    from innkeeper.wire.bulk.sample import TableSample
    from innkeeper.wire.bulk.suggested_mapping import Suggestion
    from innkeeper.wire.bulk.survey import TableSurvey

_SHOWN: Final = 40
"""Most columns that a command lists."""
_SHOWN_ROWS: Final = 3
_SHOWN_CHARACTERS: Final = 200


@dataclass(frozen=True)
class MappingOptions:
    """The options of a command that control how its files are read."""

    what: str | None
    """guests, orders or events; None to detect it from the columns."""
    form: str | None
    sheet: str
    mapping: Path | None
    quiet: bool
    refuse: str = ""
    """row or cell; if empty, the setting of the mapping."""

    def path_for(self, name: str) -> Path:
        """Return the path of the mapping of a file, whether or not it exists."""
        return self.mapping or Path(local_name(name) + MAPPING_SUFFIX)

    def stored(self, name: str) -> "tuple[str | None, Layout]":
        """Return the kind of records in a file, and its layout by its name and the mapping beside
        it."""
        from innkeeper.wire.bulk.batch_files import Layout
        from innkeeper.wire.bulk.file_formats import guessed_format
        from innkeeper.wire.bulk.mapping import ColumnMapping, read_mapping

        guessed, compressed = guessed_format(local_name(name))
        what, mapping, path = self.what, None, self.path_for(name)
        if self.mapping is not None or (name != STDIN and path.is_file()):
            try:
                text = path.read_text(encoding="utf-8")
            except OSError as error:
                raise OperatorError(f"{path} cannot be read: {error.strerror}.") from error
            except UnicodeDecodeError as error:
                raise OperatorError(f"{path} is not UTF-8. Save it as UTF-8.") from error
            what, mapping = read_mapping(self.what, text, str(path))
        if self.sheet or self.refuse:
            explicit = mapping or ColumnMapping({})
            sheet, refuse = self.sheet or explicit.sheet, self.refuse or explicit.refuse
            mapping = replace(explicit, sheet=sheet, refuse=refuse)
        return what, Layout(what or "", self.form or guessed or "csv", compressed, mapping)


async def prepared_layout(work: "Work", options: MappingOptions, name: str, path: Path) -> "Layout":
    """Read a file to its end; return its layout, with a suggested mapping if it has none.

    Raises `Unreadable`, and OperatorError. A suggestion with open questions is written beside the
    file, and raises OperatorError too.
    """

    layout, survey = options.stored(name)[1].surveyed(path)
    if layout.mapping is None or not layout.mapping.columns:
        layout = await _guessed_layout(work, options, name, path, layout, survey)
    layout = layout.resolved(survey)
    for note in layout.form.notes if layout.form else ():
        print(f"innkeeper: {name}: {note}", file=sys.stderr)
    return layout


async def _guessed_layout(
    work: "Work",
    options: MappingOptions,
    name: str,
    path: Path,
    layout: "Layout",
    survey: "TableSurvey",
) -> "Layout":
    """Return the layout of a file without a mapping: by the names of fields, or suggested."""
    from innkeeper.wire.bulk.file_formats import TABLES
    from innkeeper.wire.bulk.mapping import named_like_targets
    from innkeeper.wire.bulk.presets import find_preset
    from innkeeper.wire.bulk.sample import read_json_sample, read_sample
    from innkeeper.wire.bulk.suggestion import are_own_values, guess_entity_of_values
    from innkeeper.wire.bulk.survey import TableSurvey

    what = options.what
    is_table = layout.form is not None and layout.form.format in TABLES
    sample = read_sample(layout, path) if is_table else read_json_sample(layout, path)
    if what is not None and is_table and named_like_targets(what, sample.columns):
        return layout
    if not is_table and find_preset(sample.columns, what, _presets(work)) is None:
        if are_own_values(what, sample.columns, sample.rows):
            entity = what or guess_entity_of_values(sample.columns, sample.rows) or ""
            return replace(layout, entity=entity)
        survey = TableSurvey.of(sample.rows)
    return await _suggested_layout(work, options, name, layout, sample, survey)


def _presets(work: "Work") -> "list[Preset]":
    from innkeeper.wire.bulk.presets import preset_folders, read_presets

    return read_presets(preset_folders(work.settings.data, work.workspace))


async def _suggest(
    work: "Work", what: str | None, sample: "TableSample", survey: "TableSurvey"
) -> "Suggestion":
    from innkeeper.actions.identity import rulebook
    from innkeeper.wire.bulk.presets import find_preset
    from innkeeper.wire.bulk.suggestion import guess_entity, suggest

    preset = find_preset(sample.columns, what, _presets(work))
    entity = preset.entity if preset else what or guess_entity(sample.columns)
    rules = await rulebook.current(work)
    return suggest(entity, sample.columns, sample.rows, rules, preset, survey)


async def _suggested_layout(
    work: "Work",
    options: MappingOptions,
    name: str,
    layout: "Layout",
    sample: "TableSample",
    survey: "TableSurvey",
) -> "Layout":
    """Return the layout of a suggested mapping; raises OperatorError if it has open questions."""
    from innkeeper.actions.identity import rulebook
    from innkeeper.wire.bulk.mapping import mapping_of
    from innkeeper.wire.bulk.trial import try_mapping

    suggestion = await _suggest(work, options.what, sample, survey)
    entity, path = suggestion.entity, options.path_for(name)
    if suggestion.undecided:
        path.write_text(suggestion.mapping_file(), encoding="utf-8")
        questions = " ".join(dict.fromkeys(suggestion.undecided.values()))
        raise OperatorError(f"{name} needs a decision. {questions} Choose in {path}.")
    mapping = mapping_of(entity, suggestion.document())
    mapping = replace(mapping, sheet=options.sheet, refuse=options.refuse)
    try:
        layout = replace(layout, entity=entity, mapping=mapping).resolved(survey)
    except OperatorError as error:
        path.write_text(suggestion.mapping_file(), encoding="utf-8")
        raise OperatorError(f"{error} The mapping is in {path}, to edit.") from error
    rules = await rulebook.current(work)
    trial = try_mapping(entity, layout.mapping or mapping, sample.rows, sample.lines, rules)
    if trial.records and trial.failed + trial.unidentified >= trial.records:
        path.write_text(suggestion.mapping_file(), encoding="utf-8")
        reasons = "; ".join(trial.refused) or trial.sentence()
        raise OperatorError(f"No row of {name} can be imported: {reasons} Edit {path}.")
    if not options.quiet:
        _show(name, suggestion)
        print(trial.sentence(), file=sys.stderr)
    return layout


def _show(name: str, suggestion: "Suggestion") -> None:
    """Print the field of each column, before an import without a mapping."""
    source = f" ({suggestion.preset})" if suggestion.preset else ""
    print(f"{name} holds {suggestion.entity}{source}. Its columns become:", file=sys.stderr)
    width = min(30, max(map(len, suggestion.columns), default=0))
    for column, targets in list(suggestion.columns.items())[:_SHOWN]:
        print(f"  {column:<{width}}  {', '.join(targets) or 'not imported'}", file=sys.stderr)
    if len(suggestion.columns) > _SHOWN:
        print(f"  and {len(suggestion.columns) - _SHOWN} more", file=sys.stderr)
    for target, constant in suggestion.constants.items():
        print(f"  {target} is {constant} where the file has no value", file=sys.stderr)
    if suggestion.nothing:
        print(f"  cells that count as empty: {', '.join(suggestion.nothing)}", file=sys.stderr)
    for note in suggestion.notes:
        print(f"  {note}", file=sys.stderr)


def show_first_rows(options: MappingOptions, name: str) -> None:
    """Print the first rows of a table, before more of it is read and the database is opened.

    Reads only the start of the file, however large it is. Prints nothing of a file that cannot be
    read: `write_suggestion` says why.
    """
    from innkeeper.store.file_form import SAMPLE_BYTES, form_of_file
    from innkeeper.store.readers import Unreadable

    path = Path(name)
    try:
        layout = options.stored(name)[1]
        layout = replace(layout, form=form_of_file(path, layout.choices(), budget=SAMPLE_BYTES))
        with layout.table(path) as (columns, rows):
            for number, row in islice(rows, _SHOWN_ROWS):
                texts = (" ".join(str(row.get(name) or "").split()) for name in columns[:_SHOWN])
                cells = " | ".join(texts)
                print(f"  line {number}: {cells[:_SHOWN_CHARACTERS]}", flush=True)
    except (Unreadable, OperatorError, OSError):
        return


async def write_suggestion(work: "Work", options: MappingOptions, name: str) -> None:
    """Write a suggested mapping beside a file."""
    from innkeeper.store.readers import Unreadable
    from innkeeper.wire.bulk.file_formats import FIRST_LOOK
    from innkeeper.wire.bulk.sample import read_sample

    if is_elsewhere(name):
        raise OperatorError("--suggest needs a file of this machine.")
    path = options.path_for(name)
    if path.exists():
        raise OperatorError(f"{path} exists already: delete it to get a new suggestion.")
    try:
        layout = options.stored(name)[1]
        layout, survey = layout.surveyed(Path(name), limit=FIRST_LOOK)
        sample = read_sample(layout, Path(name), FIRST_LOOK.rows)
    except Unreadable as error:
        raise OperatorError(f"{name} cannot be read: {error}.") from error
    except OSError as error:
        raise OperatorError(f"{name} cannot be read: {error.strerror}.") from error
    for note in layout.form.notes if layout.form else ():
        print(f"innkeeper: {name}: {note}", file=sys.stderr)
    suggestion = await _suggest(work, options.what, sample, survey)
    path.write_text(suggestion.mapping_file(), encoding="utf-8")
    print(f"{path}: edit it, then import {name} again.")


SuggestionWriter = Callable[["Work", MappingOptions, str], Awaitable[None]]
