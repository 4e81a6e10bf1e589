"""`make bench`: every measurement beside its floor, as a table (`--write` puts it in docs/)."""

import argparse
import os
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path

from bench import guests
from bench.idle import resident_megabytes
from bench.load import Sample
from bench.servers import floor, innkeeper

PAGE = Path(__file__).parents[1] / "docs" / "benchmarks.md"
HEAD = "| Work | requests/s | p50 ms | p99 ms | floor requests/s | floor p99 ms | ratio |"
RULE = "|---|---:|---:|---:|---:|---:|---:|"
INTRO = """# Benchmarks

Written by `make bench ARGS=--write`. Each row is measured beside a floor in the same run: a
Starlette application that checks Basic credentials and runs one bare psycopg statement over the
same tables (`bench/floor.py`), without validation, links or errors. The ratio is ours to the
floor's requests a second; the load generator shares the machine with both, and PostgreSQL runs
with fsync on.
"""


def row(what: str, ours: Sample, beneath: Sample) -> str:
    """One line of the table."""
    if ours.failures or beneath.failures:
        what += f" ({ours.failures} and {beneath.failures} failed)"
    return (
        f"| {what} | {ours.per_second:,.0f} | {ours.p50:.2f} | {ours.p99:.2f} "
        f"| {beneath.per_second:,.0f} | {beneath.p99:.2f} "
        f"| {ours.per_second / beneath.per_second:.2f} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5, help="per measurement")
    parser.add_argument("--write", action="store_true", help="write docs/benchmarks.md")
    asked = parser.parse_args()
    lines = [HEAD, RULE]
    print(HEAD, RULE, sep="\n", flush=True)
    with innkeeper() as ours:
        idle = f"Idle: {resident_megabytes(ours.pid):.0f} MB resident for everything "
        idle += f"(proportional), first start to ready in {ours.ready_after:.1f} s."
        with floor(ours.dsn) as beneath:
            for what, ours_sample, floor_sample in guests.measure(ours, beneath, asked.seconds):
                lines.append(row(what, ours_sample, floor_sample))
                print(lines[-1], flush=True)
    print(idle)
    if asked.write:
        machine = f"{os.cpu_count()} cores, {platform.machine()}, {platform.system()}, "
        machine += f"Python {platform.python_version()}, {datetime.now(UTC):%Y-%m-%d}"
        PAGE.write_text("\n".join([INTRO, machine + ".", "", *lines, "", idle, ""]))
        print(f"written to {PAGE}", file=sys.stderr)


if __name__ == "__main__":
    main()
