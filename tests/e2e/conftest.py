"""Fixtures that start the installed command on a folder of its own."""

import asyncio
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from calling import Api
from process import Innkeeper, Serve, launch, run
from profiles import LONG
from waiting import until

from innkeeper.store.embedded import EmbeddedServer
from innkeeper.store.migrate import migrate


@pytest.fixture
def data() -> Iterator[Path]:
    """An empty data folder, in memory where that is possible; the long profiles need a disk."""
    with data_folder() as folder:
        yield folder


@contextmanager
def data_folder() -> Iterator[Path]:
    memory = Path("/dev/shm")
    small = not LONG
    base = memory if small and os.access(memory, os.W_OK) else None
    folder = Path(tempfile.mkdtemp(prefix="innkeeper-e2e-", dir=base))
    yield folder
    # A PostgreSQL whose parent was killed may still be writing its last files.
    until(f"{folder} to be removed", lambda: _is_removed(folder))


def _is_removed(folder: Path) -> bool:
    shutil.rmtree(folder, ignore_errors=True)
    return not folder.exists()


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


@pytest.fixture(scope="session")
def cluster() -> Iterator[Path]:
    """A migrated database in which nobody ever was, for servers that start in an empty folder.

    Making and migrating one takes a third of a first start. Tests of that are marked `first_start`.
    """
    with data_folder() as folder:
        embedded = EmbeddedServer(folder)
        try:
            asyncio.run(migrate(embedded.start()))
        finally:
            embedded.stop()
        yield folder / "postgres"


def takes_cluster(folder: Path, words: tuple[object, ...], options: dict[str, Any]) -> bool:
    """Whether a server makes a database in this folder."""
    elsewhere = "--database" in words or "INNKEEPER_DATABASE" in options.get("env", {})
    return not elsewhere and not (folder.exists() and any(folder.iterdir()))


@pytest.fixture
def serve(
    data: Path, tmp_path: Path, cluster: Path, request: pytest.FixtureRequest
) -> Iterator[Serve]:
    """Start a server on a free port; whatever still runs at the end of the test is stopped.

    `jobs=False`: without the process that runs background jobs, of which the test is not.
    """
    copied = request.node.get_closest_marker("first_start") is None
    forked = request.node.get_closest_marker("installed") is None
    started: list[Innkeeper] = []

    def start(*words: object, folder: Path = data, jobs: bool = True, **options: Any) -> Innkeeper:
        if not jobs:
            options["env"] = {**options.get("env", {}), "INNKEEPER_JOBS": "false"}
        if copied and takes_cluster(folder, words, options):
            folder.mkdir(parents=True, exist_ok=True)
            # The server's files belong to a user of its own.
            subprocess.run(["cp", "-a", cluster, folder / cluster.name], check=True)
        log = tmp_path / f"log{len(started)}"
        one = launch(folder, log, *words, **{"forked": forked, **options})
        started.append(one)
        return one

    yield start
    for one in started:
        one.stop()
