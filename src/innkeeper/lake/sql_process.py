"""Run users' SQL in a child process with limits of memory, processor time and elapsed time.

Parsing and planning a text of a few hundred characters can take minutes and gigabytes, in libraries
that cannot be interrupted, so neither happens in the process that answers requests. The child
(`lake/sql_child.py`) gets the text and the names of files, but no database address and no settings.
It is killed when its time is over and when the server ends.
"""

import asyncio
import os
import signal
import sys
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from innkeeper.errors import Invalid, Problem, ServerFault, Unavailable
from innkeeper.lake.sql_jobs import FIELD, LONGEST, Job, Outcome, SqlLake, Step, Task, encode_job
from innkeeper.rules.identity_keys import digest
from innkeeper.store.limiter import Limiter

if TYPE_CHECKING:
    from uuid import UUID

    from innkeeper.lake.session import Snapshot

CHECKS: Final = Limiter("checks of SQL", at_once=2, waiting=16)
"""Number of texts that one process checks at the same time."""
CHECK_CPU_SECONDS: Final = 5
CHECK_MEMORY_MB: Final = 512
MORE_MEMORY_MB: Final = 256
"""Memory of a query beyond that of its engine: code, stacks, values in flight."""
MOST_THREADS: Final = 4

_CHILD: Final = (sys.executable, "-P", "-m", "innkeeper.lake.sql_child")
START_SECONDS: Final = 30.0
"""Seconds that a child may take beyond its job, since a busy machine starts it slowly."""
_PASSED_ON: Final = ("PATH", "HOME", "LANG", "TMPDIR", "PYTHONPATH", "LD_LIBRARY_PATH")
_TOO_LONG: Final = Outcome(reason=f"is longer than {LONGEST} characters")
_CACHE_SIZE: Final = 256
_checked: OrderedDict["UUID", Outcome] = OrderedDict()
"""Results of the latest checks by digest of the text: a text is checked before a connection is
taken, and its result is read again by the action that saves it."""


async def check_sql(text: str) -> None:
    """Raise `Invalid` for a text that is not a valid segment, `Unavailable` if too many are being
    checked."""
    _raise_problem(await _outcome_of(text))


async def check_early(text: object) -> None:
    """Check a text before a connection is taken; `check_sql` raises its problems later."""
    if isinstance(text, str):
        await _outcome_of(text)


async def find_sql_members(
    snapshot: "Snapshot", text: str, folder: Path, seconds: float
) -> tuple[Path, int]:
    """Run a text; return the file of the guests' refs, one per line, and their number.

    The file is in `folder`. The engine is DuckDB, whatever `lake_engine` is (`engines.answering`).
    """
    lake = _lake_of(snapshot, folder, seconds)
    return lake.members, (await _run(lake, text, "members")).rows


async def explain_sql(snapshot: "Snapshot", text: str, folder: Path, seconds: float) -> list[Step]:
    """Run a text without its result; return its steps with rows and times."""
    return (await _run(_lake_of(snapshot, folder, seconds), text, "explain")).steps


async def read_samples(
    snapshot: "Snapshot", folder: Path, seconds: float
) -> dict[str, dict[str, list[str]]]:
    """Return some values of each column of each documented view: view -> column -> values."""
    return (await _run(_lake_of(snapshot, folder, seconds), "", "samples")).samples


def _lake_of(snapshot: "Snapshot", folder: Path, seconds: float) -> SqlLake:
    return SqlLake.of(snapshot, folder, seconds, min(os.cpu_count() or 1, MOST_THREADS))


async def _run(lake: SqlLake, text: str, task: Task) -> Outcome:
    """Run a job on the lake within its limits; raises `Invalid` and `Unavailable`."""
    if len(text) > LONGEST:
        _raise_problem(_TOO_LONG)
    cpu_seconds = int(lake.seconds * lake.threads) + CHECK_CPU_SECONDS
    job = Job(text, os.getpid(), cpu_seconds, lake.memory_mb + MORE_MEMORY_MB, lake, task)
    outcome = await run_job(job, lake.seconds + START_SECONDS)
    if outcome.exceeded == "memory":
        outcome.reason = f"needs more than {lake.memory_mb} MB of memory"
    elif outcome.exceeded:
        outcome.unavailable = f"The query took longer than {lake.seconds:g} seconds."
    _raise_problem(outcome)
    return outcome


async def _outcome_of(text: str) -> Outcome:
    if len(text) > LONGEST:
        return _TOO_LONG
    key = digest("sql", text)
    outcome = _checked.get(key)
    if outcome is None:
        async with CHECKS:
            job = Job(text, os.getpid(), CHECK_CPU_SECONDS, CHECK_MEMORY_MB)
            outcome = await run_job(job, CHECK_CPU_SECONDS + START_SECONDS)
        if outcome.exceeded == "time":
            raise Unavailable("The server is too busy to check SQL.")
        if outcome.exceeded:
            outcome.reason = "is too complex: checking it takes too long or too much memory"
        _checked[key] = outcome
        while len(_checked) > _CACHE_SIZE:
            _checked.popitem(last=False)
    return outcome


def _raise_problem(outcome: Outcome) -> None:
    if outcome.unavailable:
        raise Unavailable(outcome.unavailable)
    if outcome.reason:
        raise Invalid(Problem(FIELD, outcome.reason, position=outcome.position))


async def run_job(job: Job, seconds: float) -> Outcome:
    """Run a child, and kill it after a time."""
    process = await asyncio.create_subprocess_exec(
        *_CHILD,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env=environment(is_local=job.lake is None or job.lake.location.is_local),
    )
    try:
        exchange = process.communicate(encode_job(job))
        output, _ = await asyncio.wait_for(exchange, seconds)
    except TimeoutError:
        return Outcome(exceeded="time")
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode == 0:
        return msgspec.json.decode(output, type=Outcome)
    if process.returncode == -signal.SIGXCPU:
        return Outcome(exceeded="processor")
    if process.returncode is not None and process.returncode < 0:
        # An allocation failed in a thread of the engine, where no error can be raised.
        return Outcome(exceeded="memory")
    raise ServerFault


def environment(*, is_local: bool) -> dict[str, str]:
    """Environment variables of a child: those of object storage if the lake is there, none of
    ours."""
    ours = ("INNKEEPER_", "PG")
    names = _PASSED_ON if is_local else [n for n in os.environ if not n.startswith(ours)]
    passed = {name: os.environ[name] for name in names if name in os.environ}
    # Each arena reserves address space, which the limit counts.
    return passed | {"MALLOC_ARENA_MAX": "2"}
