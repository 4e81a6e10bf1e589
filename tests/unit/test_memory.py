"""S4: what an error's frames hold is freed where the error ends."""

import gc
import subprocess
import sys
import weakref

from innkeeper.store.memory import clear_frames


class _Body:
    """Something large that a function has at hand."""


def _refuse(bodies: list[weakref.ref[_Body]]) -> None:
    body = _Body()
    bodies.append(weakref.ref(body))
    raise ValueError


def _refused(bodies: list[weakref.ref[_Body]]) -> None:
    try:
        _refuse(bodies)
    except ValueError as error:
        raise KeyError from error


def test_s4_frames_of_an_error_and_of_its_causes_are_cleared() -> None:
    bodies: list[weakref.ref[_Body]] = []
    gc.disable()
    try:
        _refused(bodies)
    except KeyError as error:
        assert bodies[0]() is not None
        clear_frames(error)
        assert bodies[0]() is None
    finally:
        gc.enable()


def test_s4_an_error_that_is_its_own_cause_ends() -> None:
    first, second = ValueError(), KeyError()
    first.__cause__, second.__cause__ = second, first
    clear_frames(first)
    second.__cause__ = second
    clear_frames(second)


def test_a_process_that_loaded_duckdb_ends_without_reports_of_its_objects() -> None:
    """DuckDB's binding prints each object that is left at the end, such as those of its module."""
    code = (
        "import duckdb; from innkeeper.store.memory import collect_seldom; "
        "duckdb.connect().execute('SELECT 1').fetchall(); collect_seldom()"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert ended.stderr == b""
