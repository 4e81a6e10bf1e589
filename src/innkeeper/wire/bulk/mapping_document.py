"""Declare the members of a mapping, for files and requests, and check one."""

import codecs
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain
from typing import Annotated, Any, Final

import msgspec
import phonenumbers

from innkeeper.errors import Problem
from innkeeper.resources.kinds import Kind, ListOf, Text, Whole
from innkeeper.resources.payload_kinds import Checked, Described, MapOf, OneOrMany, one_of
from innkeeper.resources.payloads import MOST_PROBLEMS, Payload, PayloadOf, read_members
from innkeeper.rules.date_formats import format_fault
from innkeeper.rules.members import LONGEST_NAME, unknown_members
from innkeeper.wire.bulk.cells import TYPES, is_zone
from innkeeper.wire.bulk.targets import is_single, is_target, near_target

_TEXT: Final = Text()
_NOT_OF_FILES: Final = ("punycode", "idna", "unicode-escape", "raw-unicode-escape")
"""Codecs of texts that no file uses; the time of the first is quadratic in the length of the
text."""


def _is_encoding(name: str) -> bool:
    try:
        # Raises for codecs that are not of text, such as zlib.
        "".encode(name)
        return codecs.lookup(name).name not in _NOT_OF_FILES
    except (LookupError, ValueError):
        return False


def _must_be(reason: str, is_right: Callable[[Any], bool], kind: Kind = _TEXT) -> Checked:
    """Return the kind of the values that `is_right` accepts, and of the empty text."""
    return Checked(kind, lambda value: None if not value or is_right(value) else reason)


_Texts = Annotated[dict[str, str], MapOf(_TEXT)]
_DELIMITER: Final = _must_be(
    "must be one character, such as ; or a tab", lambda text: len(text) == 1 and text not in '\n\r"'
)
_ENCODING: Final = _must_be("is not an encoding of files; use utf-8, cp1252 …", _is_encoding)
_DECIMAL: Final = _must_be('must be "." or ","', (".", ",").__contains__)
_ZONE: Final = _must_be("must be the name of a time zone, such as Europe/Berlin", is_zone)
_REGION: Final = _must_be(
    "must be the code of a country, such as US",
    lambda code: code.upper() in phonenumbers.SUPPORTED_REGIONS,
)
_REFUSE: Final = _must_be("must be row or cell", ("row", "cell").__contains__)
_PIVOT: Final = _must_be(
    "must be the first year of a century, such as 1930", lambda year: 1000 <= year <= 9900, Whole()
)


class ImportMapping(Payload, kw_only=True):
    """A mapping from the columns of a file to the fields of records."""

    entity: str = ""
    columns: Annotated[
        dict[str, list[str]], MapOf(OneOrMany(Text())), "Column -> field, or fields."
    ] = msgspec.field(default_factory=dict)
    formats: Annotated[
        dict[str, str],
        MapOf(Checked(Text(), format_fault)),
        "Column -> format of its dates, such as DD/MM/YYYY.",
    ] = msgspec.field(default_factory=dict)
    values: Annotated[
        dict[str, dict[str, str]],
        MapOf(MapOf(Text())),
        "Column -> text of a cell -> value to use instead.",
    ] = msgspec.field(default_factory=dict)
    types: Annotated[
        dict[str, str], MapOf(one_of(*TYPES)), "Column -> type, where no field has one."
    ] = msgspec.field(default_factory=dict)
    constants: Annotated[
        dict[str, Any], MapOf(Described({})), "Field -> value where no column fills it."
    ] = msgspec.field(default_factory=dict)
    fallbacks: Annotated[
        _Texts, "Field -> column to take where the field's own columns are empty."
    ] = msgspec.field(default_factory=dict)
    group: Annotated[
        str, "Column whose rows with the same value are one order; each row is a line of it."
    ] = ""
    undecided: Annotated[
        list[list[str]],
        ListOf(ListOf(Text(), 2, shortest=2)),
        "[table, entry] of each entry that is missing: complete these before you use the mapping.",
    ] = msgspec.field(default_factory=list)
    delimiter: Annotated[str, _DELIMITER] = ""
    encoding: Annotated[str, _ENCODING] = ""
    header: Annotated[int, Whole(0, 1000), "Line that names the columns."] = 0
    sheet: Annotated[str, "Sheet of a workbook."] = ""
    decimal: Annotated[str, _DECIMAL, "Mark before decimals: . or ,"] = ""
    timezone: Annotated[
        str, _ZONE, "Time zone of instants without an offset, such as Europe/Berlin."
    ] = ""
    pivot: Annotated[int, _PIVOT, "Earliest year that a two-digit year may mean, such as 1930."] = 0
    region: Annotated[
        str, _REGION, "Country of phone numbers without a country code, such as US."
    ] = ""
    nothing: Annotated[list[str], "Texts that mean an empty cell, such as NULL and N/A."] = (
        msgspec.field(default_factory=list)
    )
    guards: Annotated[list[str], 'Columns whose cells a spreadsheet guarded by \' or ="…".'] = (
        msgspec.field(default_factory=list)
    )
    trim: Annotated[list[str], "Columns without the spaces around their cells."] = msgspec.field(
        default_factory=list
    )
    refuse: Annotated[
        str,
        _REFUSE,
        "What to refuse where a field does not accept a cell: row, or cell, without which the row "
        "is imported. By default row.",
    ] = ""
    guarded: Annotated[bool, "Whether cells are marked as an export with `guarded` marks them."] = (
        False
    )


def read_document(entity: str | None, document: Any) -> tuple[dict[str, Any], list[Problem]]:
    """Return the members of a mapping that are right, and every problem but unknown members.

    `entity` is None where it is not known what the file holds.
    """
    if not isinstance(document, Mapping):
        return {}, [Problem("", "must be an object")]
    problems: list[Problem] = []
    values = read_members(ImportMapping, document, problems)
    more = (
        chain(_target_problems(entity, values), _other_problems(entity, values)) if entity else ()
    )
    for problem in more:
        problems.append(problem)
        if len(problems) > MOST_PROBLEMS:
            break
    return values, problems[:MOST_PROBLEMS]


def unknown_in(document: Mapping[str, Any]) -> list[Problem]:
    """Return a problem for each member that mappings do not have."""
    return unknown_members(document, PayloadOf(ImportMapping).schema())


def _other_problems(entity: str, values: Mapping[str, Any]) -> Iterator[Problem]:
    if values.get("entity") not in (None, "", entity):
        yield Problem("entity", f"The mapping is for {values['entity']}, not for {entity}.")
    group, columns = values.get("group"), values.get("columns", {})
    if group and "columns" in values and group not in columns:
        yield Problem("group", "must be one of the columns")
    elif group and entity != "orders":
        yield Problem("group", f"is for orders, not for {entity}")
    filled = {*chain.from_iterable(columns.values())}
    filled |= {*values.get("constants", ()), *values.get("fallbacks", ())}
    for table, entry in values.get("undecided", ()):
        is_chosen = entry in values.get(table, ()) or (table == "columns" and entry in filled)
        if not is_chosen:
            yield Problem(table, f"leaves {entry[:LONGEST_NAME]} open: choose it")


def _target_problems(entity: str, values: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield a problem for each target that no record has, and for each that takes one value and
    gets those of several columns."""
    columns_by_target: dict[str, list[str]] = {}
    for column, targets in values.get("columns", {}).items():
        yield from _unknown_targets(entity, f"columns.{column[:LONGEST_NAME]}", targets)
        for target in targets:
            columns_by_target.setdefault(target, []).append(column)
    for table in ("constants", "fallbacks"):
        yield from _unknown_targets(entity, table, values.get(table, ()))
    for target, several in columns_by_target.items():
        if len(several) > 1 and is_single(entity, target):
            names = ", ".join(each[:LONGEST_NAME] for each in several)
            reason = f"{target[:LONGEST_NAME]} takes one value, and {names} are mapped to it"
            yield Problem("columns", f"{reason}. Map one of them.")


def _unknown_targets(entity: str, at: str, targets: Iterable[str]) -> Iterator[Problem]:
    for target in targets:
        if not is_target(entity, target):
            near = near_target(entity, target)
            suggestion = f"; did you mean {near}?" if near else ""
            yield Problem(at, f"{target[:LONGEST_NAME]} is not a field of {entity}{suggestion}")
