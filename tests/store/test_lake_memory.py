"""A flush and a compaction at the same time share the little memory of maintenance."""

import threading
from pathlib import Path
from typing import Any

import duckdb
import pytest

from innkeeper.lake.duckdb import run_maintenance
from innkeeper.lake.files import storage
from innkeeper.settings import Settings


def memory_of(connection: Any) -> str:
    return str(connection.execute("SELECT current_setting('memory_limit')").fetchone()[0])


@pytest.mark.parametrize("is_shared", [True, False])
def test_maintenance_that_shares_its_memory_runs_again_alone(
    tmp_path: Path, is_shared: bool
) -> None:
    """Only a record that is too long for all of it needs the memory of a query."""
    settings = Settings(data=tmp_path, lake_maintenance_mb=64, lake_memory_mb=128)
    other_runs, may_end, others, limits = threading.Event(), threading.Event(), [], list[str]()

    def hold(connection: Any) -> None:
        other_runs.set()
        assert may_end.wait(30)
        others.append("ended")

    def act(connection: Any) -> int:
        limits.append(memory_of(connection))
        if len(limits) == 1:
            may_end.set()
            raise duckdb.OutOfMemoryException("full")
        return len(others)

    other = threading.Thread(target=run_maintenance, args=(settings, storage(settings), hold))
    if is_shared:
        other.start()
        assert other_runs.wait(30)
    ended = run_maintenance(settings, storage(settings), act)
    if is_shared:
        other.join(30)
    # DuckDB prints 64 MB as 61.0 MiB, and 128 MB as 122.0 MiB.
    assert limits == ["61.0 MiB", "61.0 MiB" if is_shared else "122.0 MiB"]
    assert ended == is_shared
