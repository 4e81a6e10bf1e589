"""Fixtures that start the installed command on a folder of its own."""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from calling import Api
from process import Innkeeper, Serve, launch, run


@pytest.fixture
def data() -> Iterator[Path]:
    """An empty data folder, in memory where that is possible; the long profiles need a disk."""
    with data_folder() as folder:
        yield folder


@contextmanager
def data_folder() -> Iterator[Path]:
    memory = Path("/dev/shm")
    small = os.environ.get("INNKEEPER_LONG") != "1"
    base = memory if small and os.access(memory, os.W_OK) else None
    folder = Path(tempfile.mkdtemp(prefix="innkeeper-e2e-", dir=base))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Innkeeper]:
    """One server for all tests that only call it."""
    with data_folder() as folder:
        one = launch(folder, tmp_path_factory.mktemp("running") / "log")
        yield one
        one.stop()


@pytest.fixture(scope="session")
def open_api(running: Innkeeper) -> Iterator[Api]:
    """The running server, with the key that it printed."""
    with Api(running.url, running.client_key, running.token) as api:
        yield api


@pytest.fixture(scope="session")
def official_api(running: Innkeeper) -> Iterator[Api]:
    """The running server, with an official key that the command made meanwhile."""
    words = ("keys", "create", "--json", "--compatibility", "official", "--data", running.data)
    key = json.loads(run(*words).stdout)
    login = (key["clientKey"], key["apiToken"])
    with Api(running.url, *login, compatibility="official") as api:
        yield api


@pytest.fixture
def serve(data: Path, tmp_path: Path) -> Iterator[Serve]:
    """Start a server on a free port; whatever still runs at the end of the test is stopped."""
    started: list[Innkeeper] = []

    def start(*words: object, folder: Path = data, **options: Any) -> Innkeeper:
        one = launch(folder, tmp_path / f"log{len(started)}", *words, **options)
        started.append(one)
        return one

    yield start
    for one in started:
        one.stop()
