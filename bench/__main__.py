"""`make bench`: every measurement beside its floor, as tables (`--write` puts them in docs/)."""

import argparse
import os
import platform
import re
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from bench import events, guests, imports, lake, orders, pages, resolution, search
from bench.idle import resident_megabytes
from bench.report import Bench, Section
from bench.servers import floor, innkeeper

PAGE = Path(__file__).parents[1] / "docs" / "benchmarks.md"
SECTIONS: dict[str, Section] = {
    "guests": guests.measure,
    "orders": orders.measure,
    "identity": resolution.measure,
    "search": search.measure,
    "events": events.measure,
    "imports": imports.measure,
    "lake": lake.measure,
    "pages": pages.measure,
}
INTRO = """# Benchmarks

Written by `make bench ARGS=--write`. Each row is measured beside a floor in the same run: a
Starlette application that checks Basic credentials and runs one bare psycopg statement over the
same tables (`bench/floor.py`), without validation, links or errors. The two are loaded in turns,
so that a machine that slows down slows both, and the ratio is ours to the floor's requests a
second. The load generator shares the machine with both; PostgreSQL runs with fsync on.
"""


def lines(asked: argparse.Namespace) -> Iterator[str]:
    """The page, line by line, as it is measured."""
    yield INTRO
    yield (
        f"{os.cpu_count()} cores, {platform.machine()}, {platform.system()}, "
        f"Python {platform.python_version()}, {datetime.now(UTC):%Y-%m-%d}."
    )
    with innkeeper() as ours:
        yield (
            f"\nIdle: {resident_megabytes(ours.pid):.0f} MB resident for everything "
            f"(proportional), first start to ready in {ours.ready_after:.1f} s."
        )
        with floor(ours.dsn) as beneath:
            bench = Bench(ours, beneath, asked.seconds, asked.full)
            for name in asked.sections or SECTIONS:
                yield f"\n## {name.capitalize()}\n"
                yield f"Load average of the machine when this began: {os.getloadavg()[0]:.1f}.\n"
                yield from SECTIONS[name](bench)


def _with_others(text: str) -> str:
    """The page with the sections just measured, and all else as it was."""
    head, *others = _parts(PAGE.read_text())
    known = {part.partition("\n")[0]: part for part in [*others, *_parts(text)[1:]]}
    names = [f"## {name.capitalize()}" for name in SECTIONS]
    return "\n".join([head, *(known[name] for name in names if name in known)])


def _parts(text: str) -> list[str]:
    """What stands before the first section, then each section."""
    return [part.rstrip() + "\n" for part in re.split(r"^(?=## )", text, flags=re.MULTILINE)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sections", nargs="*", choices=[*SECTIONS, []], help="all when none")
    parser.add_argument("--seconds", type=float, default=4, help="per measurement")
    parser.add_argument("--full", action="store_true", help="with the large data sets")
    parser.add_argument("--write", action="store_true", help="write docs/benchmarks.md")
    asked = parser.parse_args()
    written = []
    for line in lines(asked):
        print(line, flush=True)
        written.append(line)
    if asked.write:
        text = "\n".join([*written, ""])
        PAGE.write_text(_with_others(text) if asked.sections else text)
        print(f"written to {PAGE.name}", file=sys.stderr)


if __name__ == "__main__":
    main()
