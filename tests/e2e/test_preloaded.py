"""F24: what is forked from a process with everything imported is the command that is installed."""

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import preloaded
import pytest
from process import COMMAND, Serve, run
from profiles import each_day

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="commands are forked on Linux only")


@pytest.mark.parametrize(
    "words",
    each_day(
        (
            ["settings", "--json"],
            ["keys", "--help"],
            ["keys", "lisst"],
            ["import", "guests", "none.ndjson", "--data", "nowhere"],
        ),
        ["keys", "lisst"],
    ),
    ids=" ".join,
)
def test_f24_it_answers_as_the_installed_command_does(tmp_path: Path, words: list[str]) -> None:
    """Output, errors, exit status, with another environment and folder than the forking process."""
    options = {"cwd": tmp_path, "env": {**os.environ, "INNKEEPER_POOL_SIZE": "7"}}
    assert preloaded.can_run(tuple(words), options)
    forked = run(*words, **options)
    installed = subprocess.run(
        [COMMAND, *words], capture_output=True, text=True, check=False, **options
    )
    answers = [(one.returncode, one.stdout, one.stderr) for one in (forked, installed)]
    assert answers[0] == answers[1]


def test_f24_one_that_does_not_end_is_killed(data: Path) -> None:
    """As by `subprocess.run`."""
    with pytest.raises(subprocess.TimeoutExpired):
        run("jobs", "run", "--data", data, timeout=0.001)


@pytest.mark.long
def test_f24_several_run_at_once(tmp_path: Path) -> None:
    """One reads its settings from a pipe that is written once another has ended."""
    pipe = tmp_path / "innkeeper.toml"
    os.mkfifo(pipe)
    done: list[subprocess.CompletedProcess[str]] = []
    words = ("settings", "--json", "--config", pipe)
    waiting = threading.Thread(target=lambda: done.append(run(*words)))
    waiting.start()
    assert run("settings").returncode == 0
    assert done == []
    pipe.write_text("pool_size = 9\n")
    waiting.join()
    values = {row["name"]: row["value"] for row in json.loads(done[0].stdout)}
    assert values["pool_size"] == 9


def test_f24_how_the_interpreter_starts_needs_a_start() -> None:
    assert preloaded.can_run(("keys", "list"), {"env": {**os.environ, "INNKEEPER_DATA": "/x"}})
    assert not preloaded.can_run(("keys", "list"), {"env": {**os.environ, "PYTHONUTF8": "0"}})
    assert not preloaded.can_run(("keys", "list"), {"user": 65534})
    assert preloaded.can_run(("serve",), {})
    assert not preloaded.can_run(("serve", "--workers", 2), {})


def test_f24_a_forked_server_is_a_process_that_signals_reach(serve: Serve) -> None:
    """It ends with the status of the installed one, stopped and killed."""
    server = serve(jobs=False)
    assert isinstance(server.process, preloaded.Forked)
    assert server.process.poll() is None
    ref = server.create_guest("a@example.com")
    assert server.stop(signal.SIGTERM) == 0
    again = serve(jobs=False)
    again.client_key, again.token = server.client_key, server.token
    assert again.has_guest(ref)
    assert again.stop(signal.SIGKILL) == -signal.SIGKILL
