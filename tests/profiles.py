"""The two profiles of the tests: `make test` every day, `make test-long` with INNKEEPER_LONG=1.

A test marked `long` is left out of the everyday run: it repeats, with more processes, roles or
documents, what an everyday test shows already.
"""

import os
from collections.abc import Iterable
from typing import Any, Final

import pytest

LONG: Final = bool(os.environ.get("INNKEEPER_LONG"))


def each_day(values: Iterable[Any], *chosen: Any) -> list[Any]:
    """Parameters of a test: these of the values every day, all of them in the long profile."""
    return [
        value if value in chosen else pytest.param(value, marks=pytest.mark.long)
        for value in values
    ]


def choose(items: list[pytest.Item]) -> tuple[list[pytest.Item], list[pytest.Item]]:
    """Divide collected tests into those that run in this profile and those that do not."""
    left_out = [] if LONG else [item for item in items if item.get_closest_marker("long")]
    return [item for item in items if item not in left_out], left_out
