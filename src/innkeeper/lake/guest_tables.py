"""Tables of guests: those of a definition, sorted, with chosen columns, as a page or a file."""

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from sqlglot import exp

from innkeeper.lake.export_sql import CHOSEN, csv_cell, export_rows
from innkeeper.lake.segment_members import Question, count_members, prepare_members
from innkeeper.lake.segment_sql import REQUESTED_GUESTS, limit_to_requested
from innkeeper.lake.session import Form
from innkeeper.lake.snapshot import Lake
from innkeeper.resources.exports import PARQUET
from innkeeper.resources.segments import ENTITIES, STRING
from innkeeper.rules.exports import ExportColumn, ExportFormat
from innkeeper.rules.spreadsheets import guarded

REF: Final = ExportColumn("ref", "core", "ref", ENTITIES["guest"].fields["ref"])
_MOST: Final = 2**31 - 1
"""Largest limit and offset that every engine reads."""
_REF_OF_ROW: Final = exp.column("ref", "s", quoted=True)


async def list_page(
    lake: Lake,
    question: Question,
    shape: ExportFormat,
    sort: tuple[ExportColumn, bool] | None,
    limit: int,
    offset: int,
    only: Collection[str] | None = None,
) -> tuple[int, list[tuple[Any, ...]]]:
    """Count the guests of a definition, and read one page of them: the ref, then each column.

    `sort`: (column, descending); guests without a value come last. `only`: refs to choose among.
    """
    if sort is None and only is None:
        size, refs = await count_members(lake, question, limit, offset)
    else:
        size, refs = await _sorted_page(lake, question, shape, sort, limit, offset, only)
    if not refs:
        return size, []
    await lake.run(lambda session: session.table(CHOSEN, "guest_ref", refs))
    with_ref = replace(shape, columns=(REF, *(each for each in shape.columns if each != REF)))
    rows = await lake.rows(export_rows(with_ref, question.traits, are_few=True))
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
    only: Collection[str] | None = None,
) -> int:
    """Write a table as CSV, as `list_page` lists it; `limit`: None for all. Return its number of
    rows. The engine writes the file, so memory holds none of it."""
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
    shape: ExportFormat,
    sort: tuple[ExportColumn, bool] | None,
    limit: int,
    offset: int,
    only: Collection[str] | None,
) -> tuple[int, list[str]]:
    """Count the guests, and list the refs of one page of them in the order of a column."""
    if only is None and sort is not None and sort[0].declared is not None:
        return await _page_by_field(lake, question, sort[0], limit, offset, descending=sort[1])
    # Sorted as they are stored: the form of times in JSON takes longer to make and to compare.
    unformatted = replace(shape, columns=(REF,), format=PARQUET)
    table = await _sorted(lake, question, unformatted, sort, only)
    size = exp.select(exp.Count(this=exp.Star())).from_(CHOSEN)
    page = table.select(_REF_OF_ROW, exp.alias_(size.subquery(), "size"))
    rows = await lake.rows(page.limit(limit).offset(offset))
    if rows or not offset:
        return (int(rows[0][1]) if rows else 0), [str(each) for each, _ in rows]
    chosen = table.args["with_"].expressions[0].this
    return int((await lake.rows(size.with_(CHOSEN, as_=chosen)))[0][0]), []


async def _page_by_field(
    lake: Lake,
    question: Question,
    column: ExportColumn,
    limit: int,
    offset: int,
    *,
    descending: bool,
) -> tuple[int, list[str]]:
    """Do the same for a declared field, which the query of the members has at hand."""
    tree = await prepare_members(lake, question)
    assert column.declared is not None  # noqa: S101 - the caller looked
    value = exp.column(column.declared.column, "g")
    keys = [
        exp.Ordered(this=key, desc=descending, nulls_first=False)
        for key in _sort_keys(column, value)
    ]
    size = exp.select(exp.Count(this=exp.Star())).from_(tree.copy().subquery("m"))
    ((total,),) = await lake.rows(size)
    page = tree.order_by(*keys, exp.column("guest_ref", "g")).limit(limit).offset(offset)
    return int(total), [str(ref) for (ref,) in await lake.rows(page)]


async def _sorted(
    lake: Lake,
    question: Question,
    shape: ExportFormat,
    sort: tuple[ExportColumn, bool] | None,
    only: Collection[str] | None,
) -> exp.Select:
    """Return the rows of the guests in the order of a column, as `s`, of which nothing is selected
    yet."""
    tree = await prepare_members(lake, question)
    if only is not None:
        tree = limit_to_requested(tree)
        await lake.run(lambda session: session.table(REQUESTED_GUESTS, "guest_ref", only))
    column, is_descending = sort or (REF, False)
    columns = shape.columns if column in shape.columns else (*shape.columns, column)
    keyed = export_rows(replace(shape, columns=columns), question.traits)
    keyed.set("order", None)
    keys = [
        exp.Ordered(this=key, desc=is_descending, nulls_first=False)
        for key in _sort_keys(column, exp.column(column.name, "s", quoted=True))
    ]
    rows = exp.select().from_(keyed.subquery("s")).with_(CHOSEN, as_=tree, materialized=True)
    return rows.order_by(*keys, _REF_OF_ROW.copy())


def _sort_keys(column: ExportColumn, value: exp.Expr) -> list[exp.Expr]:
    """Return what rows are sorted by, from the value of a column: texts in any case; values of data
    extensions, which are stored as text, as numbers where they are numbers."""
    if column.declared is not None and column.declared.type == STRING:
        return [value] if column.declared.many else [exp.Lower(this=value)]
    if column.declared is None and column.location != "trait":
        return [exp.TryCast(this=value.copy(), to=exp.DataType.build("double")), value]
    return [value]
