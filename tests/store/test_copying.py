"""COPY to a file: every row, and an error of the query or of the file, after which the connection
can be used."""

import asyncio
import io
from typing import Any

import psycopg
import pytest

from innkeeper.store.copying import copy_out

ROWS = 20_000


class FullDisk(io.BytesIO):
    def write(self, block: Any) -> int:
        if self.tell() > ROWS:
            raise OSError("disk full")
        return super().write(block)


def test_copies_to_a_file_every_row_or_raise(dsn: str) -> None:
    asyncio.run(check(dsn))


async def check(dsn: str) -> None:
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
        lines = f"generate_series(1, {ROWS}) AS number"
        for query, params, expected in (
            (f"COPY (SELECT number FROM {lines}) TO STDOUT", {}, range(1, ROWS + 1)),
            ("COPY (SELECT %(number)s::int) TO STDOUT", {"number": 7}, [7]),
            ("COPY (SELECT 1 WHERE false) TO STDOUT", {}, []),
        ):
            target = io.BytesIO()
            count = await copy_out(connection, query, params, target)  # type: ignore[arg-type]
            assert [*map(int, target.getvalue().split())] == [*expected]
            assert count == len(expected)
        failing = f"COPY (SELECT 1 / ({ROWS - 1} - number) FROM {lines}) TO STDOUT"
        for error, query, file in (
            (psycopg.errors.DivisionByZero, failing, io.BytesIO()),
            (OSError, f"COPY (SELECT number FROM {lines}) TO STDOUT", FullDisk()),
        ):
            with pytest.raises(error):
                await copy_out(connection, query, {}, file)  # type: ignore[arg-type]
            assert await (await connection.execute("SELECT 1")).fetchone() == (1,)
