"""Statements that concurrent requests share: one for the parameters of several requests."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec
from psycopg.pq.abc import PGresult
from psycopg.types.json import Jsonb

from innkeeper.store.batching import ALONE, Alone
from innkeeper.store.queries import batched

if TYPE_CHECKING:
    from innkeeper.store.lender import Lender
    from innkeeper.store.work import Row, Work

Item = TypeVar("Item")
Result = TypeVar("Result")


def _unwrap(value: object) -> object:
    """Return the value of a parameter that is jsonb."""
    if isinstance(value, Jsonb):
        return value.obj
    raise TypeError(f"{type(value)} is no parameter of a batch")


_encode: Final = msgspec.json.Encoder(decimal_format="number", enc_hook=_unwrap).encode


async def run_shared(
    lender: "Lender",
    workspace: str,
    run_batch: Callable[["Work", Sequence[Item]], Awaitable[Sequence[Result]]],
    items: Sequence[Item],
) -> Sequence[Result]:
    """Run the calls of a batch on a connection of their own."""
    async with lender.work(workspace) as work:
        return await run_batch(work, items)


async def read_shared(
    text: str, json_bytes_max: int | None, work: "Work", items: Sequence[Mapping[str, Any]]
) -> "list[list[Row]]":
    """Run a read for the parameters of several requests; return the rows of each."""
    work.json_bytes_max = json_bytes_max
    arrays = {name: [item[name] for item in items] for name in items[0]}
    rows_of: list[list[Row]] = [[] for _ in items]
    for row in await work.fetch_all(batched(text, items[0]), arrays):
        rows_of[row.pop("batch_position") - 1].append(row)
    return rows_of


async def execute_shared(
    text: str,
    params: Mapping[str, Any],
    json_bytes_max: int | None,
    work: "Work",
    items: Sequence[None],
) -> list[PGresult]:
    """Run a read for several equal requests; return its result for each."""
    work.json_bytes_max = json_bytes_max
    return [await work.execute(text, params)] * len(items)


async def create_shared(
    query: str, work: "Work", items: Sequence[Mapping[str, Any]]
) -> "list[Row | Alone]":
    """Create a record for the parameters of each of several requests; return their rows."""
    return [rows[0] if rows else ALONE for rows in await call_shared(query, work, items)]


async def call_shared(
    query: str, work: "Work", items: Sequence[Mapping[str, Any]]
) -> "list[list[Row]]":
    """Run a statement for the parameters of each of several requests; return their rows."""
    elements = [{**item, "batch_position": position} for position, item in enumerate(items)]
    rows_of: list[list[Row]] = [[] for _ in items]
    for row in await work.all(query, elements=Jsonb(elements, _encode)):
        rows_of[row.pop("batch_position")].append(row)
    return rows_of
