"""Tables of guests: a page of the guests of a definition, sorted, with chosen columns."""

from collections.abc import Collection
from dataclasses import replace
from typing import Any, Final

from sqlglot import exp

from innkeeper.lake.export_sql import CHOSEN, export_rows
from innkeeper.lake.segment_members import Question, count_members, prepare_members
from innkeeper.lake.segment_sql import REQUESTED_GUESTS, limit_to_requested
from innkeeper.lake.snapshot import Lake
from innkeeper.resources.segments import ENTITIES, STRING
from innkeeper.rules.exports import ExportColumn, ExportFormat

REF: Final = ExportColumn("ref", "core", "ref", ENTITIES["guest"].fields["ref"])


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
    rows = await lake.rows(export_rows(with_ref, question.traits))
    by_ref = {str(row[0]): row for row in rows}
    return size, [by_ref[ref] for ref in refs if ref in by_ref]


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
    tree = await prepare_members(lake, question)
    if only is not None:
        tree = limit_to_requested(tree)
        await lake.run(lambda session: session.table(REQUESTED_GUESTS, "guest_ref", only))
    column, is_descending = sort or (REF, False)
    columns = (REF,) if column == REF else (REF, column)
    keyed = export_rows(replace(shape, columns=columns), question.traits).subquery("s")
    size = exp.select(exp.Count(this=exp.Star())).from_(CHOSEN)
    ref = exp.column("ref", "s", quoted=True)
    keys = [
        exp.Ordered(this=key, desc=is_descending, nulls_first=False) for key in _sort_keys(column)
    ]
    page = (
        exp.select(ref, exp.alias_(size.subquery(), "size"))
        .from_(keyed)
        .with_(CHOSEN, as_=tree, materialized=True)
        .order_by(*keys, ref.copy())
        .limit(limit)
        .offset(offset)
    )
    rows = await lake.rows(page)
    if rows or not offset:
        return (int(rows[0][1]) if rows else 0), [str(each) for each, _ in rows]
    return int((await lake.rows(size.with_(CHOSEN, as_=tree)))[0][0]), []


def _sort_keys(column: ExportColumn) -> list[exp.Expr]:
    """Return what rows are sorted by: texts in any case; values of data extensions, which are
    stored as text, as numbers where they are numbers."""
    value = exp.column(column.name, "s", quoted=True)
    if column.declared is not None and column.declared.type == STRING:
        return [value] if column.declared.many else [exp.Lower(this=value)]
    if column.declared is None and column.location != "trait":
        return [exp.TryCast(this=value.copy(), to=exp.DataType.build("double")), value]
    return [value]
