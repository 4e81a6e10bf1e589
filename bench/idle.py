"""What an idle server costs: memory of all its processes, and the time to start."""

import subprocess
from pathlib import Path


def resident_megabytes(pid: int) -> float:
    """Proportional resident memory of a process and all below it, in MB (Linux)."""
    return sum(_proportional(each) for each in [pid, *_descendants(pid)]) / 1024


def _descendants(pid: int) -> list[int]:
    listed = subprocess.run(
        ["ps", "-e", "-o", "pid=,ppid="], check=True, capture_output=True, text=True
    )
    parents = [
        (int(child), int(parent))
        for child, parent in map(str.split, listed.stdout.split("\n")[:-1])
    ]
    found, waiting = [], [pid]
    while waiting:
        above = waiting.pop()
        below = [child for child, parent in parents if parent == above]
        found += below
        waiting += below
    return found


def _proportional(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
