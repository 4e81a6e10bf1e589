"""The file that a command imports: a local file, standard input, or one at a URL."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path, PurePath
from shutil import copyfileobj
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING, Final

from innkeeper.errors import OperatorError

if TYPE_CHECKING:
    from innkeeper.store.work import Work

STDIN: Final = "-"
_MOST_BYTES: Final = 1 << 40
"""Most bytes that a command downloads."""


def is_elsewhere(name: str) -> bool:
    """Return whether a file is not local: standard input, or a URL."""
    return name == STDIN or "://" in name


def local_name(name: str) -> str:
    """Return the path that the names of files beside a file start with; in the current folder if
    the file is not local."""
    if name == STDIN:
        return "stdin"
    if not is_elsewhere(name):
        return name
    path = name.partition("://")[2].partition("?")[0].partition("#")[0]
    return PurePath(path).name or "download"


@asynccontextmanager
async def stored(work: "Work", name: str) -> AsyncIterator[Path]:
    """Yield the path of a file; one that is not local is stored first, as files are read twice.

    Raises OperatorError.
    """
    if not is_elsewhere(name):
        yield Path(name)
        return
    from innkeeper.store.downloads import DownloadFailed, download
    from innkeeper.store.outbound_http import OutboundFailed

    suffix = PurePath(local_name(name)).suffix
    with NamedTemporaryFile(prefix="innkeeper-import-", suffix=suffix) as file:
        if name == STDIN:
            copyfileobj(sys.stdin.buffer, file, 1 << 20)
        else:
            try:
                await download(work.settings, name, file, most=_MOST_BYTES, is_free=True)
            except (DownloadFailed, OutboundFailed) as error:
                raise OperatorError(f"{name} {error}.") from error
            except ImportError as error:
                raise OperatorError(f"{name} needs another package: {error}.") from error
        file.flush()
        yield Path(file.name)
