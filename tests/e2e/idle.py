"""A server that does nothing in the background: tests do what they want done, when they want it.

Tests import these fixtures; `server` is another one elsewhere.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from calling import Api
from process import Innkeeper, Serve, answer

Command = Callable[..., Any]
RECEIVERS = {"INNKEEPER_ALLOWED_PRIVATE_HOSTS": "127.0.0.1"}
"""What lets messages go to receivers of tests."""


@pytest.fixture
def server(serve: Serve) -> Innkeeper:
    """A server whose background work waits for commands of the test's own."""
    return serve(env={"INNKEEPER_JOBS": "false"} | RECEIVERS)


@pytest.fixture
def api(server: Innkeeper) -> Api:
    """Its API, with the key that it printed."""
    return server.client


@pytest.fixture
def command(data: Path) -> Command:
    """`innkeeper …` on the same folder; what it printed, decoded where it is JSON."""

    def run(*words: object) -> Any:
        return answer(*words, "--data", data)

    return run
