"""Reading files: any error ends with a reason, and rows of Parquet become JSON that can be read."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from innkeeper.errors import OperatorError
from innkeeper.store import parquet_rows as parquet_module
from innkeeper.store.parquet_rows import parquet_rows
from innkeeper.store.readers import MAX_LINE, Unreadable, ahead, chunks
from innkeeper.wire.bulk.mapping import mapping_of
from innkeeper.wire.bulk.order_rows import order_rows, order_runs


def lines() -> Iterator[tuple[int, str]]:
    yield from enumerate("ab", 1)


def read(number: int, text: str) -> str:
    if text == "b":
        raise ZeroDivisionError("by nothing")
    return text


def test_f2_an_error_of_a_record_names_it() -> None:
    with pytest.raises(Unreadable, match="^record 2: ZeroDivisionError: by nothing$"):
        list(chunks(lines(), read, 10))


async def test_f2_an_error_of_the_file_is_a_reason() -> None:
    def broken() -> Iterator[int]:
        yield 1
        raise RecursionError("too deep")

    visited = []
    with pytest.raises(Unreadable, match="^RecursionError: too deep$"):
        async for each in ahead(broken()):
            visited.append(each)
    assert visited == [1]


async def test_f2_an_error_that_is_a_sentence_stays_one() -> None:
    def broken() -> Iterator[int]:
        yield from ()
        raise OperatorError("No field is called Mail.")

    with pytest.raises(OperatorError, match=r"^No field is called Mail\.$"):
        async for _ in ahead(broken()):
            pass


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("'nan'::DOUBLE", None),
        ("'-inf'::FLOAT", None),
        ("2.5::DOUBLE", 2.5),
        ("['nan'::DOUBLE, 1.5]", [None, 1.5]),
        ("{'a': {'b': ['inf'::FLOAT]}, 'c': 7}", {"a": {"b": [None]}, "c": 7}),
        ("MAP {'k': 'nan'::DOUBLE}", {"k": None}),
        ("NULL::STRUCT(a DOUBLE)", None),
        ("'infinity'::DATE", None),
        ("DATE '2024-01-02'", "2024-01-02"),
        ("TIMESTAMP '2024-01-02 03:04:05'", "2024-01-02 03:04:05"),
        ("TIMESTAMPTZ '2024-01-02 03:04:05+02'", "2024-01-02T01:04:05.000Z"),
        ("TIMESTAMPTZ '2024-01-02 03:04:05.123456+02'", "2024-01-02T01:04:05.123456Z"),
        ("'infinity'::TIMESTAMPTZ", None),
        ("{'at': TIMESTAMPTZ '2024-01-02 03:04:05+02'}", {"at": "2024-01-02T01:04:05.000Z"}),
        ("[TIMESTAMPTZ '2024-07-02 03:04:05Z', NULL]", ["2024-07-02T03:04:05.000Z", None]),
    ],
)
def test_f2_a_value_of_parquet(tmp_path: Path, value: str, expected: Any) -> None:
    """NaN and infinity are nothing, instants are those of the file, at any depth."""
    path = tmp_path / "a.parquet"
    duckdb.sql(f'SELECT \'x\' AS id, {value} AS "a ""value"""').write_parquet(str(path))
    ((number, text),) = parquet_rows(path)
    assert number == 1
    assert json.loads(text) == {"id": "x", 'a "value"': expected}


def test_i1_chunks_have_fewer_rows_where_cells_are_long() -> None:
    rows = ((number, {"a": "x" * (MAX_LINE // 4)}) for number in range(1, 70))
    assert [len(each.items) for each in chunks(rows, lambda _, row: row, 1000)] == [32, 32, 5]


def test_i8_orders_with_long_cells_are_forgotten_before_they_fill_the_memory() -> None:
    """Each order's cells are remembered for its rows further down: 64 MB of them."""
    mapping = mapping_of("orders", {"columns": {"N": "referenceId", "T": "channel"}, "group": "N"})
    cell = "x" * (MAX_LINE // 2)
    numbers = [*range(20), 18, 0]
    rows = ((line, {"N": f"n{number}", "T": cell}) for line, number in enumerate(numbers, 1))
    read = [each.conflicts for _, each in order_rows(rows, mapping)]
    assert read[:21] == [[]] * 21
    assert read[21] == ["N: other rows of this order are too far above; sort the file by N"]


def test_i8_long_rows_of_one_order_are_several_records() -> None:
    rows = ((line, {"N": "1", "T": "x" * (MAX_LINE // 2)}) for line in range(1, 36))
    assert [len(run) for _, run in order_runs(rows, "N")] == [16, 16, 3]


def test_i1_a_parquet_file_with_more_columns_than_fit_at_once(tmp_path: Path) -> None:
    """It is read by windows of rows and of columns; a row keeps all of its columns."""
    path = tmp_path / "wide.parquet"
    columns = ", ".join(f"'v{each}-' || range AS c{each}" for each in range(1200))
    with duckdb.connect() as connection:
        connection.execute(f"COPY (SELECT {columns} FROM range(9)) TO '{path}'")
    rows = list(parquet_rows(path))
    assert [number for number, _ in rows] == [*range(1, 10)]
    last = json.loads(rows[-1][1])
    assert (len(last), last["c0"], last["c1199"]) == (1200, "v0-8", "v1199-8")
    assert [number for number, _ in parquet_rows(path, 7)] == [8, 9]


def test_i1_rows_that_do_not_fit_at_once_are_read_in_smaller_windows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "long.parquet"
    with duckdb.connect() as connection:
        query = "SELECT range AS id, repeat('x', 200000) AS text FROM range(80)"
        connection.execute(f"COPY ({query}) TO '{path}'")
    monkeypatch.setattr(parquet_module, "_MEMORY", "20MB")
    rows = list(parquet_rows(path))
    assert [json.loads(text)["id"] for _, text in rows] == [*range(80)]
    assert [number for number, _ in rows] == [*range(1, 81)]
