"""Tables of guests: those of a definition, sorted, with chosen columns, as a page or a file."""

from collections.abc import Collection
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from sqlglot import exp

from innkeeper.lake.export_sql import CHOSEN, add_column, csv_cell, export_rows
from innkeeper.lake.segment_members import Question, count_page, prepare_members
from innkeeper.lake.segment_sql import REQUESTED_GUESTS, limit_to_requested
from innkeeper.lake.session import Form
from innkeeper.lake.snapshot import Lake, opened_for
from innkeeper.lake.tables import REFS
from innkeeper.resources.exports import PARQUET
from innkeeper.resources.segments import ENTITIES, STRING, TRAIT
from innkeeper.rules.exports import ExportColumn, ExportFormat
from innkeeper.rules.spreadsheets import guarded
from innkeeper.rules.traits import Traits
from innkeeper.store.work import Work

REF: Final = ExportColumn("ref", "core", "ref", ENTITIES["guest"].fields["ref"])
_MOST: Final = 2**31 - 1
"""Largest limit and offset that every engine reads."""
_KEY: Final = "sort_key"
_REF_OF_ROW: Final = exp.column("ref", "s", quoted=True)


async def list_page(
    work: Work,
    lake: Lake,
    question: Question,
    shape: ExportFormat,
    sort: tuple[ExportColumn, bool] | None,
    limit: int,
    offset: int,
    only: Collection[str] | Path | None = None,
) -> tuple[int, list[tuple[Any, ...]]]:
    """Count the guests of a definition, and read one page of them: the ref, then each column.

    `sort`: (column, descending); guests without a value come last. `only`: refs to choose among, or
    a file with a ref in each line.
    """
    size, refs = await _sorted_page(lake, question, sort, limit, offset, only)
    if not refs:
        return size, []
    with_ref = replace(shape, columns=(REF, *(each for each in shape.columns if each != REF)))
    query = export_rows(with_ref, question.traits, are_few=True)
    tables = {table.name for table in query.find_all(exp.Table)}
    is_relative = any(_is_relative(column, question.traits) for column in shape.columns)
    async with nullcontext(lake) if is_relative else opened_for(work, lake, refs, tables) as few:
        await few.run(lambda session: session.table(CHOSEN, "guest_ref", refs))
        rows = await few.rows(query)
    by_ref = {str(row[0]): row for row in rows}
    return size, [by_ref[ref] for ref in refs if ref in by_ref]


async def write_csv(
    lake: Lake,
    question: Question,
    shape: ExportFormat,
    sort: tuple[ExportColumn, bool] | None,
    limit: int | None,
    offset: int,
    path: Path,
    only: Collection[str] | Path | None = None,
) -> int:
    """Write a table as CSV, as `list_page` lists it; `limit`: None for all. Return its
    number of rows. The engine writes the file, so memory holds none of it."""
    with_ref = (REF, *(each for each in shape.columns if each != REF))
    table = await _sorted(lake, question, replace(shape, columns=with_ref), sort, only)
    cells = (
        exp.alias_(csv_cell(each, "s", question.traits), guarded(each.name), quoted=True)
        for each in with_ref
    )
    rows = table.select(*cells).offset(min(offset, _MOST))
    seconds = lake.snapshot.settings.lake_query_seconds
    form = Form("FORMAT csv, HEADER true")
    return await lake.run(
        lambda session: session.copy(
            rows if limit is None else rows.limit(min(limit, _MOST)), path, form, seconds
        )
    )


async def _sorted_page(
    lake: Lake,
    question: Question,
    sort: tuple[ExportColumn, bool] | None,
    limit: int,
    offset: int,
    only: Collection[str] | Path | None,
) -> tuple[int, list[str]]:
    """Count the guests, and list the refs of one page of them in the order of a column."""
    tree = await _members(lake, question, only)
    if sort is None:
        return await count_page(lake, tree, limit, offset)
    column, is_descending = sort
    key = replace(column, name=_KEY)
    # As it is stored: the form of times in JSON takes longer to make and to compare.
    stored = ExportFormat(PARQUET, (key,))
    keyed = add_column(tree, key, stored, question.traits, guest="g")
    keys = _order(column, exp.column(_KEY, "m"), descending=is_descending)
    return await count_page(lake, tree, limit, offset, keyed, keys)


async def _members(
    lake: Lake, question: Question, only: Collection[str] | Path | None
) -> exp.Select:
    """SELECT the refs of the guests `g`."""
    tree = await prepare_members(lake, question)
    if only is None:
        return tree
    if isinstance(only, Path):
        await lake.run(lambda session: session.load(REQUESTED_GUESTS, "guest_ref", only))
    else:
        await lake.run(lambda session: session.table(REQUESTED_GUESTS, "guest_ref", only))
    return limit_to_requested(tree)


async def _sorted(
    lake: Lake,
    question: Question,
    shape: ExportFormat,
    sort: tuple[ExportColumn, bool] | None,
    only: Collection[str] | Path | None,
) -> exp.Select:
    """Return the rows of the guests in the order of a column, as `s`, of which nothing is selected
    yet."""
    tree = await _members(lake, question, only)
    column, is_descending = sort or (REF, False)
    columns = shape.columns if column in shape.columns else (*shape.columns, column)
    keyed = export_rows(replace(shape, columns=columns), question.traits)
    keyed.set("order", None)
    value = exp.column(column.name, "s", quoted=True)
    keys = _order(column, value, descending=is_descending)
    rows = exp.select().from_(keyed.subquery("s")).with_(CHOSEN, as_=tree, materialized=True)
    return rows.order_by(*keys, _REF_OF_ROW.copy())


def _order(column: ExportColumn, value: exp.Expr, *, descending: bool) -> list[exp.Expr]:
    """Return what rows are sorted by, from the value of a column: texts in any case; values of data
    extensions, which are stored as text, as numbers where they are numbers."""
    keys: list[exp.Expr] = [value]
    if _is_text(column):
        keys = [exp.Lower(this=value)]
    elif column.declared is None and column.location != TRAIT:
        keys = [exp.TryCast(this=value.copy(), to=exp.DataType.build("double")), value]
    return [exp.Ordered(this=key, desc=descending, nulls_first=False) for key in keys]


def _is_relative(column: ExportColumn, traits: Traits) -> bool:
    """Whether the values of a column depend on guests beyond those of the page."""
    return column.location == TRAIT and traits.trait(column.field).relative


def _is_text(column: ExportColumn) -> bool:
    """Whether a column has one text, which is stored as text."""
    field = column.declared
    return (
        field is not None and field.type == STRING and not field.many and field.column not in REFS
    )
