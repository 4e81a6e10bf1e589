"""The engines that answer questions to the lake, by the name that `lake_engine` gives them."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from innkeeper.settings import DUCKDB, SPARK

if TYPE_CHECKING:
    from innkeeper.lake.snapshot import Session, Snapshot


def session(snapshot: "Snapshot") -> "Session":
    """A session of the engine that the settings name; raises `OperatorError` where it is not."""
    return _ENGINES[snapshot.settings.lake_engine](snapshot)


def _duckdb(snapshot: "Snapshot") -> "Session":
    from innkeeper.lake.duckdb_session import DuckSession  # noqa: PLC0415 - loads DuckDB

    return DuckSession(snapshot)


def _spark(snapshot: "Snapshot") -> "Session":
    from innkeeper.lake.spark_session import SparkQuestions  # noqa: PLC0415 - loads pyspark

    return SparkQuestions(snapshot)


_ENGINES: Final[dict[str, Callable[["Snapshot"], "Session"]]] = {DUCKDB: _duckdb, SPARK: _spark}
