"""docs/benchmarks.md: print lines beside those of main's last page, and write measured sections."""

import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs" / "benchmarks.md"


def publish(lines: Iterable[str], *, write: bool, whole: bool) -> None:
    """Print the lines as they are measured; with `write`, put their sections into the page.

    Other sections of the page stay. With `whole`, what stands before the sections is replaced too.
    """
    written = []
    before = {key: line for key, line in _keyed(_last_page().splitlines()) if key}
    for key, line in _keyed(lines):
        print(line + _beside(before.get(key)), flush=True)
        written.append(line)
    if write:
        head, *others = _parts(PAGE.read_text())
        new_head, *measured = _parts("\n".join([*written, ""]))
        sections = {part.partition("\n")[0]: part for part in [*others, *measured]}
        PAGE.write_text("\n".join([new_head if whole else head, *sections.values()]))
        print(f"written to {PAGE.name}", file=sys.stderr)


def machine() -> str:
    """Processors, system, Python and the date."""
    return (
        f"{os.cpu_count()} cores, {platform.machine()}, {platform.system()}, "
        f"Python {platform.python_version()}, {datetime.now(UTC):%Y-%m-%d}"
    )


def _last_page() -> str:
    """The page on main, or as it is here where there is no such branch."""
    output = subprocess.run(
        ["git", "show", f"main:docs/{PAGE.name}"], cwd=PAGE.parent, capture_output=True, check=False
    )
    return PAGE.read_text() if output.returncode else output.stdout.decode()


def _keyed(text: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Lines with what names them as rows of a table: section, work and connections; or nothing."""
    section, labels = "", 1
    for line in text:
        cells = [cell.strip() for cell in line.split("|")[1:-1]]
        if line.strip().startswith("## "):
            section = line.strip()
        is_row = cells and cells[-1][:1].isdigit()
        if cells and not is_row and not cells[0].startswith("-"):
            labels = 1 + ("connections" in cells)
        yield (" | ".join([section, *cells[:labels]]) if is_row else "", line)


def _beside(row: str | None) -> str:
    """What to print after a row: the same row on main, from its second cell on."""
    return "" if row is None else "  main: " + row.strip("| ").partition(" |")[2].strip()


def _parts(text: str) -> list[str]:
    """What stands before the first section, then each section."""
    return [part.rstrip() + "\n" for part in re.split(r"^(?=## )", text, flags=re.MULTILINE)]
