"""A suggested mapping: its parts, the questions it leaves open, and its file to edit."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from innkeeper.wire.bulk.cells import SPACES


@dataclass(frozen=True, slots=True)
class Table:
    """Column -> texts of its sample cells that are not empty."""

    texts: dict[str, list[str]]
    rows: Sequence[Mapping[str, Any]]

    @classmethod
    def of(cls, columns: Iterable[str], rows: Sequence[Mapping[str, Any]]) -> "Table":
        texts = {
            column: [text for row in rows if (text := _trimmed(row.get(column)))]
            for column in columns
            if column
        }
        return cls(texts, rows)


def _trimmed(cell: Any) -> str:
    """Return the text of a cell without the spaces around it."""
    return "" if cell is None else str(cell).strip(SPACES)


@dataclass(slots=True)
class Suggestion:
    """A suggested mapping, with notes, open questions and choices for the person who edits it."""

    entity: str
    columns: dict[str, list[str]] = field(default_factory=dict)
    formats: dict[str, str] = field(default_factory=dict)
    values: dict[str, dict[str, str]] = field(default_factory=dict)
    types: dict[str, str] = field(default_factory=dict)
    constants: dict[str, Any] = field(default_factory=dict)
    fallbacks: dict[str, str] = field(default_factory=dict)
    group: str = ""
    guarded: bool = False
    preset: str = ""
    """Name of the preset whose header the table has."""
    undecided: dict[tuple[str, str], str] = field(default_factory=dict)
    """(table of the mapping, entry) that a person must add -> the question."""
    choices: dict[str, dict[str, str]] = field(default_factory=dict)
    """Column of ambiguous dates -> format -> the date of a cell in that format."""
    guards: dict[str, str] = field(default_factory=dict)
    """Column whose cells have a spreadsheet's guard, which is removed -> one of its cells."""
    trim: list[str] = field(default_factory=list)
    """Columns without the spaces around their cells."""
    nothing: list[str] = field(default_factory=list)
    """Cells that count as empty."""
    notes: list[str] = field(default_factory=list)
    pairs: dict[str, int] = field(default_factory=dict)
    """Name of a pair of a data extension -> how many columns took it."""

    def document(self) -> dict[str, Any]:
        """Return the mapping as `mapping_of` reads it."""
        tables = ("columns", "formats", "values", "types", "constants", "fallbacks")
        return {
            **{name: getattr(self, name) for name in tables},
            **({"group": self.group} if self.group else {}),
            **({"guarded": True} if self.guarded else {}),
            **({"guards": list(self.guards)} if self.guards else {}),
            **({"trim": self.trim} if self.trim else {}),
            **({"nothing": self.nothing} if self.nothing else {}),
            **({"undecided": [list(each) for each in self.undecided]} if self.undecided else {}),
        }

    def column_of(self, target: str) -> str | None:
        """Return the column that fills a target."""
        return next((name for name, targets in self.columns.items() if target in targets), None)

    def mapping_file(self) -> str:
        """Return the mapping as a TOML file to edit."""
        return "\n".join(_lines(self)) + "\n"


def _lines(suggestion: Suggestion) -> Iterator[str]:
    yield f"# Which column becomes which field of {suggestion.entity}. Edit it, then import again."
    yield "# A column may fill several fields; a line left out is a column not imported."
    for note in suggestion.notes:
        yield f"# {_comment(note)}"
    yield f"entity = {_text(suggestion.entity)}"
    if suggestion.preset:
        yield f"# The columns are those of: {_comment(suggestion.preset)}."
    if suggestion.guarded:
        yield "# An apostrophe at the start of a cell is a mark for spreadsheets and taken off."
        yield "guarded = true"
    if suggestion.group:
        yield "# Rows with the same value here are one order; each row is one of its lines."
        yield f"group = {_text(suggestion.group)}"
    if suggestion.guards:
        yield "# A spreadsheet's guard (' or =\"...\") is taken off the cells of these columns."
        yield f"guards = {_list(suggestion.guards)}"
    if suggestion.trim:
        yield "# Spaces around the cells of these columns are taken off."
        yield f"trim = {_list(suggestion.trim)}"
    if suggestion.nothing:
        yield "# These cells are empty."
        yield f"nothing = {_list(suggestion.nothing)}"
    if suggestion.undecided:
        yield "# Nothing is imported before these have a value below."
        yield f"undecided = {_value([list(each) for each in suggestion.undecided])}"
    for name, comment in _TABLES.items():
        yield ""
        yield f"# {comment}"
        yield f"[{name}]"
        for entry, value in getattr(suggestion, name).items():
            yield f"{_text(entry)} = {_value(value)}"
        yield from _questions(suggestion, name)


def _questions(suggestion: Suggestion, name: str) -> Iterator[str]:
    """Return the missing entries of a table of the mapping, as comments to complete."""
    for (table, entry), question in suggestion.undecided.items():
        if table != name:
            continue
        yield f"# {_comment(question)}"
        if table == "columns":
            yield f'# "COLUMN" = {_text(entry)}'
            continue
        for form, example in suggestion.choices.get(entry, {"": ""}).items():
            value = f"{_text(form)}  # {_comment(example)}" if form else ""
            yield f"# {_text(entry)} = {value}"


_TABLES = {
    "columns": "Column = field, or a list of fields.",
    "formats": "How dates are written, where it is not ISO 8601.",
    "types": "number or boolean, for columns that become data extensions.",
    "values": 'Words to take instead of others, e.g. "Sex" = { M = "male", F = "female" }.',
    "constants": 'What a field has where no column fills it, e.g. pointOfSale = "default".',
    "fallbacks": "Field = column to take where the field's own column is empty.",
}


def _list(texts: Iterable[str]) -> str:
    return "[" + ", ".join(map(_text, texts)) + "]"


def _comment(text: str) -> str:
    return " ".join(text.split())


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_text(k)} = {_value(v)}" for k, v in value.items()) + " }"
    if isinstance(value, list | tuple):
        if len(value) == 1 and isinstance(value[0], str):
            return _text(value[0])
        return "[" + ", ".join(map(_value, value)) + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    return _text(value) if isinstance(value, str) else str(value)


def _text(text: str) -> str:
    escaped = "".join(
        f"\\u{ord(c):04x}" if c in '"\\' or ord(c) < 0x20 or ord(c) == 0x7F else c for c in text
    )
    return f'"{escaped}"'
