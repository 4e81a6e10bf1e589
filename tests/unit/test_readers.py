"""Reading files: any error ends with a reason, and rows of Parquet become JSON that can be read."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from innkeeper.errors import OperatorError
from innkeeper.store.readers import Unreadable, ahead, chunks
from innkeeper.store.tables import parquet_rows


def lines() -> Iterator[tuple[int, str]]:
    yield from enumerate("ab", 1)


def read(number: int, text: str) -> str:
    if text == "b":
        raise ZeroDivisionError("by nothing")
    return text


def test_f2_an_error_of_a_record_names_it() -> None:
    with pytest.raises(Unreadable, match="^record 2: ZeroDivisionError: by nothing$"):
        list(chunks(lines(), read, 10))


@pytest.mark.anyio
async def test_f2_an_error_of_the_file_is_a_reason() -> None:
    def broken() -> Iterator[int]:
        yield 1
        raise RecursionError("too deep")

    seen = []
    with pytest.raises(Unreadable, match="^RecursionError: too deep$"):
        async for each in ahead(broken()):
            seen.append(each)
    assert seen == [1]


@pytest.mark.anyio
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
