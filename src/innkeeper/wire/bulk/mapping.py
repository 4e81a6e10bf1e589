"""Mappings: which column of a table becomes which field of a record, as a file that people edit."""

import codecs
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal, InvalidOperation
from itertools import chain, islice
from typing import Any, Final

from innkeeper.errors import OperatorError
from innkeeper.resources.definitions import MAPPING
from innkeeper.resources.kinds import Count, Kind, ListOf, Number, ObjectOf, Opaque
from innkeeper.rules.members import LONGEST_NAME, nearest, unknown_members
from innkeeper.wire.bulk import batch_records
from innkeeper.wire.bulk.batch_plans import ITEM, ORDER, OWN_GUEST, Plan

PLANS: Final[Mapping[str, Plan]] = {
    "guests": OWN_GUEST,
    "orders": ORDER,
    "events": {},
}
TYPES: Final = ("text", "number", "boolean")
MOST_FAULTS: Final = 50
_MOST_HEADER: Final = 1000


class Unfit(ValueError):
    """A cell that cannot become what its column is mapped to; the argument says why."""


@dataclass(frozen=True, slots=True)
class ColumnMapping:
    """How rows of a table become the values of records."""

    columns: Mapping[str, tuple[str, ...]]
    """Column -> targets: `firstName`, `identifiers.CRM`, `extensions.ext.tier`, `contact.email`."""
    formats: Mapping[str, str] = field(default_factory=dict)
    """Column of dates -> how they are written, as strptime spells it."""
    values: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Column -> text in it -> text to take instead."""
    types: Mapping[str, str] = field(default_factory=dict)
    """Column -> type of its values, where nothing else tells."""
    constants: Mapping[str, Any] = field(default_factory=dict)
    """Target -> the same value for every record."""
    delimiter: str = ""
    encoding: str = ""
    """How the file is encoded and its cells are separated; empty where its content decides."""
    header: int = 0
    """The line that names the columns; 0 where the content decides."""
    sheet: str = ""
    """The sheet of a workbook; empty for its first."""
    guarded: bool = False
    """Whether cells of a CSV file that a spreadsheet would run are marked (rules/spreadsheets)."""

    @property
    def is_of_lines(self) -> bool:
        """Whether a row is a line of an order, whose other lines stand in other rows."""
        targets = [*self.constants, *chain.from_iterable(self.columns.values())]
        return any(target.startswith("orderItems.") for target in targets)

    def value(self, holds: str, row: Mapping[str, Any]) -> dict[str, Any]:
        """The value of a record; raises `Unfit`."""
        value: dict[str, Any] = {}
        for target, constant in self.constants.items():
            put(holds, value, target, constant)
        for column, targets in self.columns.items():
            cell = row.get(column)
            if cell is None or cell == "":
                continue
            cell = self.values.get(column, {}).get(str(cell), cell)
            for target in targets:
                read = self._read(holds, column, target, cell)
                if read is not None:
                    put(holds, value, target, read)
        return value

    def _read(self, holds: str, column: str, target: str, cell: Any) -> Any:
        if column in self.formats:
            try:
                moment = datetime.strptime(str(cell), self.formats[column])
            except ValueError:
                raise Unfit(f"{column}: is not a date as {self.formats[column]}") from None
            return moment.isoformat()
        if not isinstance(cell, str):
            return cell
        kind = kind_of(holds, target)
        type_ = self.types.get(column)
        if type_ == "number" or isinstance(kind, Number | Count):
            return number_in(column, cell)
        if type_ == "boolean":
            return boolean_in(column, cell)
        is_json = isinstance(kind, ListOf | Opaque | ObjectOf) or target in (
            _NESTED_OF_EVENTS if holds == "events" else _NESTED
        )
        if is_json and cell[:1] in "[{":
            try:
                return batch_records.json_value(cell.encode())
            except batch_records.BadText:
                raise Unfit(f"{column}: is not valid JSON") from None
        return cell

    def plain(self) -> dict[str, Any]:
        """As it is kept with an import: JSON."""
        return {
            "columns": {column: list(targets) for column, targets in self.columns.items()},
            "formats": dict(self.formats),
            "values": {column: dict(words) for column, words in self.values.items()},
            "types": dict(self.types),
            "constants": dict(self.constants),
            "delimiter": self.delimiter,
            "encoding": self.encoding,
            **({"header": self.header} if self.header else {}),
            **({"sheet": self.sheet} if self.sheet else {}),
            # Imports that were begun before there was such a thing are known by the rest.
            **({"guarded": True} if self.guarded else {}),
        }


_NESTED: Final = ("extensions", "contact", "consumers", "orderItems")
_NESTED_OF_EVENTS: Final = ("identifiers", "ext", "data")


def kind_of(holds: str, target: str) -> Kind | None:
    """What values a target takes, where it is a field."""
    where, _, rest = target.partition(".")
    if where in ("contact", "consumers"):
        return kind_of("guests", rest)
    in_item = where == "orderItems" and rest
    declared = ITEM.get(rest) if in_item else PLANS[holds].get(target)
    return declared[1] if declared else None


def put(holds: str, value: dict[str, Any], target: str, read: Any) -> None:
    """Set one target of a record's value; a list takes what several columns tell."""
    where, _, rest = target.partition(".")
    if where == "contact" and rest:
        put("guests", value.setdefault("contact", {}), rest, read)
    elif where == "orderItems" and rest:
        items = value.setdefault("orderItems", [{}])
        put("items", items[0], rest, read)
    elif where == "identifiers" and rest:
        one = {"provider": rest, "id": read if isinstance(read, str) else str(read)}
        value.setdefault("identifiers", []).append(one)
    elif where == "extensions" and rest:
        _put_pair(value, rest, read)
    elif where == "ext" and rest:
        value.setdefault("ext", {})[rest] = read
    elif holds == "events" and target == "data" and isinstance(read, dict):
        # What an export keeps of members that have no column of their own.
        value.update(read)
    elif isinstance(kind_of(holds, target) if holds in PLANS else None, ListOf):
        value.setdefault(target, []).extend(read if isinstance(read, list) else [read])
    else:
        value[target] = read


def _put_pair(value: dict[str, Any], rest: str, read: Any) -> None:
    if isinstance(read, dict):
        # A pair holds one value: `consent` with a member `at` is a pair `consentAt`.
        for member, of_it in read.items():
            if of_it is not None:
                _put_pair(value, rest + _capitalised(member), of_it)
        return
    name, _, attribute = rest.rpartition(".")
    name, _, key = (name or "ext").partition("/")
    groups = value.setdefault("extensions", [])
    for group in groups:
        if group["name"] == name and group["key"] == (key or "default"):
            group[attribute] = read
            return
    groups.append({"name": name, "key": key or "default", attribute: read})


def _capitalised(name: str) -> str:
    """A name as the later part of one in camel case."""
    words = "".join(c if c.isascii() and c.isalnum() else " " for c in name).split()
    return "".join(word[:1].upper() + word[1:] for word in words)


def mapping_of(holds: str, document: Mapping[str, Any]) -> ColumnMapping:
    """Read a mapping; raises OperatorError that names every problem."""
    unknown = [f"{each.field} {each.reason}" for each in unknown_members(document, MAPPING)]
    faults = ["; ".join(unknown)] if unknown else []
    faults += mapping_faults(holds, document)
    if faults:
        raise OperatorError(" ".join(faults))
    return ColumnMapping(
        {column: _targets(targets) for column, targets in document.get("columns", {}).items()},
        document.get("formats", {}),
        document.get("values", {}),
        document.get("types", {}),
        document.get("constants", {}),
        str(document.get("delimiter", "")),
        str(document.get("encoding", "")),
        document.get("header", 0),
        document.get("sheet", ""),
        document.get("guarded", False),
    )


def mapping_faults(holds: str, document: Mapping[str, Any]) -> list[str]:
    """What is wrong with the values of a mapping, at most `MOST_FAULTS` sentences."""
    return list(islice(_faults(holds, document), MOST_FAULTS))


def _faults(holds: str, document: Mapping[str, Any]) -> Iterator[str]:
    if document.get("entity", holds) != holds:
        yield f"The mapping is for {document['entity']}, not for {holds}."
    tables: dict[str, dict[str, Any]] = {}
    for name in ("columns", "types", "constants", "formats", "values"):
        table = document.get(name, {})
        if not isinstance(table, dict):
            yield f"{name} of a mapping must be a table."
        tables[name] = table if isinstance(table, dict) else {}
    for column, targets in tables["columns"].items():
        if not isinstance(targets, str | list | tuple):
            yield f"The target of {column} must be a field, or a list of fields."
            continue
        yield from _target_faults(holds, _targets(targets))
    for column, kind in tables["types"].items():
        if kind not in TYPES:
            yield f"The type of {column} must be one of {', '.join(TYPES)}."
    yield from _target_faults(holds, tables["constants"])
    for column, form in tables["formats"].items():
        if not isinstance(form, str):
            yield f"The format of {column} must be text, such as %d.%m.%Y."
    for column, words in tables["values"].items():
        if not isinstance(words, dict) or not all(isinstance(each, str) for each in words.values()):
            yield f"The values of {column} must be a table of texts."
    yield from _form_faults(document)


def _form_faults(document: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with how the file is said to be written."""
    delimiter, encoding = str(document.get("delimiter", "")), str(document.get("encoding", ""))
    if len(delimiter) > 1 or delimiter in ("\n", "\r", '"'):
        yield "The delimiter must be one character, such as ; or a tab."
    try:
        codecs.lookup(encoding or "utf-8")
    except (LookupError, ValueError):
        yield f"There is no encoding {encoding}: say utf-8, cp1252 …"
    header = document.get("header", 0)
    if isinstance(header, bool) or not isinstance(header, int) or not 0 <= header <= _MOST_HEADER:
        yield f"header of a mapping must be the line of the header, at most {_MOST_HEADER}."
    if not isinstance(document.get("sheet", ""), str):
        yield "sheet of a mapping must be the name of a sheet."
    if not isinstance(document.get("guarded", False), bool):
        yield "guarded of a mapping must be true or false."


def _targets(targets: str | Sequence[Any]) -> tuple[Any, ...]:
    return (targets,) if isinstance(targets, str) else tuple(targets)


def _target_faults(holds: str, targets: Iterable[Any]) -> Iterator[str]:
    """A sentence for each target that no record of that kind has."""
    for target in targets:
        if not isinstance(target, str) or not is_target(holds, target):
            near = _near(holds, str(target))
            meant = f"; did you mean {near}?" if near else "."
            yield f"{str(target)[:LONGEST_NAME]} is not a field of {holds}{meant}"


def _near(holds: str, target: str) -> str | None:
    """The field that a misspelt target may mean."""
    where, dot, rest = target.partition(".")
    plan = {"contact": PLANS["guests"], "orderItems": ITEM}.get(where if dot else "", PLANS[holds])
    prefix = f"{where}." if plan is not PLANS[holds] else ""
    names = [name for name in plan if is_target(holds, prefix + name)]
    near = nearest(rest if prefix else target, names)
    return None if near is None else prefix + near


def is_target(holds: str, target: str) -> bool:
    where, _, rest = target.partition(".")
    if holds == "events":
        return bool(target)
    if where in ("identifiers", "extensions") and (rest or holds == "guests"):
        return holds != "orders" or where == "extensions"
    if holds == "orders" and where == "contact":
        return not rest or is_target("guests", rest)
    if holds == "orders" and where == "orderItems":
        return not rest or rest in ITEM or rest.startswith("extensions.")
    if target in ("consumers",):
        return holds == "orders"
    declared = PLANS[holds].get(target)
    return declared is not None and declared[1] is not None


def read_mapping(holds: str, text: str, name: str) -> ColumnMapping:
    """A mapping file; raises OperatorError."""
    try:
        return mapping_of(holds, tomllib.loads(text, parse_float=Decimal))
    except tomllib.TOMLDecodeError as error:
        raise OperatorError(f"The mapping {name} is not valid TOML: {error}.") from error


def by_name(holds: str, columns: Iterable[str]) -> ColumnMapping:
    """The mapping of a table whose columns are named like targets, as exports name them."""
    # What the server owns stands in its exports, and is of no use to an import.
    owned = {name for name, (_, kind, _) in PLANS[holds].items() if kind is None}
    names = [column for column in columns if column and column not in owned]
    wrong = [name for name in names if not is_target(holds, name)]
    if wrong:
        named = [(name, _near(holds, name)) for name in wrong[:5]]
        listed = ", ".join(f"{name} ({near}?)" if near else name for name, near in named)
        raise OperatorError(
            f"No field of {holds} is called {listed}: write a mapping with "
            f"--suggest, edit it, and import again."
        )
    return ColumnMapping({name: (name,) for name in names})


def number_in(column: str, cell: str) -> int | Decimal | None:
    """The number of a cell; None for NaN and infinity, which are nothing; raises `Unfit`."""
    try:
        number = int(cell) if cell.lstrip("+-").isdecimal() else Decimal(cell)
    except (InvalidOperation, ValueError):
        raise Unfit(f"{column}: must be a number") from None
    return number if isinstance(number, int) or number.is_finite() else None


def boolean_in(column: str, cell: str) -> bool:
    word = cell.strip().lower()
    if word in ("true", "yes", "y"):
        return True
    if word in ("false", "no", "n"):
        return False
    raise Unfit(f"{column}: must be true or false")
