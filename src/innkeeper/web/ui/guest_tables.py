"""Tables of guests on pages: columns, sort and page come from the query of the URL."""

from collections.abc import Collection, Mapping
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from starlette.responses import Response

from innkeeper.actions.admin import audit
from innkeeper.actions.audiences import guest_tables, segment_catalogue
from innkeeper.actions.audiences.guest_tables import GuestTable
from innkeeper.actions.console import search
from innkeeper.actions.paging import PageRequest
from innkeeper.errors import Invalid
from innkeeper.resources.guests import Guest
from innkeeper.resources.naming import camel
from innkeeper.resources.segments import (
    BOOLEAN,
    CORE,
    IDENTIFIER,
    NUMBER,
    STATIC_LIST,
    STRING,
    TIMESTAMP,
    TRAIT,
)
from innkeeper.rules.access import Right
from innkeeper.rules.exports import ExportColumn
from innkeeper.rules.masking import masked
from innkeeper.rules.personal import is_personal
from innkeeper.web.downloads import Body, Download, read_blocks
from innkeeper.web.ui.formatting import (
    column_words,
    date,
    moment,
    money,
    number,
    title_words,
    value_text,
)
from innkeeper.web.ui.rendering import PAGE_SIZE
from innkeeper.web.ui.shell import PageRoute, Visit

DEFAULT_COLUMNS: Final = ("email", "city", "country", "trait.orderCount", "lastSeen")
_NUMERIC_TRAITS: Final = ("Count", "Value", "rfm")


def chosen_columns(visit: Visit) -> list[str]:
    """Return the columns that the URL names, or the default ones."""
    return visit.request.query_params.getlist("columns") or list(DEFAULT_COLUMNS)


def page_request(visit: Visit, offset: int, limit: int) -> PageRequest:
    """Return the page that the URL names: `sort=-lastSeen` sorts by that column, descending.

    Visitors who may not see personal data may not sort by it.
    """
    text = visit.query_text("sort")
    name = text.removeprefix("-")
    may_sort = bool(name) and (visit.personal or not _is_personal_name(name))
    return PageRequest(offset, limit, sort=((name, text != name),) if may_sort else ())


async def read_table(
    visit: Visit, definition: Mapping[str, Any], only: Collection[UUID] | Path | None = None
) -> dict[str, Any]:
    """Return the template context of a table: rows, columns, and the query that keeps both. `only`:
    the guests to choose among, or a file with a ref in each line."""
    columns = chosen_columns(visit)
    request = page_request(visit, visit.offset, PAGE_SIZE)
    problems: tuple[str, ...] = ()
    try:
        table = await guest_tables.of_definition(
            visit.work, definition, columns, request, only, stored=definition
        )
    except Invalid as invalid:
        # An old link may name a column that was deleted: the table is shown without it.
        problems = tuple(problem.reason for problem in invalid.problems)
        request = PageRequest(visit.offset, PAGE_SIZE)
        columns = [name for name in columns if name in DEFAULT_COLUMNS]
        table = await guest_tables.of_definition(
            visit.work, definition, columns, request, only, stored=definition
        )
    people = {
        row["ref"]: visit.veil(row, Guest)
        for row in await search.list_rows(visit.work, [ref for ref, _ in table.rows])
    }
    sort = request.sort[0] if request.sort else ("", False)
    own = columns if tuple(columns) != DEFAULT_COLUMNS else []
    return {
        "table": table,
        "rows": [
            (people.get(ref, {"ref": ref}), _cells(visit, table, values))
            for ref, values in table.rows
        ],
        "columns": [
            (column.name, column_label(column.name), is_numeric(column)) for column in table.columns
        ],
        "sort": sort,
        "query": {"columns": own, "sort": ("-" if sort[1] else "") + sort[0]},
        "table_problems": problems,
    }


async def download(
    visit: Visit,
    name: str,
    definition: Mapping[str, Any],
    about: audit.AuditSubject | None,
    only: Collection[UUID] | None = None,
    search_text: str = "",
) -> Response:
    """Return all of a table as a CSV file, and record it in the audit log.

    `search_text`: the search whose hits it has, instead of `only`.
    """
    visit.need(Right.EXPORTS)
    visit.need(Right.PERSONAL)
    columns, request = chosen_columns(visit), page_request(visit, 0, PAGE_SIZE)

    async def open_body() -> Body:
        async with visit.lend() as work:
            shape = definition, columns, request
            if search_text:
                table, rows = await search.open_csv(work, search_text, *shape)
            else:
                table, rows = await guest_tables.open_csv(work, *shape, only=only)
            await audit.note(work, "guests.download", about=about, rows=rows)
        return read_blocks(table)

    return Download(
        visit.database.limits.downloads, open_body, "text/csv; charset=utf-8", f"{name}.csv"
    )


async def choose_columns(visit: Visit) -> Response:
    """Show every column that a table of guests may have, in groups, as boxes to check."""
    chosen = chosen_columns(visit)
    groups: dict[str, list[tuple[str, str, str]]] = {"Shown now": []}
    for each in await segment_catalogue.list_guest_fields(visit.work):
        location, field = each["location"], each["field"]
        if location in (IDENTIFIER, STATIC_LIST) or field == "ref":
            continue
        name = camel(field) if location == CORE else f"{location}.{field}"
        titles = {CORE: "Fields", TRAIT: "Computed traits"}
        title = titles.get(location, f"Data extension {location}")
        group = groups["Shown now"] if name in chosen else groups.setdefault(title, [])
        group.append((name, column_label(name), each.get("doc", "")))
    groups["Shown now"].sort(key=lambda column: chosen.index(column[0]))
    return visit.show("guest_columns.html", groups=groups, chosen=chosen)


def column_label(name: str) -> str:
    """Return the heading of a column."""
    base = name.partition(".")[0]
    return column_words(name) if base in (TRAIT, name) else title_words(name)


def is_numeric(column: ExportColumn) -> bool:
    """Whether a column's values are aligned to the right."""
    if column.declared is not None:
        return column.declared.type == NUMBER
    return column.location == TRAIT and any(word in column.field for word in _NUMERIC_TRAITS)


def _cells(visit: Visit, table: GuestTable, values: tuple[Any, ...]) -> list[str]:
    return [
        _cell(visit, column, value) for column, value in zip(table.columns, values, strict=True)
    ]


def _cell(visit: Visit, column: ExportColumn, value: Any) -> str:
    """Format one value, masked for visitors who may not see it."""
    if value in (None, "", []):
        return ""
    kind = _kind(column, value)
    texts = [*map(value_text, value if isinstance(value, list | tuple) else [value])]
    if not visit.personal and is_personal(column.field, column.location, kind):
        return masked("; ".join(texts))
    if kind == TIMESTAMP:
        return date(value) if column.field == "date_of_birth" else moment(value)
    if kind == NUMBER:
        currency = column.field.partition(".")[2] if column.location == TRAIT else ""
        is_money = bool(currency) and not column.field.startswith("rfm")
        return money(value, currency) if is_money else number(value)
    return ", ".join(texts)


def _kind(column: ExportColumn, value: Any) -> str:
    """Return the type of a value: as declared; of a trait by its value, whose times are text."""
    if column.declared is not None:
        return column.declared.type
    if isinstance(value, bool):
        return BOOLEAN
    if isinstance(value, int | float | Decimal):
        return NUMBER
    is_time = column.location == TRAIT and column.field.endswith("At")
    return TIMESTAMP if is_time or isinstance(value, datetime) else STRING


def _is_personal_name(name: str) -> bool:
    location, dot, field = name.partition(".")
    return is_personal(field, location) if dot else is_personal(name)


PAGES: Final = (PageRoute("/guests/columns", choose_columns),)
