"""Read the body of an audience export: format, columns, template."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from innkeeper.errors import Invalid, Problem
from innkeeper.resources.exports import (
    BY_COLUMNS,
    CSV,
    HASHED,
    HASHED_FIELDS,
    JSON,
    LISTS,
    MOST_COLUMNS,
    NDJSON,
    PARQUET,
)
from innkeeper.resources.segments import ENTITIES, TRAIT, SegmentField, snake
from innkeeper.rules.consent import channels_of

_PLACEHOLDER: Final = re.compile(r"\{\{\s*([\w.]{1,200})\s*\}\}")
_ONLY: Final = re.compile(r"\{\{\s*([\w.]{1,200})\s*\}\}\Z")


@dataclass(frozen=True)
class ExportColumn:
    """A column: a declared field, a pair of a data extension, a trait, or a list."""

    name: str
    location: str
    field: str
    declared: SegmentField | None = None


@dataclass(frozen=True)
class ExportFormat:
    """The format of an export's files."""

    format: str
    columns: tuple[ExportColumn, ...]
    delimiter: str = ","
    header: bool = True
    quote: bool = False
    template: Any = None
    filter: Mapping[str, Any] | None = None
    guarded: bool = False
    """Whether texts that a spreadsheet would run as formulas are marked (CSV only)."""
    bom: bool = False
    """Whether files begin with a byte order mark, by which Excel recognises UTF-8 (CSV only)."""
    consent: str = BY_COLUMNS
    """The guests that it excludes, one of `consent.CHOICES`."""

    @property
    def channels(self) -> list[str]:
        """The channels whose unsubscribed guests are left out."""
        return channels_of(self.consent, [column.name for column in self.columns])


def read_shape(body: Mapping[str, Any], traits: Mapping[str, str]) -> ExportFormat:
    """Read the format of an export, whose members are checked; raises `Invalid`."""
    problems: list[Problem] = []
    form = body.get("format", CSV).upper()
    guarded = body.get("guarded", False) is True
    if guarded and form != CSV:
        problems.append(Problem("guarded", "is for CSV alone"))
    bom = body.get("bom", False) is True
    if bom and form != CSV:
        problems.append(Problem("bom", "is for CSV alone"))
    template = body.get("template")
    names = body.get("columns")
    if template is not None:
        if form not in (JSON, NDJSON):
            problems.append(Problem("template", "must be an object, of a JSON export"))
        names = sorted(set(_placeholders(template)))
    if names is None:
        names = ["ref", *(name for name in ENTITIES["guest"].fields if name != "ref")]
        names = [name for name in names if form != CSV or not ENTITIES["guest"].fields[name].many]
    if not 0 < len(names) <= MOST_COLUMNS:
        problems.append(Problem("columns", f"must be an array of 1 to {MOST_COLUMNS} names"))
        names = []
    columns = []
    for index, name in enumerate(names):
        column = _column(name, form, traits)
        if column is None:
            problems.append(Problem(f"columns[{index}]", f"there is no column {name}"))
        else:
            columns.append(column)
    if problems:
        raise Invalid(*problems)
    return ExportFormat(
        form,
        tuple(columns),
        body.get("delimiter", ","),
        body.get("header", True) is True,
        body.get("quote", False) is True,
        template,
        body.get("filter"),
        guarded,
        bom,
        body.get("consent", BY_COLUMNS),
    )


def read_table(names: Sequence[str], sort: str, traits: Mapping[str, str]) -> ExportFormat:
    """Read the columns of a table of guests, and the one that it is sorted by, if any; `ref` is
    added at the end. Raises `Invalid`."""
    columns = [*names, *([sort] if sort else []), "ref"]
    try:
        return read_shape({"format": NDJSON, "columns": columns}, traits)
    except Invalid as invalid:
        of_sort = f"columns[{len(names)}]" if sort else ""
        raise Invalid(
            *(
                Problem("sort", each.reason) if each.field == of_sort else each
                for each in invalid.problems
            )
        ) from None


def traits_named(body: Mapping[str, Any]) -> set[str]:
    """Return the traits that the columns and the template of an export's body name."""
    names = {*(body.get("columns") or ()), *_placeholders(body.get("template"))}
    return {field for where, _, field in (name.partition(".") for name in names) if where == TRAIT}


def _column(name: Any, form: str, traits: Mapping[str, str]) -> ExportColumn | None:
    """Return the column of a name such as `city`, `ext.tier`, `trait.orderCount` or `orders`."""
    if not isinstance(name, str) or not name:
        return None
    location, dot, field = name.partition(".")
    if not dot:
        declared = ENTITIES["guest"].fields.get(snake(name))
        if declared is not None:
            return ExportColumn(name, "core", declared.name, declared)
        lists = form in (JSON, NDJSON, PARQUET) and snake(name) in LISTS
        return ExportColumn(name, "list", snake(name)) if lists else None
    if location == HASHED:
        return ExportColumn(name, HASHED, field) if field in HASHED_FIELDS else None
    if location == TRAIT:
        return ExportColumn(name, TRAIT, field) if field in traits else None
    return ExportColumn(name, location, field) if field else None


def _placeholders(template: Any) -> Iterator[str]:
    if isinstance(template, dict):
        for value in template.values():
            yield from _placeholders(value)
    elif isinstance(template, list):
        for value in template:
            yield from _placeholders(value)
    elif isinstance(template, str):
        yield from _PLACEHOLDER.findall(template)


def filled(template: Any, row: Mapping[str, Any]) -> Any:
    """Fill a template with a guest's values; a string that is one placeholder becomes the value."""
    if isinstance(template, dict):
        return {name: filled(value, row) for name, value in template.items()}
    if isinstance(template, list):
        return [filled(value, row) for value in template]
    if not isinstance(template, str):
        return template
    only = _ONLY.match(template)
    if only:
        return row.get(only[1])

    def text(match: re.Match[str]) -> str:
        value = row.get(match[1])
        return "" if value is None else str(value)

    return _PLACEHOLDER.sub(text, template)
