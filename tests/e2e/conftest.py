"""Fixtures that start the installed command on a folder of its own."""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from process import COMMAND, Innkeeper, Serve, read_greeting


@pytest.fixture
def data() -> Iterator[Path]:
    """An empty data folder, in memory where that is possible."""
    memory = Path("/dev/shm")
    base = memory if os.access(memory, os.W_OK) else None
    folder = Path(tempfile.mkdtemp(prefix="innkeeper-e2e-", dir=base))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def serve(data: Path, tmp_path: Path) -> Iterator[Serve]:
    """Start a server on a free port; whatever still runs at the end of the test is stopped."""
    started: list[Innkeeper] = []

    def start(*words: object, folder: Path = data, **options: Any) -> Innkeeper:
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith("INNKEEPER_")
        }
        environment |= options.pop("env", {})
        command = options.pop("command", [COMMAND])
        log = tmp_path / f"log{len(started)}"
        began = time.monotonic()
        with log.open("w") as errors:
            process = subprocess.Popen(
                [*command, "serve", "--port", "0", "--data", folder, *map(str, words)],
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env=environment,
                **options,
            )
        one = Innkeeper(process, folder, log)
        started.append(one)
        read_greeting(one)
        one.await_answer()
        one.seconds = time.monotonic() - began
        return one

    yield start
    for one in started:
        one.stop()
