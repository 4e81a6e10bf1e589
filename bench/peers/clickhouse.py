"""Segments beside ClickHouse's engine (chdb), over tables in the order of guest and time."""

from typing import Any, Final

import sqlglot

from bench.segments import Question, midnight
from innkeeper.lake.snapshot import Lake

_AT: Final = "DateTime64(6, 'UTC')"
_WORD: Final = "LowCardinality(String)"
TABLES: Final[dict[str, tuple[str, dict[str, str]]]] = {
    "guests": (
        "meta_ref",
        {
            "meta_ref": "UUID",
            "type": _WORD,
            "core_last_seen_at": _AT,
            "core_city": "LowCardinality(Nullable(String))",
            "core_email": "Nullable(String)",
        },
    ),
    "events": (
        "(guest_ref, meta_created_at)",
        {
            "guest_ref": "UUID",
            "meta_created_at": _AT,
            "type": _WORD,
            "core_channel": _WORD,
            "core_page": _WORD,
        },
    ),
    "orders": (
        "(guest_ref, core_ordered_at)",
        {
            "guest_ref": "UUID",
            "core_ordered_at": _AT,
            "core_price": "Float64",
            "core_currency_code": _WORD,
            "core_status": _WORD,
        },
    ),
    "extensions": (
        "(name, key, guest_ref)",
        {
            "guest_ref": "UUID",
            "name": _WORD,
            "key": _WORD,
            "value": "Nullable(String)",
            "number": "Nullable(Float64)",
        },
    ),
}
"""Table -> its order, and the columns that the segments read."""
BY_HAND: Final = {
    "viewed, then added within a day": (
        "SELECT meta_ref FROM guests WHERE type <> 'RETIRED' AND meta_ref IN (SELECT guest_ref "
        "FROM events WHERE type IN ('VIEW', 'ADD') GROUP BY guest_ref HAVING "
        "windowFunnel(86400000000, 'strict_increase')(toUInt64(toUnixTimestamp64Micro("
        "meta_created_at)), "
        "type = 'VIEW', type = 'ADD') = 2)"
    )
}
"""What somebody who knows ClickHouse would write instead of the translated query."""


class ClickHouse:
    """A session of chdb with the same rows as a lake."""

    def __init__(self, folder: str) -> None:
        from chdb.session import Session  # type: ignore[import-not-found]

        self._session: Any = Session(folder)
        for setting in ("join_use_nulls = 1", "session_timezone = 'UTC'"):
            self._run(f"SET {setting}")

    def load(self, lake: Lake) -> None:
        """Copy the rows of the lake's files, and merge each table into one part."""
        for name, (order, columns) in TABLES.items():
            types = ", ".join(f"{column} {kind}" for column, kind in columns.items())
            self._run(f"CREATE TABLE {name} ({types}) ENGINE = MergeTree ORDER BY {order}")
            names = ", ".join(columns)
            for path in lake.snapshot.files[name]:
                full = lake.snapshot.location.full(path)
                self._run(f"INSERT INTO {name} SELECT {names} FROM file('{full}', Parquet)")
            self._run(f"OPTIMIZE TABLE {name} FINAL")

    def count(self, question: Question, lake: Lake) -> int:
        """How many guests the segment has."""
        sql = (
            BY_HAND.get(question.name)
            or sqlglot.transpile(
                question.sql.format(day=midnight(lake.snapshot.taken_at)),
                read="duckdb",
                write="clickhouse",
            )[0]
        )
        return int(self._run(f"SELECT count(*) FROM ({sql})"))

    def close(self) -> None:
        self._session.close()

    def _run(self, sql: str) -> str:
        return str(self._session.query(sql, "TabSeparated"))
