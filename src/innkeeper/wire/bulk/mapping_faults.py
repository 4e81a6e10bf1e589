"""What is wrong with a mapping, as sentences for the person who wrote it."""

import codecs
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final

from innkeeper.rules.date_formats import format_fault
from innkeeper.rules.members import LONGEST_NAME
from innkeeper.wire.bulk.cells import TYPES, cell_rule_faults
from innkeeper.wire.bulk.targets import is_single, is_target, near_target

MOST_FAULTS: Final = 50
_MOST_HEADER: Final = 1000
_NOT_OF_FILES: Final = ("punycode", "idna", "unicode-escape", "raw-unicode-escape")
"""Codecs of texts that no file is written in; the first takes time in the square of its text."""


def mapping_faults(holds: str, document: Mapping[str, Any]) -> list[str]:
    """What is wrong with the values of a mapping, at most `MOST_FAULTS` sentences."""
    return list(islice(_faults(holds, document), MOST_FAULTS))


def _faults(holds: str, document: Mapping[str, Any]) -> Iterator[str]:
    if document.get("entity", holds) != holds:
        yield f"The mapping is for {document['entity']}, not for {holds}."
    tables: dict[str, dict[str, Any]] = {}
    for name in ("columns", "types", "constants", "formats", "values", "fallbacks"):
        table = document.get(name, {})
        if not isinstance(table, dict):
            yield f"{name} of a mapping must be a table."
        tables[name] = table if isinstance(table, dict) else {}
    yield from _column_faults(holds, tables["columns"])
    for column, kind in tables["types"].items():
        if kind not in TYPES:
            yield f"The type of {column} must be one of {', '.join(TYPES)}."
    yield from _target_faults(holds, tables["constants"])
    yield from _target_faults(holds, tables["fallbacks"])
    for column, form in tables["formats"].items():
        fault = format_fault(form) if isinstance(form, str) else "must be text such as DD/MM/YYYY"
        if fault:
            yield f"The format of {column} {fault}."
    for column, words in tables["values"].items():
        if not isinstance(words, dict) or not all(isinstance(each, str) for each in words.values()):
            yield f"The values of {column} must be a table of texts."
    yield from _form_faults(document)
    yield from cell_rule_faults(document)
    yield from _undecided(document.get("undecided", []), tables)
    yield from _group_faults(holds, document.get("group", ""), tables["columns"])


def _column_faults(holds: str, columns: Mapping[str, Any]) -> Iterator[str]:
    for column, targets in columns.items():
        if isinstance(targets, str | list | tuple):
            yield from _target_faults(holds, targets_of(targets))
        else:
            yield f"The target of {column} must be a field, or a list of fields."
    yield from _shared_targets(holds, columns)


def _group_faults(holds: str, group: Any, columns: Mapping[str, Any]) -> Iterator[str]:
    if not isinstance(group, str) or (group and group not in columns):
        yield "group of a mapping must be one of its columns."
    elif group and holds != "orders":
        yield f"group of a mapping is for orders, not for {holds}."


def _undecided(entries: Any, tables: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """A sentence for each entry that a person has not chosen yet."""
    if not isinstance(entries, list):
        yield "undecided of a mapping must be a list of [table, entry]."
        return
    for each in entries:
        if not isinstance(each, list) or len(each) != 2 or not isinstance(each[1], str):
            yield "undecided of a mapping must be a list of [table, entry]."
        elif each[1] not in tables.get(str(each[0]), {}) and not (
            each[0] == "columns" and each[1] in _all_targets(tables)
        ):
            yield f"The mapping leaves {each[1][:LONGEST_NAME]} open: choose it under [{each[0]}]."


def _all_targets(tables: Mapping[str, Mapping[str, Any]]) -> set[str]:
    """The targets that columns, constants and fallbacks fill."""
    columns = tables["columns"].values()
    named = {
        str(target)
        for each in columns
        if isinstance(each, str | list)
        for target in targets_of(each)
    }
    return named | {*tables["constants"], *tables["fallbacks"]}


def _form_faults(document: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with how the file is said to be written."""
    delimiter, encoding = str(document.get("delimiter", "")), str(document.get("encoding", ""))
    if len(delimiter) > 1 or delimiter in ("\n", "\r", '"'):
        yield "The delimiter must be one character, such as ; or a tab."
    try:
        # Raises for codecs that are not of text, such as zlib.
        "".encode(encoding or "utf-8")
        is_of_files = codecs.lookup(encoding or "utf-8").name not in _NOT_OF_FILES
    except (LookupError, ValueError):
        is_of_files = False
    if not is_of_files:
        yield f"There is no encoding {encoding}: say utf-8, cp1252 …"
    header = document.get("header", 0)
    if isinstance(header, bool) or not isinstance(header, int) or not 0 <= header <= _MOST_HEADER:
        yield f"header of a mapping must be the line of the header, at most {_MOST_HEADER}."
    if not isinstance(document.get("sheet", ""), str):
        yield "sheet of a mapping must be the name of a sheet."
    if not isinstance(document.get("guarded", False), bool):
        yield "guarded of a mapping must be true or false."


def targets_of(targets: str | Sequence[Any]) -> tuple[Any, ...]:
    return (targets,) if isinstance(targets, str) else tuple(targets)


def _shared_targets(holds: str, columns: Mapping[str, Any]) -> Iterator[str]:
    """A sentence for each target that takes one value and gets those of several columns."""
    columns_by_target: dict[str, list[str]] = {}
    for column, targets in columns.items():
        if isinstance(targets, str | list | tuple):
            for target in targets_of(targets):
                columns_by_target.setdefault(str(target), []).append(column)
    for target, several in columns_by_target.items():
        if len(several) > 1 and is_single(holds, target):
            names = ", ".join(each[:LONGEST_NAME] for each in several)
            yield (
                f"{target[:LONGEST_NAME]} takes one value, and {names} are mapped to it. "
                "Map one of them."
            )


def _target_faults(holds: str, targets: Iterable[Any]) -> Iterator[str]:
    """A sentence for each target that no record of that kind has."""
    for target in targets:
        if not isinstance(target, str) or not is_target(holds, target):
            near = near_target(holds, str(target))
            meant = f"; did you mean {near}?" if near else "."
            yield f"{str(target)[:LONGEST_NAME]} is not a field of {holds}{meant}"
