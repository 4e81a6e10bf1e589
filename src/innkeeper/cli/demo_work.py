"""The work of the demo shop's team: imported files, segments, exports and their jobs."""

import asyncio
import csv
from collections.abc import Mapping
from contextlib import redirect_stderr
from datetime import timedelta
from io import StringIO
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

from innkeeper import clock
from innkeeper.cli.options import CommandContext

if TYPE_CHECKING:
    from innkeeper.store.work import Work

MOST_ROWS: Final = 400
_COLUMNS: Final = ("First name", "Last name", "Email", "City", "Country", "Date of birth")
_TOWNS: Final = (
    *(("Sligo", "IE"), ("Ennis", "IE"), ("Cork", "IE"), ("Leith", "GB"), ("Boston", "US")),
    *(("Bremen", "DE"), ("Lyon", "FR")),
)
_FAULTS: Final[tuple[dict[str, str], ...]] = (
    {"Country": "Ireland (north)"},
    {"Date of birth": "31.02.1980"},
    {"Email": "no address", "First name": ""},
    {"Date of birth": "2031-05-04"},
)
"""Values of records that are refused."""


def add_work(context: CommandContext, workspace: str, guests: int) -> None:
    """Import two files, create segments, traits and exports, and run all jobs that this queues."""
    from innkeeper.actions.console import demo_settings
    from innkeeper.jobs.worker import work_jobs

    with TemporaryDirectory(prefix="innkeeper-demo-") as folder:
        rows = min(MOST_ROWS, guests)
        fair = _write_file(Path(folder) / "outdoor-fair.csv", "fair", rows, faults_each=40)
        desk = _write_file(
            Path(folder) / "newsletter-desk.csv", "desk", (rows + 1) // 2, faults_each=0
        )

        async def create(work: "Work") -> None:
            await _import_files(work, context, workspace, {16: desk, 9: fair})
            await demo_settings.create_settings(work)

        context.run(workspace, create)
    asyncio.run(work_jobs(context.settings, once=True))
    context.run(workspace, demo_settings.add_history)


async def _import_files(
    work: "Work", context: CommandContext, workspace: str, paths: Mapping[int, Path]
) -> None:
    """Import files, each some days ago."""
    from innkeeper.cli.import_mappings import MappingOptions
    from innkeeper.cli.import_output import ImportTotals
    from innkeeper.cli.imports import ImportOptions, import_file

    reading = MappingOptions("guests", None, "", None, quiet=True)
    options = ImportOptions(context, workspace, reading, None, False, False, quiet=True)
    # The file of failed records is deleted; the page of the import lists them.
    with redirect_stderr(StringIO()):
        for days, path in paths.items():
            with clock.simulated(clock.now() - timedelta(days=days)):
                await import_file(work, options, str(path), ImportTotals())


def _write_file(path: Path, name: str, rows: int, *, faults_each: int) -> Path:
    """Write a table of guests, of which every `faults_each`-th is invalid."""
    from innkeeper.actions.console.demo_shop import choose_name

    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, _COLUMNS)
        table.writeheader()
        for number in range(1, rows + 1):
            first, last, plain = choose_name(Random(f"{name}{number}"))  # noqa: S311 - of no secret
            email = f"{plain}.{name}{number}@post.example"
            city, country = _TOWNS[number % len(_TOWNS)]
            born = f"{1950 + number % 50}-{1 + number % 12:02}-{1 + number % 28:02}"
            row = dict(zip(_COLUMNS, (first, last, email, city, country, born), strict=True))
            if faults_each and number % faults_each == 5:
                row |= _FAULTS[number // faults_each % len(_FAULTS)]
            table.writerow(row)
    return path
