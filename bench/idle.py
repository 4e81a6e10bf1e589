"""What a server costs: memory and processor time of all its processes (Linux)."""

import os
import subprocess
from pathlib import Path

SERVER, JOBS, DATABASE = "server", "job worker", "PostgreSQL"
"""The parts of an installation."""


def resident_megabytes(pid: int) -> float:
    """Proportional resident memory of a process and all below it, in MB (Linux)."""
    return sum(resident_parts(pid).values())


def resident_parts(pid: int) -> dict[str, float]:
    """The same, part by part."""
    result = dict.fromkeys((SERVER, JOBS, DATABASE), 0.0)
    for each in [pid, *_descendants(pid)]:
        result[_part(each)] += _proportional(each) / 1024
    return result


def processor_seconds(pid: int) -> float:
    """Processor time that a process and all below it used, ended ones included, without jobs."""
    ticks = 0
    for each in [pid, *_descendants(pid)]:
        if _part(each) != JOBS:
            try:
                # User, system, and both of ended children.
                numbers = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()[11:15]
            except OSError:
                continue
            ticks += sum(map(int, numbers))
    return ticks / os.sysconf("SC_CLK_TCK")


def _part(pid: int) -> str:
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return SERVER
    if b"innkeeper.jobs" in command:
        return JOBS
    return DATABASE if b"postgres" in command.partition(b"\0")[0] else SERVER


def _descendants(pid: int) -> list[int]:
    listed = subprocess.run(
        ["ps", "-e", "-o", "pid=,ppid="], check=True, capture_output=True, text=True
    )
    parents = [
        (int(child), int(parent))
        for child, parent in map(str.split, listed.stdout.split("\n")[:-1])
    ]
    result, waiting = [], [pid]
    while waiting:
        above = waiting.pop()
        below = [child for child, parent in parents if parent == above]
        result += below
        waiting += below
    return result


def _proportional(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
