"""Files with secrets: readable by their owner only, written completely or not at all."""

import os
from contextlib import suppress
from pathlib import Path


def write_private(file: Path, text: str, *, replace: bool = True) -> None:
    """Write a file of mode 0600 and sync it to the disk; raises OSError.

    Without `replace`, a file that another process created first remains.
    """
    half = file.with_name(f"{file.name}.{os.getpid()}")
    half.unlink(missing_ok=True)
    with os.fdopen(os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as output:
        output.write(text)
        output.flush()
        os.fsync(output.fileno())
    if replace:
        half.rename(file)
        return
    try:
        with suppress(FileExistsError):
            file.hardlink_to(half)
    finally:
        half.unlink()
