"""P4: a process of its own reads a large file, until its parent ends it."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from innkeeper.errors import Unavailable
from innkeeper.wire.bulk.batch_files import Layout
from innkeeper.wire.bulk.record_reader import LEAST_BYTES, RecordReader


def test_p4_a_reading_process_outlives_a_stop_signal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A service manager sends SIGTERM to every process of the server, whose running import goes on,
    also to one that still starts. A process that is killed is no fault of the file: the import is
    tried again."""
    pairs = {f"a{number}": "x" * 180 for number in range(10)}
    extension = {"name": "ext", "key": "default", **pairs}
    path = tmp_path / "guests.ndjson"
    with path.open("w") as file:
        for number in range(4000):
            file.write(json.dumps({"email": f"{number}@x.example", "extensions": [extension]}))
            file.write("\n")
    assert path.stat().st_size > LEAST_BYTES
    started: list[subprocess.Popen[bytes]] = []
    start = subprocess.Popen

    def starting(*args: Any, **more: Any) -> Any:
        started.append(start(*args, **more))
        started[-1].terminate()
        return started[-1]

    monkeypatch.setattr(subprocess, "Popen", starting)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    chunks = RecordReader(Layout("guests"), path).chunks()
    expected = RecordReader(Layout("guests"), path).chunks_here()
    assert next(chunks) == next(expected)
    (process,) = started
    process.terminate()
    assert next(chunks) == next(expected)
    process.kill()
    with pytest.raises(Unavailable):
        list(chunks)

    def killed(*args: Any, **more: Any) -> Any:
        process = start(*args, **more)
        process.kill()
        process.wait()
        return process

    monkeypatch.setattr(subprocess, "Popen", killed)
    with pytest.raises(Unavailable):
        list(RecordReader(Layout("guests"), path).chunks())
