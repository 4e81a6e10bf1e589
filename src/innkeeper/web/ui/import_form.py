"""The form that maps the columns of an uploaded file: its columns, questions, words and sample."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from pathlib import Path
from typing import Any, Final

from starlette.datastructures import FormData

from innkeeper.resources.kinds import Code, Day, Instant, Kind, Number, OneOf
from innkeeper.rules.identity_rules import IdentityRules
from innkeeper.rules.masking import masked
from innkeeper.wire.bulk.batch_plans import ITEM
from innkeeper.wire.bulk.cell_faults import cell_fault
from innkeeper.wire.bulk.cells import PERCENT
from innkeeper.wire.bulk.column_names import pair_name, words_of
from innkeeper.wire.bulk.mapping import ColumnMapping, mapping_of
from innkeeper.wire.bulk.presets import find_preset, read_presets
from innkeeper.wire.bulk.sample import TableSample
from innkeeper.wire.bulk.suggested_mapping import Suggestion
from innkeeper.wire.bulk.suggestion import suggest
from innkeeper.wire.bulk.survey import TableSurvey, resolve
from innkeeper.wire.bulk.targets import PLANS, is_target, kind_of
from innkeeper.wire.bulk.trial import Trial, try_mapping

SAMPLE: Final = 200
"""Rows of a file that its page tries a mapping on."""
SHOWN_ROWS: Final = 6
SHOWN_CHARACTERS: Final = 80
MOST_COLUMNS: Final = 200
"""Most columns in the form; the others get their suggested targets."""
MOST_WORDS: Final = 20
"""Most words of a column that the form replaces."""
MOST_WORD_COLUMNS: Final = 20
EVENT_TARGETS: Final = ("type", "channel", "pos", "browser_id", "requested_at", "page", "email")
CURRENCIES: Final = ("currencyCode", "orderItems.currencyCode")


@dataclass(slots=True)
class ImportDraft:
    """A mapping that is being edited, and the records that it makes of the sample of its file."""

    entity: str
    file_options: Mapping[str, Any]
    table: TableSample
    survey: TableSurvey
    first: Suggestion
    mapping: ColumnMapping
    """With the formats and decimal marks that the rows show."""
    open_dates: dict[str, list[str]] = field(default_factory=dict)
    """Column of dates whose format is neither evident nor chosen -> its possible formats."""
    open_numbers: list[str] = field(default_factory=list)
    """Columns whose decimal mark is neither evident nor chosen."""
    open_zone: str = ""
    """Abbreviation in times that several time zones share, unless it is one of the chosen zone."""

    def kind(self, column: str) -> Kind | None:
        """Return the kind of the first target of a column that has one."""
        targets = self.mapping.columns.get(column, ())
        return next(filter(None, (kind_of(self.entity, each) for each in targets)), None)

    @property
    def is_priced(self) -> bool:
        """Whether orders have amounts whose currency no column has."""
        targets = {*chain.from_iterable(self.mapping.columns.values())}
        amounts = {"price", "orderItems.price"} & targets
        return self.entity == "orders" and bool(amounts) and "currencyCode" not in targets

    def open_columns(self) -> dict[str, str]:
        """Return target -> question, of targets that orders need and no column fills."""
        filled = {*chain.from_iterable(self.mapping.columns.values()), *self.mapping.constants}
        if any(target.startswith("contact.") for target in filled):
            filled.add("contact.email")
        return {
            entry: question
            for (table, entry), question in self.first.undecided.items()
            if table == "columns" and entry not in filled
        }

    def unanswered(self) -> list[str]:
        """Return a sentence for each question that must be answered before an import."""
        sentences = [f"Choose how dates are written in {name}." for name in self.open_dates]
        if self.open_numbers and not self.mapping.rules.decimal:
            sentences.append(f"Choose the decimal mark of {', '.join(self.open_numbers[:5])}.")
        if self.open_zone:
            sentences.append(f"Choose the time zone of the file: {self.open_zone} is several.")
        if self.is_priced and "currencyCode" not in self.mapping.constants:
            sentences.append("The file does not name the currency of its amounts: choose it.")
        return [*sentences, *self.open_columns().values()]

    def try_rows(self, rules: IdentityRules) -> Trial:
        """Try the mapping on the sample."""
        return try_mapping(self.entity, self.mapping, self.table.rows, self.table.lines, rules)


def begin_draft(
    entity: str,
    table: TableSample,
    file_options: Mapping[str, Any],
    rules: IdentityRules,
    presets: Iterable[Path],
) -> ImportDraft:
    """Suggest a mapping by a preset, or by names, the sample and the survey of all rows. `presets`
    are the folders of the workspace's own presets."""
    preset = find_preset(table.columns, entity, read_presets(presets))
    survey = TableSurvey.of_summary(file_options.get("survey", {}), table.rows)
    first = suggest(entity, table.columns, table.rows, rules, preset, survey)
    return _draft(entity, table, file_options, survey, first, _plain(first, file_options))


def read_draft(first: ImportDraft, form: FormData) -> ImportDraft:
    """Return the draft of a sent form; raises OperatorError for a target that does not exist."""
    document = _document(first, form)
    return _draft(
        first.entity, first.table, first.file_options, first.survey, first.first, document
    )


def _plain(first: Suggestion, file_options: Mapping[str, Any]) -> dict[str, Any]:
    """The document of a suggested mapping, without its questions."""
    parts = first.document()
    parts.pop("undecided", None)
    if file_options["format"] == "csv" and not file_options.get("partial"):
        parts["encoding"] = file_options.get("encoding", "")
    if sheet := file_options.get("sheet"):
        parts["sheet"] = sheet
    return parts


def _draft(
    entity: str,
    table: TableSample,
    file_options: Mapping[str, Any],
    survey: TableSurvey,
    first: Suggestion,
    document: dict[str, Any],
) -> ImportDraft:
    mapping = mapping_of(entity, document)
    kinds = mapping.column_kinds(entity)
    delimiter = str(file_options.get("delimiter", ""))
    formats, decimals, _ = resolve(survey, kinds, mapping.formats, delimiter, mapping.rules)
    draft = ImportDraft(entity, file_options, table, survey, first, mapping)
    numbers = [
        name
        for name, kind in kinds.items()
        if isinstance(kind, Number) or kind in ("number", PERCENT)
    ]
    draft.open_numbers = survey.decimal_marks(numbers, delimiter)[1]
    for column, one in survey.columns.items():
        if isinstance(kinds.get(column), Instant):
            draft.open_zone = draft.open_zone or one.open_zone(mapping.rules.timezone)
        if isinstance(kinds.get(column), Instant | Day) and column not in formats:
            possible = one.formats()
            if len(possible) > 1:
                draft.open_dates[column] = possible
    rules = replace(mapping.rules, decimals=decimals)
    draft.mapping = replace(mapping, formats=formats, rules=rules)
    return draft


def _document(first: ImportDraft, form: FormData) -> dict[str, Any]:
    """The mapping of a form, as `mapping_of` reads it."""
    suggested, names = _plain(first.first, first.file_options), first.table.columns
    columns: dict[str, Any] = {}
    formats = {**suggested["formats"]}
    for number, column in enumerate(names):
        if number >= MOST_COLUMNS:
            if column in suggested["columns"]:
                columns[column] = suggested["columns"][column]
            continue
        formats.pop(column, None)
        if targets := str(form.get(f"c{number}") or ""):
            columns[column] = targets.split(",")
            if date_format := str(form.get(f"f{number}") or "").strip():
                formats[column] = date_format
    for target in first.open_columns():
        if (chosen := str(form.get(f"u-{target}") or "")) in names:
            columns[chosen] = list(dict.fromkeys([*columns.get(chosen, ()), target]))
    types = {
        column: kind
        for column, kind in suggested["types"].items()
        if any("extensions." in target for target in columns.get(column, ()))
    }
    parts = {**suggested, "columns": columns, "formats": formats, "types": types}
    parts["values"] = _words(first, form, columns)
    parts |= _cell_rules(form)
    if currency := str(form.get("currency") or "").strip().upper():
        needed = CURRENCIES if first.mapping.is_of_lines else CURRENCIES[:1]
        parts["constants"] = {**parts["constants"], **dict.fromkeys(needed, currency)}
    if parts.get("group") not in columns:
        parts.pop("group", None)
    return parts


def _cell_rules(form: FormData) -> dict[str, Any]:
    """Return the form's settings for cells; settings that the form does not show stay as
    suggested."""
    rules: dict[str, Any] = {}
    for name in ("decimal", "region", "timezone"):
        if value := str(form.get(name) or "").strip():
            rules[name] = value
    if form.get("refuse") == "cell":
        rules["refuse"] = "cell"
    if pivot := str(form.get("pivot") or "").strip():
        rules["pivot"] = int(pivot) if pivot.isdecimal() and len(pivot) == 4 else pivot
    for name in ("guards", "nothing"):
        if form.get(f"has-{name}"):
            rules[name] = [text for text in form.getlist(name) if isinstance(text, str)]
    return rules


def _words(
    first: ImportDraft, form: FormData, columns: Mapping[str, Any]
) -> dict[str, dict[str, str]]:
    """Return the words that the form replaces, for columns whose target is still the one that the
    words were chosen for."""
    values = {name: dict(words) for name, words in first.first.values.items() if name in columns}
    for number, column in enumerate(first.table.columns[:MOST_COLUMNS]):
        if column not in columns:
            continue
        if columns[column] != first.first.columns.get(column):
            values.pop(column, None)
        if form.get(f"t{number}") != form.get(f"c{number}"):
            continue
        words = values.setdefault(column, {})
        for position in range(MOST_WORDS):
            word, value = form.get(f"v{number}-{position}"), form.get(f"w{number}-{position}")
            if isinstance(word, str) and isinstance(value, str) and value:
                words[word] = value
    return {
        name: {word: value for word, value in words.items() if word != value or "*" in words}
        for name, words in values.items()
        if words
    }


@dataclass(slots=True)
class FormColumn:
    """A column in the form."""

    number: int
    name: str
    targets: str
    """Its targets, separated by commas; empty when it is not imported."""
    form: str
    """The format of its dates."""
    is_date: bool = False
    choices: list[str] = field(default_factory=list)
    """Formats that its dates may have, where nothing shows which."""
    refused: int = 0
    """Sample cells that its target refuses."""
    reason: str = ""
    offered: list[tuple[str, list[str]]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class FormCell:
    """A cell of the sample, and why its column's target refuses it."""

    text: str
    fault: str = ""


@dataclass(slots=True)
class WordColumn:
    """A column of few words, and the value for each."""

    number: int
    name: str
    targets: str
    words: list[tuple[str, int, str]] = field(default_factory=list)
    """Word, count in the sample, value to take."""
    accepted: list[str] = field(default_factory=list)
    """Values that its field takes; empty for any."""
    is_refused: bool = False
    """Whether its field refuses a word."""

    @property
    def is_open(self) -> bool:
        """Whether its words are shown at once."""
        return self.is_refused or any(word != value for word, _, value in self.words)


def form_columns(draft: ImportDraft, providers: list[str]) -> list[FormColumn]:
    """Return the columns of the form, each with its targets and what they refuse."""
    columns = []
    for number, name in enumerate(draft.table.columns[:MOST_COLUMNS]):
        targets = draft.mapping.columns.get(name, ())
        column = FormColumn(number, name, ",".join(targets), draft.mapping.formats.get(name, ""))
        column.is_date = isinstance(draft.kind(name), Instant | Day)
        if column.is_date:
            column_survey = draft.survey.columns.get(name)
            possible = column_survey.formats() if column_survey else []
            column.choices = possible if len(possible) > 1 else []
        if targets and name not in draft.open_dates:
            faults = [_fault(draft, name, row) for row in draft.table.rows]
            column.refused = sum(map(bool, faults))
            column.reason = next(filter(None, faults), "")
        column.offered = _targets(draft.entity, column, providers)
        columns.append(column)
    return columns


def _fault(draft: ImportDraft, column: str, row: Mapping[str, Any]) -> str:
    if row.get(column) in (None, "") or column in draft.open_dates:
        return ""
    return cell_fault(draft.mapping, draft.entity, column, row[column]) or ""


def form_rows(draft: ImportDraft, *, is_masked: bool) -> list[tuple[int, list[FormCell]]]:
    """Return the first rows of the sample: line, cells."""
    rows = []
    lines, names = draft.table.lines, draft.table.columns[:MOST_COLUMNS]
    for line, row in islice(zip(lines, draft.table.rows, strict=True), SHOWN_ROWS):
        cells = []
        for name in names:
            text = "" if row.get(name) is None else str(row[name])[:SHOWN_CHARACTERS]
            text = masked(text) if is_masked and text else text
            cells.append(FormCell(text, _fault(draft, name, row)))
        rows.append((line, cells))
    return rows


def word_columns(draft: ImportDraft) -> list[WordColumn]:
    """Return the columns of few words whose field takes only certain ones, then others."""
    every = []
    for number, name in enumerate(draft.table.columns[:MOST_COLUMNS]):
        targets = draft.mapping.columns.get(name, ())
        counts = Counter(str(row[name]) for row in draft.table.rows if row.get(name))
        if not targets or not 0 < len(counts) <= MOST_WORDS or max(map(len, counts)) > 200:
            continue
        kind = kind_of(draft.entity, targets[0])
        is_closed = isinstance(kind, OneOf) or bool(words_of(targets[0].rpartition(".")[2]))
        repeats = sum(counts.values()) >= 2 * len(counts) and (
            isinstance(kind, Code) or targets[0].startswith("extensions.")
        )
        repeats = repeats and not any(map(str.isdigit, "".join(counts)))
        if not (is_closed or name in draft.mapping.values or repeats):
            continue
        column = WordColumn(number, name, ",".join(targets))
        column.words = [
            (word, count, _replaced(draft.mapping.values.get(name, {}), word))
            for word, count in counts.most_common()
        ]
        column.accepted = list(kind.words) if isinstance(kind, OneOf) else []
        column.is_refused = any(
            cell_fault(draft.mapping, draft.entity, name, word) for word, _, _ in column.words
        )
        every.append(column)
    return sorted(every, key=lambda one: (not one.is_refused, not one.is_open))[:MOST_WORD_COLUMNS]


def _replaced(words: Mapping[str, str], word: str) -> str:
    return words.get(word, words.get(word.strip().lower(), words.get("*", word)))


def _targets(entity: str, column: FormColumn, providers: list[str]) -> list[tuple[str, list[str]]]:
    """List the targets that a column may have, in the form's spelling: (heading, targets)."""
    if entity == "events":
        groups = [("Members of the event", list(dict.fromkeys((column.name, *EVENT_TARGETS))))]
    else:
        groups = [("Fields", _fields(entity, entity))]
    if entity == "guests":
        groups.append(("Identifiers", [f"identifiers.{each}" for each in providers]))
    if entity == "orders":
        groups.append(("Its item", [f"orderItems.{each}" for each in _fields("items", entity)]))
        contact = [f"contact.{each}" for each in _fields("guests", "guests")]
        contact += [f"contact.identifiers.{each}" for each in providers]
        groups.append(("Its contact", contact))
    if entity != "events":
        groups.append(("Data extension", [f"extensions.ext.{pair_name(column.name)}"]))
    offered = {target for _, targets in groups for target in targets}
    if column.targets and column.targets not in offered:
        groups.insert(0, ("Suggested", [column.targets]))
    return groups


def _fields(of: str, entity: str) -> list[str]:
    plan = ITEM if of == "items" else PLANS[of]
    own = [name for name, (_, kind, _) in plan.items() if kind is not None]
    if of != "items":
        own = [name for name in own if is_target(entity, name)]
    return sorted(name for name in own if name not in ("identifiers", "subscriptions"))
