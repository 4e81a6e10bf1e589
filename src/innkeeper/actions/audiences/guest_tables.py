"""Tables of guests: those of a segment or a definition, with chosen columns, sorted and paged."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final
from uuid import UUID

from innkeeper.actions.audiences import segment_questions, segments, traits
from innkeeper.actions.paging import PageRequest
from innkeeper.errors import Invalid, Problem
from innkeeper.lake import engines
from innkeeper.lake.snapshot import opened
from innkeeper.resources.exports import NDJSON
from innkeeper.rules.exports import ExportColumn, read_shape
from innkeeper.store.work import Work

MOST_COLUMNS: Final = 50
MOST_ROWS: Final = 10_000
"""Most rows of a page, and of a table as CSV; an audience export has no such limit."""


@dataclass(frozen=True, slots=True)
class GuestTable:
    """One page of a table: its columns, and for each guest its ref and its values."""

    total: int
    columns: tuple[ExportColumn, ...]
    rows: list[tuple[UUID, tuple[Any, ...]]]

    @property
    def records(self) -> list[dict[str, Any]]:
        """The rows by column name, with `ref`."""
        names = [column.name for column in self.columns]
        return [{"ref": ref, **dict(zip(names, values, strict=True))} for ref, values in self.rows]

    @property
    def csv(self) -> dict[str, Any]:
        """The table as `as_csv` takes it: every column, the ref first."""
        names = [column.name for column in self.columns]
        return {
            "columns": ["ref", *names],
            "rows": [[str(ref), *(csv_cell(value) for value in row)] for ref, row in self.rows],
        }


def csv_cell(value: Any) -> Any:
    """Return a value for a cell: the texts of a list are separated by semicolons."""
    return "; ".join(map(str, value)) if isinstance(value, list | tuple) else value


async def of_segment(
    work: Work, segment: UUID | str, columns: Sequence[str], page_request: PageRequest
) -> GuestTable:
    """Return a page of the guests in a segment now; raises `Unknown`, `Invalid`."""
    row = await segments.fetch(work, segment)
    definition = row["definition"]
    return await of_definition(work, definition, columns, page_request, stored=definition)


async def of_definition(
    work: Work,
    definition: Mapping[str, Any],
    columns: Sequence[str],
    page_request: PageRequest,
    only: Collection[UUID] | None = None,
    problems: Sequence[Problem] = (),
    stored: Mapping[str, Any] | None = None,
) -> GuestTable:
    """Return a page of the guests of a definition, with columns as exports name them.

    `page_request.sort` has at most one column. `only`: the guests to choose among; `stored`: the
    definition itself if it is stored, so that its SQL is not checked again. Raises `Invalid`
    with `problems` and every other problem.
    """
    from innkeeper.lake.guest_tables import list_page  # noqa: PLC0415 - loads SQLGlot

    every = await traits.list_current(work)
    names = [name for name in dict.fromkeys(columns) if name != "ref"]
    sort_names = [name for name, _ in page_request.sort]
    problems = [*problems]
    question = await segment_questions.read_question(work, definition, every, problems, stored)
    if len(names) > MOST_COLUMNS:
        problems.append(Problem("columns", f"must be at most {MOST_COLUMNS} names"))
    try:
        shape = read_shape({"format": NDJSON, "columns": [*names, *sort_names, "ref"]}, every)
    except Invalid as invalid:
        last = f"columns[{len(names)}]" if sort_names else ""
        problems += [
            Problem("sort", each.reason) if each.field == last else each
            for each in invalid.problems
        ]
    if question is None or problems:
        raise Invalid(*problems)
    by_name = {column.name: column for column in shape.columns}
    chosen = tuple(by_name[name] for name in names)
    sort = page_request.sort[0] if page_request.sort else None
    async with opened(work, engines.answering(work.settings, definition)) as lake:
        size, rows = await list_page(
            lake,
            question,
            replace(shape, columns=chosen),
            (by_name[sort[0]], sort[1]) if sort else None,
            min(page_request.limit, MOST_ROWS),
            page_request.offset,
            None if only is None else [str(ref) for ref in only],
        )
    return GuestTable(size, chosen, [(UUID(str(ref)), tuple(values)) for ref, *values in rows])
