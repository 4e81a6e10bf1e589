"""Tables of guests: those of a segment or definition, with chosen columns: a sorted page or CSV."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final
from uuid import UUID

from innkeeper.actions.audiences import segment_questions, traits
from innkeeper.actions.paging import PageRequest
from innkeeper.errors import Invalid, Problem
from innkeeper.lake import engines
from innkeeper.lake.snapshot import opened
from innkeeper.rules.exports import ExportColumn, ExportFormat, read_table
from innkeeper.store.temp_files import temporary
from innkeeper.store.work import Work

if TYPE_CHECKING:
    from innkeeper.lake.segment_members import Question

MOST_COLUMNS: Final = 50
MOST_ROWS: Final = 10_000
"""Most rows of a page; CSV has no such limit."""


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


async def of_definition(
    work: Work,
    definition: Mapping[str, Any],
    columns: Sequence[str],
    page_request: PageRequest,
    only: Collection[UUID] | Path | None = None,
    problems: Sequence[Problem] = (),
    stored: Mapping[str, Any] | None = None,
) -> GuestTable:
    """Return a page of the guests of a definition, with columns as exports name them.

    `page_request.sort` has at most one column. `only`: the guests to choose among, or
    a file with a ref in each line; `stored`: the
    definition itself if it is stored, so that its SQL is not checked again. Raises `Invalid`
    with `problems` and every other problem.
    """
    from innkeeper.lake.guest_tables import list_page  # noqa: PLC0415 - loads SQLGlot

    question, shape, sort = await _read(work, definition, columns, page_request, problems, stored)
    async with opened(work, engines.answering(work.settings, definition)) as lake:
        size, rows = await list_page(
            work,
            lake,
            question,
            shape,
            sort,
            min(page_request.limit, MOST_ROWS),
            page_request.offset,
            _texts(only),
        )
    chosen = shape.columns
    return GuestTable(size, chosen, [(UUID(str(ref)), tuple(values)) for ref, *values in rows])


async def open_csv(
    work: Work,
    definition: Mapping[str, Any],
    columns: Sequence[str],
    page_request: PageRequest,
    limit: int | None = None,
    only: Collection[UUID] | Path | None = None,
) -> tuple[IO[bytes], int]:
    """Open the table of a stored definition as a CSV file; return it with its number of rows.

    All rows by default: `page_request.limit` does not apply. `only`: the guests to choose among, or
    a file with a ref in each line. The file has no name any more and
    ends when it is closed. Take a slot of `limits.downloads` first, which limits these files.
    """
    from innkeeper.lake.guest_tables import write_csv  # noqa: PLC0415

    read = await _read(work, definition, columns, page_request, (), definition)
    with temporary(work.settings, "table") as folder:
        path = folder / "table.csv"
        async with opened(work, engines.answering(work.settings, definition)) as lake:
            rows = await write_csv(lake, *read, limit, page_request.offset, path, _texts(only))
        return await asyncio.to_thread(path.open, "rb"), rows


def _texts(only: Collection[UUID] | Path | None) -> list[str] | Path | None:
    return only if only is None or isinstance(only, Path) else [str(ref) for ref in only]


async def _read(
    work: Work,
    definition: Mapping[str, Any],
    columns: Sequence[str],
    page_request: PageRequest,
    problems: Sequence[Problem],
    stored: Mapping[str, Any] | None,
) -> tuple["Question", ExportFormat, tuple[ExportColumn, bool] | None]:
    """Return the question, the columns and the sort of a table; raises `Invalid`."""
    every = await traits.list_current(work)
    names = [name for name in dict.fromkeys(columns) if name != "ref"]
    sort = page_request.sort[0] if page_request.sort else None
    problems = [*problems]
    question = await segment_questions.read_question(work, definition, every, problems, stored)
    if len(names) > MOST_COLUMNS:
        problems.append(Problem("columns", f"must be at most {MOST_COLUMNS} names"))
    try:
        shape = read_table(names, sort[0] if sort else "", every)
    except Invalid as invalid:
        problems += invalid.problems
    if question is None or problems:
        raise Invalid(*problems)
    by_name = {column.name: column for column in shape.columns}
    chosen = replace(shape, columns=tuple(by_name[name] for name in names))
    return question, chosen, (by_name[sort[0]], sort[1]) if sort else None
