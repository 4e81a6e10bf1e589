"""The page of benchmarks: measured sections replace those of the same name."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))

from bench import page

BEFORE = """# Benchmarks

Before.

## Guests

| Work | ratio |
|---|---:|
| GET | 1.0 |

## Peers

| Work | ratio |
|---|---:|
| read | 9.0 |
"""


@pytest.mark.parametrize(
    ("whole", "head"), [(False, "# Benchmarks\n\nBefore.\n"), (True, "# Benchmarks\n\nAfter.\n")]
)
def test_other_sections_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: bool, head: str
) -> None:
    written = tmp_path / "benchmarks.md"
    written.write_text(BEFORE)
    monkeypatch.setattr(page, "PAGE", written)
    measured = ["# Benchmarks\n\nAfter.", "\n## Guests\n", "| GET | 2.0 |", "\n## Lake\n", "new"]
    page.publish(measured, write=False, whole=whole)
    assert written.read_text() == BEFORE
    page.publish(measured, write=True, whole=whole)
    peers = BEFORE[BEFORE.index("## Peers") :]
    assert written.read_text() == f"{head}\n## Guests\n\n| GET | 2.0 |\n\n{peers}\n## Lake\n\nnew\n"
