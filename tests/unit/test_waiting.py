"""F24: no everyday test asserts wall time; `waiting` alone has deadlines, and says for what."""

import ast
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import waiting

TESTS = Path(__file__).parents[1]
CLOCKS = {"monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns", "process_time"}
WAITING = {"Client", "HTTPConnection", "communicate", "create_connection", "get", "join", "post"}
WAITING |= {"put", "request", "result", "run", "wait", "wait_for", "wait_for_url", "__init__"}
ALLOWED = {
    "waiting.py": "the one place with a deadline",
    "unit/test_outside.py": "tells when something moved",
    "e2e/test_export_killed.py": "asserts it in the long profile alone",
}


def parsed(*words: str) -> Iterator[tuple[Path, ast.Module]]:
    """The files of the tests that hold one of these words."""
    for path in TESTS.rglob("*.py"):
        text = path.read_text()
        if any(word in text for word in words):
            yield path, ast.parse(text)


def test_f24_no_test_reads_a_clock_to_measure() -> None:
    """Speed is measured by `make bench`, beside a floor of the same run."""
    reading = {
        path.relative_to(TESTS).as_posix()
        for path, tree in parsed(*CLOCKS)
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr in CLOCKS
    }
    assert reading <= set(ALLOWED)


def test_f24_no_test_gives_up_after_a_time_of_its_own() -> None:
    """A client, connection, process or thread is waited for as long as everything else."""
    hasty = {
        f"{path.relative_to(TESTS)}:{node.lineno}"
        for path, tree in parsed("timeout=")
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and getattr(node.func, "attr", getattr(node.func, "id", "")) in WAITING
        for options in node.keywords
        # Less than a second is a pause of a loop that waits on.
        if options.arg == "timeout"
        and isinstance(options.value, ast.Constant)
        and options.value.value >= 1
    }
    assert hasty == set()


def test_f24_what_never_happens_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "PATIENCE_SECONDS", 0.0)
    with pytest.raises(AssertionError, match="waited 0 s for the moon"):
        waiting.until("the moon", lambda: False)


async def test_f24_what_happens_is_returned() -> None:
    looks = iter([None, [], 7])

    async def look() -> object:
        return next(looks)

    assert await waiting.wait_until("a seven", look) == 7


def test_f24_a_client_that_names_no_time_is_patient() -> None:
    with httpx.Client() as client:
        assert client.timeout.read == waiting.PATIENCE_SECONDS
