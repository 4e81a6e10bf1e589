"""Apache Spark as this process uses it: one application, one session of views for each query."""

import threading
from typing import Any, Final
from uuid import uuid4

from innkeeper.errors import OperatorError, Unavailable
from innkeeper.lake.tables import (
    DAY,
    INSTANT,
    JSON,
    NUMBER,
    REF,
    TEXT,
    TEXTS,
    TRUTH,
    WHOLE,
    LakeColumn,
)
from innkeeper.settings import Settings

TYPES: Final = {
    TEXT: "STRING",
    REF: "BINARY",
    TEXTS: "ARRAY<STRING>",
    JSON: "STRING",
    NUMBER: "DOUBLE",
    WHOLE: "BIGINT",
    INSTANT: "TIMESTAMP",
    DAY: "DATE",
    TRUTH: "BOOLEAN",
}
"""Types of the lake's columns in Spark."""

_GROUPS: Final = ", ".join(
    f"substr(hex({{0}}), {start}, {length})"
    for start, length in ((1, 8), (9, 4), (13, 4), (17, 4), (21, 12))
)
_REF_TEXT: Final = (
    f"CASE WHEN octet_length({{0}}) = 16 THEN lower(concat_ws('-', {_GROUPS})) "
    "ELSE CAST({0} AS STRING) END AS {0}"
)
"""The 16 bytes of a ref as text; files of earlier versions have the text itself."""

_STATIC: Final = {
    "spark.ui.enabled": "false",
    "spark.sql.catalogImplementation": "in-memory",
    # A task that does not react to its cancellation is ended with its executor, which Spark
    # restarts.
    "spark.task.reaper.enabled": "true",
    "spark.task.reaper.killTimeout": "20s",
}
_SESSION: Final = {
    # The same results as DuckDB: instants in UTC, null for failed casts, null as the size of a
    # missing list.
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "false",
    "spark.sql.legacy.sizeOfNull": "false",
    # Otherwise written instants lose their zone, and old days change.
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
    "spark.sql.parquet.datetimeRebaseModeInRead": "CORRECTED",
    "spark.sql.parquet.datetimeRebaseModeInWrite": "CORRECTED",
}

_SCHEMES: Final = {"s3": "s3a", "gcs": "gs"}

_starting = threading.Lock()
_ready = threading.Event()


def session(settings: Settings) -> Any:
    """Return a new session of this process's application, which starts with the first."""
    try:
        from pyspark.sql import SparkSession  # noqa: PLC0415 - the extra `spark`
    except ImportError as error:
        raise OperatorError(
            "lake_engine is spark, and pyspark is not installed: pip install 'innkeeper[spark]'"
        ) from error
    with _starting:
        builder = SparkSession.builder.appName("innkeeper").master(settings.lake_spark_master)
        for name, value in {**_STATIC, **_SESSION}.items():
            builder = builder.config(name, value)
        application = builder.getOrCreate()
        application.sparkContext.setLogLevel("ERROR")
        if not _ready.is_set():
            # Its workers have started once this returns, so the first query does not wait for them.
            application.range(1).count()
            _ready.set()
    fresh = application.newSession()
    for name, value in _SESSION.items():
        fresh.conf.set(name, value)
    return fresh


def shape(columns: tuple[LakeColumn, ...]) -> str:
    """The schema of some columns; a column that a file lacks is null."""
    return ", ".join(f"{column.name} {TYPES[column.type]}" for column in columns)


def texts(columns: tuple[LakeColumn, ...]) -> list[str]:
    """Expressions of columns with refs as text; Spark has no type for them."""
    return [
        _REF_TEXT.format(column.name) if column.type == REF else column.name for column in columns
    ]


def address(path: str) -> str:
    """The address of a file or folder of the lake for Hadoop."""
    scheme, separator, rest = path.partition("://")
    if not separator:
        return f"file://{path}"
    return f"{_SCHEMES.get(scheme, scheme)}://{rest}"


class Limit:
    """Cancel the queries of this thread after a time; raises `Unavailable` then."""

    def __init__(self, spark: Any, seconds: float) -> None:
        self._context = spark.sparkContext
        # A session's own tags would be those of the watching thread.
        self._tag = f"innkeeper-{uuid4().hex}"
        self._seconds = seconds
        self._ended = threading.Event()
        self._late = False

    def __enter__(self) -> None:
        self._context.addJobTag(self._tag)
        self._context.setInterruptOnCancel(True)
        threading.Thread(target=self._watch, daemon=True).start()

    def __exit__(self, kind: Any, fault: Any, trace: Any) -> None:
        self._ended.set()
        self._context.removeJobTag(self._tag)
        if fault is not None and self._late:
            raise Unavailable(f"The query took longer than {self._seconds:g} seconds.") from fault

    def _watch(self) -> None:
        pause = self._seconds
        while not self._ended.wait(pause):
            self._late = True
            # Repeatedly, since a query consists of many jobs, and between two there is none to
            # cancel.
            self._context.cancelJobsWithTag(self._tag)
            pause = 1
