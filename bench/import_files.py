"""Measure large CSV files: how soon first rows are shown, and the memory of an import.

    python -m bench.import_files            2 GB to look at, 1,000,000 rows to import
    python -m bench.import_files 200 100000   MB and rows of your choice

The memory is the proportional set size of the server, its database, its workers and the command.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

COMMAND = str(Path(sys.executable).with_name("innkeeper"))
HEADER = "Customer no,First name,Last name,E-mail,Phone,City,Joined,Points,Tier\n"
_PAUSE_SECONDS = 0.2


def main() -> None:
    """Print the measurements."""
    megabytes, rows = [int(word) for word in sys.argv[1:3]] or (2048, 1_000_000)
    with tempfile.TemporaryDirectory(prefix="innkeeper-bench-") as name:
        folder = Path(name)
        look(folder, megabytes << 20)
        import_rows(folder, rows)


def look(folder: Path, size: int) -> None:
    """Time `innkeeper import --suggest`, which prints the first rows, on a file of a size."""
    path = folder / "large.csv"
    block = "".join(_lines(0, 100_000)).encode()
    with path.open("wb") as out:
        out.write(HEADER.encode())
        while out.tell() < size:
            out.write(block)
    data = ["--data", str(folder / "data")]
    with _Server(folder):
        words = [COMMAND, "import", "guests", str(path), "--suggest", *data]
        started = time.monotonic()
        with subprocess.Popen(words, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            line = process.stdout.readline().decode().strip()
            first = time.monotonic() - started
            process.stdout.read()
        whole = time.monotonic() - started
    path.unlink()
    print(f"{size >> 20:,} MB: first rows after {first:.2f} s, suggestion after {whole:.2f} s")
    print(f"  {line[:100]}")


def import_rows(folder: Path, rows: int) -> None:
    """Import a CSV without a mapping; print the rate and the memory of all processes."""
    path = folder / "rows.csv"
    with path.open("w", encoding="utf-8") as out:
        out.write(HEADER)
        out.writelines(_lines(0, rows))
    with _Server(folder) as server:
        words = [COMMAND, "import", "guests", str(path), "--data", str(folder / "data")]
        started, peak = time.monotonic(), 0
        with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
            while process.poll() is None:
                peak = max(peak, _memory(server.pid, process.pid))
                time.sleep(_PAUSE_SECONDS)
            printed = process.stdout.read().decode() if process.stdout else ""
        seconds = time.monotonic() - started
    rate = rows / seconds
    print(f"{rows:,} rows: {seconds:.0f} s, {rate:,.0f} a second, at most {peak >> 20:,} MB")
    print("  " + printed.strip().splitlines()[-1])


def _lines(first: int, count: int) -> Iterator[str]:
    for number in range(first, first + count):
        yield (
            f"C{number:08},Jane{number % 977},Doe{number % 1999},jane{number}@example.com,"
            f"+35321{number % 10_000_000:07},Cork,2024-03-{1 + number % 28:02},{number % 500}"
            ",gold\n"
        )


class _Server:
    """A server with an empty data folder, until the context ends."""

    def __init__(self, folder: Path) -> None:
        words = [COMMAND, "serve", "--port", "0", "--data", str(folder / "data")]
        self.process = subprocess.Popen(
            words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )

    def __enter__(self) -> subprocess.Popen[str]:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith("curl"):
                break
        return self.process

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait()


def _memory(*roots: int) -> int:
    """Return the proportional set size of processes and all of their children, in bytes."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text()
            except OSError:
                continue
            parents[int(entry.name)] = int(stat.rpartition(")")[2].split()[1])
    ours = {*roots}
    while more := {pid for pid, parent in parents.items() if parent in ours} - ours:
        ours |= more
    return sum(map(_proportional, ours))


def _proportional(pid: int) -> int:
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0
    lines = (line.split() for line in text.splitlines() if line.startswith("Pss:"))
    return sum(int(words[1]) << 10 for words in lines)


if __name__ == "__main__":
    main()
