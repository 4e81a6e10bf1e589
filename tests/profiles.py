"""The two profiles of the tests: `make test` every day, `make test-long` with INNKEEPER_LONG=1.

A test marked `long` is left out of the everyday run: it repeats, with more processes, roles or
documents, what an everyday test shows already.
"""

import os
from typing import Final

import pytest

LONG: Final = bool(os.environ.get("INNKEEPER_LONG"))


def choose(items: list[pytest.Item]) -> tuple[list[pytest.Item], list[pytest.Item]]:
    """Divide collected tests into those that run in this profile and those that do not."""
    left_out = [] if LONG else [item for item in items if item.get_closest_marker("long")]
    return [item for item in items if item not in left_out], left_out
