"""Engines of the lake that a test runs on: DuckDB every day, Spark with `make test-spark`."""

import importlib.util
import os
import shutil
from pathlib import Path

import pytest

from innkeeper.settings import DUCKDB, SPARK, Settings

WORKERS = "local-cluster[2,1,1024]"
"""Two workers, each a process of its own with one core and 1 GB."""


def _missing() -> str:
    if not os.environ.get("INNKEEPER_SPARK"):
        return "Spark is asked by make test-spark"
    if importlib.util.find_spec("pyspark") is None:
        return "pyspark is not installed"
    return "" if shutil.which("java") else "there is no java on PATH"


needs_spark = [
    pytest.mark.skipif(bool(_missing()), reason=_missing() or "there"),
    # Sockets and processes of its own that live as long as the test run does.
    pytest.mark.filterwarnings("ignore"),
]
ENGINES = [DUCKDB, pytest.param(SPARK, marks=needs_spark)]


def settings_for(engine: str, dsn: str, data: Path) -> Settings:
    """Settings of an installation that asks an engine."""
    return Settings(database=dsn, data=data, lake_engine=engine, lake_spark_master=WORKERS)
