"""The engines that answer questions to the lake, by the name that `lake_engine` gives them."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from innkeeper.settings import DUCKDB, SPARK, Settings

if TYPE_CHECKING:
    from innkeeper.lake.session import LakeSession, Snapshot


def session(snapshot: "Snapshot", engine: str | None = None) -> "LakeSession":
    """A session of the engine of that name, or of the one that the settings name; raises
    `OperatorError` where it is not installed."""
    return _ENGINES[engine or snapshot.settings.lake_engine](snapshot)


def answering(settings: Settings, definition: Mapping[str, Any]) -> str:
    """The engine that answers the JSON of a segment's definition: Spark cannot be locked as SQL
    of a user's must be."""
    return DUCKDB if definition.get("sql") is not None else settings.lake_engine


def _duckdb(snapshot: "Snapshot") -> "LakeSession":
    from innkeeper.lake.duckdb_session import DuckSession  # noqa: PLC0415 - loads DuckDB

    return DuckSession(snapshot)


def _spark(snapshot: "Snapshot") -> "LakeSession":
    from innkeeper.lake.spark_session import SparkQuestions  # noqa: PLC0415 - loads pyspark

    return SparkQuestions(snapshot)


_ENGINES: Final[dict[str, Callable[["Snapshot"], "LakeSession"]]] = {DUCKDB: _duckdb, SPARK: _spark}
