"""The query engines of the lake, by the value of the setting `lake_engine`."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from innkeeper.settings import DUCKDB, SPARK, Settings

if TYPE_CHECKING:
    from innkeeper.lake.session import LakeSession, Snapshot


def session(snapshot: "Snapshot", engine: str | None = None) -> "LakeSession":
    """Return a session of the named engine, or of the one in the settings. Raises `OperatorError`
    if it is not installed."""
    return _ENGINES[engine or snapshot.settings.lake_engine](snapshot)


def answering(settings: Settings, definition: Mapping[str, Any]) -> str:
    """Return the name of the engine for a segment's definition: SQL of users runs on DuckDB, since
    Spark cannot be restricted safely."""
    return DUCKDB if definition.get("sql") is not None else settings.lake_engine


def _duckdb(snapshot: "Snapshot") -> "LakeSession":
    from innkeeper.lake.duckdb_session import DuckSession  # noqa: PLC0415 - loads DuckDB

    return DuckSession(snapshot)


def _spark(snapshot: "Snapshot") -> "LakeSession":
    from innkeeper.lake.spark_session import SparkQuestions  # noqa: PLC0415 - loads pyspark

    return SparkQuestions(snapshot)


_ENGINES: Final[dict[str, Callable[["Snapshot"], "LakeSession"]]] = {DUCKDB: _duckdb, SPARK: _spark}
