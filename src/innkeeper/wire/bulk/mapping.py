"""Mappings from the columns of a table to the fields of records, as files that people edit."""

import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from decimal import Decimal
from itertools import chain
from typing import Any, Final

from innkeeper.errors import OperatorError
from innkeeper.resources.kinds import Kind
from innkeeper.wire.bulk.cells import TYPES, CellRules, CellTarget, read_cell
from innkeeper.wire.bulk.mapping_document import read_document, unknown_in
from innkeeper.wire.bulk.put_values import put
from innkeeper.wire.bulk.targets import PLANS, REASON, is_of_item, is_target, kind_of, near_target


@dataclass(frozen=True, slots=True)
class ColumnMapping:
    """How rows of a table become the values of records."""

    columns: Mapping[str, tuple[str, ...]]
    """Column -> targets: `firstName`, `identifiers.CRM`, `extensions.ext.tier`, `contact.email`."""
    formats: Mapping[str, str] = field(default_factory=dict)
    """Column of dates -> their format (rules/date_formats)."""
    values: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Column -> text in its cells, or that text in lower case -> text to use instead; `*` means any
    other text."""
    types: Mapping[str, str] = field(default_factory=dict)
    """Column -> type of its values, for targets without a declared type."""
    constants: Mapping[str, Any] = field(default_factory=dict)
    """Target -> the same value for every record."""
    delimiter: str = ""
    encoding: str = ""
    """Encoding and delimiter of the file; empty if they are detected."""
    header: int = 0
    """The line with the names of the columns; 0 if it is detected."""
    sheet: str = ""
    """The sheet of a workbook; empty for its first."""
    rules: CellRules = field(default_factory=CellRules)
    """How numbers, dates, phone numbers and empty cells are written."""
    guarded: bool = False
    """Whether cells of a CSV file that a spreadsheet would run are marked (rules/spreadsheets)."""
    fallbacks: Mapping[str, str] = field(default_factory=dict)
    """Target -> column to take where no other column fills the target."""
    group: str = ""
    """Column whose rows with the same value are one order; each row is one of its lines."""

    refuse: str = ""
    """`cell` to import rows without the cells that their fields do not accept."""

    is_of_lines: bool = field(init=False)
    """Whether a row is a line of an order whose other lines are in other rows."""
    item_columns: tuple[str, ...] = field(init=False)
    """Columns that only items have; where all are empty there is no item."""
    is_of_paths: bool = field(init=False)
    """Whether columns may be paths of nested values, such as `traits.email`."""

    def __post_init__(self) -> None:
        targets = [*self.constants, *chain.from_iterable(self.columns.values())]
        item_columns = (name for name, each in self.columns.items() if all(map(is_of_item, each)))
        object.__setattr__(self, "is_of_lines", any(map(is_of_item, targets)))
        object.__setattr__(self, "item_columns", tuple(item_columns))
        object.__setattr__(self, "is_of_paths", any("." in name for name in self.columns))

    def value(self, entity: str, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return the value of a record; raises `Unfit`.

        A target whose columns are empty has its constant. A row whose columns of items are all
        empty has no item.
        """
        value: dict[str, Any] = {}
        has_item = any(row.get(column) not in (None, "") for column in self.item_columns)
        for target, constant in self.constants.items():
            if has_item or not is_of_item(target):
                put(entity, value, target, constant)
        for target, read in self.cells(entity, row):
            if has_item or not is_of_item(target):
                put(entity, value, target, read)
        return value

    def cells(self, entity: str, row: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
        """Yield (target, value) of each cell that is not empty; raises `Unfit`."""
        filled = set[str]()
        for column, targets in self.columns.items():
            for target, read in self._read_cell(entity, row.get(column), column, targets):
                filled.add(target)
                yield target, read
        for target, column in self.fallbacks.items():
            if target not in filled:
                yield from self._read_cell(entity, row.get(column), column, (target,))

    def column_values(self, entity: str, column: str, cell: Any) -> Iterator[tuple[str, Any]]:
        """Yield (target, value) of a cell, of fallbacks too; raises `Unfit`."""
        fallbacks = (target for target, name in self.fallbacks.items() if name == column)
        targets = dict.fromkeys((*self.columns.get(column, ()), *fallbacks))
        yield from self._read_cell(entity, cell, column, tuple(targets))

    def _read_cell(
        self, entity: str, cell: Any, column: str, targets: tuple[str, ...]
    ) -> Iterator[tuple[str, Any]]:
        cell = self.rules.cleaned(column, cell)
        if cell is None:
            return
        words = self.values.get(column)
        if words:
            cell = word_of(words, cell)
        for target in targets:
            read = self._read(entity, column, target, cell)
            if read is not None:
                yield target, read

    def _read(self, entity: str, column: str, target: str, cell: Any) -> Any:
        return read_cell(self.rules, self.cell_target(entity, column, target), cell)

    def cell_target(self, entity: str, column: str, target: str) -> CellTarget:
        """Return the kind and format of one target of a column."""
        nested = _NESTED_OF_EVENTS if entity == "events" else _NESTED
        return CellTarget(
            column,
            target,
            kind_of(entity, target),
            self.types.get(column),
            self.formats.get(column),
            is_json=target in nested,
        )

    def column_kinds(self, entity: str) -> dict[str, Kind | str | None]:
        """Return the kind of each column: that of its first target that has one, else its chosen
        type."""
        kinds = dict[str, Kind | str | None]()
        for column, targets in self.columns.items():
            of_targets = (kind_of(entity, target) for target in targets)
            kinds[column] = next(filter(None, of_targets), self.types.get(column))
        return kinds

    def plain(self) -> dict[str, Any]:
        """Return the members as JSON, to store them with an import.

        Imports of earlier versions are recognised by them: members added since are left out where
        they are empty.
        """
        members = {name: _member(self, name) for name in _MEMBERS}
        return {name: each for name, each in members.items() if each or name in _ALWAYS_STORED}


def word_of(words: Mapping[str, str], cell: Any) -> Any:
    """Return the text that a mapping uses instead of a cell: the cell itself if it names none."""
    text = str(cell)
    return words.get(text, words.get(text.strip().lower(), words.get("*", cell)))


_NESTED: Final = ("extensions", "contact", "contacts", "consumers", "orderItems")
_NESTED_OF_EVENTS: Final = ("identifiers", "ext", "data")


_OF_RULES: Final = ("decimal", "timezone", "pivot", "region", "nothing", "guards", "trim")
_OF_COLUMNS: Final = tuple(
    each.name for each in fields(ColumnMapping) if each.init and each.name != "rules"
)
_MEMBERS: Final = (*_OF_COLUMNS, *_OF_RULES)
_ALWAYS_STORED: Final = (
    "columns",
    "formats",
    "values",
    "types",
    "constants",
    "delimiter",
    "encoding",
)


def _member(mapping: ColumnMapping, name: str) -> Any:
    """Return a member of a mapping as JSON."""
    value = getattr(mapping.rules if name in _OF_RULES else mapping, name)
    if isinstance(value, frozenset):
        return sorted(value)
    if name == "columns":
        return {column: list(targets) for column, targets in value.items()}
    return value


def mapping_of(entity: str, document: Mapping[str, Any]) -> ColumnMapping:
    """Read a mapping; raises OperatorError that names every problem."""
    values, problems = read_document(entity, document)
    problems = [*unknown_in(document), *problems]
    if problems:
        ends = (each.message.rstrip(".") for each in problems)
        raise OperatorError(" ".join(end if end[-1] in "?…" else f"{end}." for end in ends))
    rules = {name: values[name] for name in _OF_RULES}
    for name in ("nothing", "guards", "trim"):
        rules[name] = frozenset(rules[name])
    columns = {column: tuple(targets) for column, targets in values["columns"].items()}
    return ColumnMapping(
        **{name: values[name] for name in _OF_COLUMNS} | {"columns": columns},
        rules=CellRules(**rules | {"region": rules["region"].upper()}),
    )


def read_mapping(entity: str | None, text: str, name: str) -> tuple[str, ColumnMapping]:
    """Read a mapping file; return the kind of its records, and the mapping. Raises
    OperatorError."""
    try:
        document = tomllib.loads(text, parse_float=Decimal)
    except tomllib.TOMLDecodeError as error:
        raise OperatorError(f"The mapping {name} is not valid TOML: {error}.") from error
    entity = str(entity or document.get("entity") or _only_entity(document))
    if entity not in PLANS:
        raise OperatorError(f'The mapping {name} needs entity = "guests", "orders" or "events".')
    return entity, mapping_of(entity, document)


def _only_entity(document: Mapping[str, Any]) -> str:
    """Return the kind of records, guests or orders, that alone has every target of a mapping."""
    columns = document.get("columns")
    every = columns.values() if isinstance(columns, dict) else ()
    targets = [one for each in every for one in (each if isinstance(each, list) else [each])]
    of = [
        entity
        for entity in ("guests", "orders")
        if targets and all(isinstance(one, str) and is_target(entity, one) for one in targets)
    ]
    return of[0] if len(of) == 1 else ""


def named_like_targets(entity: str, columns: Iterable[str]) -> bool:
    """Whether a table's columns are named as exports name them, so that `by_name` maps them."""
    owned = {name for name, (_, kind, _) in PLANS[entity].items() if kind is None}
    names = [column for column in columns if column != REASON]
    marks = owned | {"identifiers", *_NESTED}
    return all(name in owned or is_target(entity, name) for name in names) and (
        entity == "events" or any("." in name or name in marks for name in names)
    )


def by_name(entity: str, columns: Iterable[str]) -> ColumnMapping:
    """Return the mapping of a table whose columns are named like targets, as in exports."""
    # Exports contain fields that the server owns, which an import cannot use.
    owned = {name for name, (_, kind, _) in PLANS[entity].items() if kind is None}
    names = [column for column in columns if column and column not in {*owned, REASON}]
    wrong = [name for name in names if not is_target(entity, name)]
    if wrong:
        named = [(name, near_target(entity, name)) for name in wrong[:5]]
        listed = ", ".join(f"{name} ({near}?)" if near else name for name, near in named)
        raise OperatorError(
            f"No field of {entity} is called {listed}: write a mapping with "
            f"--suggest, edit it, and import again."
        )
    typed = {name: typed_target(name) for name in names}
    return ColumnMapping(
        {name: _own_targets(target, names) for name, (target, _) in typed.items()},
        types={name: type_ for name, (_, type_) in typed.items() if type_},
    )


def typed_target(name: str) -> tuple[str, str]:
    """Return the target of a column of an export, and the type of a pair's values: text, unless
    the name ends with another, as `extensions.ext.points:number` does."""
    target, _, type_ = name.rpartition(":")
    if not name.startswith("extensions."):
        return name, ""
    return (target, type_) if target and type_ in TYPES else (name, "text")


def _own_targets(name: str, names: Sequence[str]) -> tuple[str, ...]:
    """Return the targets of a column named like one; an e-mail address also identifies if no other
    column does."""
    prefix = "contact." if name.startswith("contact.") else ""
    if name != f"{prefix}email" or any(
        each.startswith(f"{prefix}identifiers") or each == prefix.rstrip(".") for each in names
    ):
        return (name,)
    return name, f"{prefix}identifiers.email"
