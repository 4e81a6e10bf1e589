"""Read records from files in constant memory: gzip, zstd or plain, by line."""

import asyncio
import io
import logging
import sys
from collections.abc import (
    AsyncIterator,
    Callable,
    Generator,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from io import BufferedReader
from typing import IO, Any, Final, Generic, TypeVar, cast

from innkeeper.errors import ApiError, OperatorError

log = logging.getLogger(__name__)

_LONGEST_REASON: Final = 500
MAX_LINE: Final = 8 * 1024 * 1024
"""Maximum length of a line in bytes; of a longer line only the start is read."""
MAX_CELLS: Final = 8 * MAX_LINE
"""Maximum number of characters in the cells of a chunk of rows, without its last row."""
_BLOCK: Final = 1024 * 1024
GZIP: Final = "gzip"
ZSTD: Final = "zstd"
_GZIP: Final = b"\x1f\x8b"
_ZSTD_START: Final = b"\x28\xb5\x2f\xfd"

Item = TypeVar("Item")
Raw = TypeVar("Raw")


class Unreadable(Exception):
    """A file that cannot be read, e.g. zip instead of gzip. The argument completes the sentence
    "cannot be read: "."""


@dataclass(frozen=True, slots=True)
class Chunk(Generic[Item]):
    """A chunk of records, and the last line or row that it includes."""

    items: Sequence[Item]
    line: int
    raw: Sequence[tuple[int, Any]] = field(default=(), compare=False, repr=False)
    """The number and the line or row of each record, as it stands in the file."""


def compression_of(stream: IO[bytes]) -> str:
    """Return `gzip`, `zstd` or an empty text, by the first bytes of a file, which are not consumed;
    a stream that cannot peek is content already."""
    if hasattr(stream, "peek"):
        start = cast(BufferedReader, stream).peek(len(_ZSTD_START))[: len(_ZSTD_START)]
    elif not stream.seekable():
        return ""
    else:
        start = stream.read(len(_ZSTD_START))
        stream.seek(-len(start), io.SEEK_CUR)
    return GZIP if start.startswith(_GZIP) else ZSTD if start == _ZSTD_START else ""


def is_gzip(stream: IO[bytes]) -> bool:
    """Whether a file is gzip, by its first bytes, which are not consumed."""
    return compression_of(stream) == "gzip"


def expanded(stream: IO[bytes]) -> IO[bytes]:
    """Open the content of a file that is gzip, zstd or plain."""
    compression = compression_of(stream)
    if compression == ZSTD:
        return cast(IO[bytes], zstd().ZstdFile(stream))
    return unzipped(stream) if compression else stream


def zstd() -> Any:
    """Return the module that reads and writes zstd; few files need it."""
    if sys.version_info >= (3, 14):
        from compression import zstd  # noqa: PLC0415
    else:
        from backports import zstd  # noqa: PLC0415
    return zstd


def unzipped(stream: IO[bytes]) -> IO[bytes]:
    """Open the content of a gzip file with one or more members."""
    from isal import igzip  # noqa: PLC0415 - most processes read no files

    opener: Any = igzip.open
    return cast(IO[bytes], opener(stream, "rb"))


def check_gzip(stream: IO[bytes], most: int) -> None:
    """Read a gzip file to its end; raises `Unreadable`, also for more than `most` bytes of
    content."""
    if not is_gzip(stream):
        raise Unreadable("the file is not gzip")
    for _ in bounded_blocks(stream, most):
        pass


def bounded_blocks(stream: IO[bytes], most: int) -> Iterator[bytes]:
    """Yield the content of a file in pieces; raises `Unreadable`, also after `most` bytes unless
    that is 0."""
    content, size = expanded(stream), 0
    with readable():
        while block := content.read(_BLOCK):
            size += len(block)
            check_length(size, most)
            yield block


def check_length(size: int, most: int) -> None:
    """Raise `Unreadable` if `size` is more than `most`, unless that is 0."""
    if most and size > most:
        raise Unreadable(f"its content is longer than {most:,} bytes: send it in parts")


def lines(stream: IO[bytes], after: int = 0) -> Iterator[tuple[int, bytes]]:
    """Yield (number from 1, text) of each line after `after` that is not blank; raises
    `Unreadable`."""
    number = 0
    with readable():
        while line := stream.readline(MAX_LINE):
            number += 1
            rest = line
            while len(rest) == MAX_LINE and not rest.endswith(b"\n"):
                # Too long to be a record: the rest of the line is skipped.
                rest = stream.readline(MAX_LINE)
            if number > after and not line.isspace():
                yield number, line


@contextmanager
def readable() -> Iterator[None]:
    """Translate errors of decompression to `Unreadable`."""
    from isal import isal_zlib  # noqa: PLC0415

    own: type[Exception] = vars(isal_zlib)["error"]
    try:
        yield
    except EOFError as error:
        raise Unreadable(
            "the compressed file ends too early: it was cut off. Download or copy it again"
        ) from error
    except (OSError, own) as error:
        raise Unreadable(f"the compressed file is damaged ({error})") from error
    except Exception as error:
        if type(error).__name__ != "ZstdError":
            raise
        raise Unreadable(f"the compressed file is damaged ({error})") from error


def weight_of(raw: Any) -> int:
    """Return the share of a chunk's `MAX_LINE` bytes that a line or row takes."""
    if type(raw) is bytes:
        return len(raw)
    if isinstance(raw, Mapping):
        size = sum(len(cell) for cell in raw.values() if isinstance(cell, str))
        return size * MAX_LINE // MAX_CELLS
    return 0


def chunks(
    records: Iterable[tuple[int, Raw]],
    read: Callable[[int, Raw], Item],
    size: int,
    weigh: Callable[[Raw], int] = weight_of,
    into: Callable[[], Any] = list,
) -> Iterator[Chunk[Item]]:
    """Yield chunks of `size` records, fewer if they are long; raises `Unreadable` with the position
    at which `read` failed. `into` returns what collects a chunk's items, by `append`."""
    items = into()
    raw: list[tuple[int, Raw]] = []
    number = weight = 0
    for number, text in records:
        try:
            items.append(read(number, text))
        except Exception as error:
            raise unreadable(error, f"record {number}: ") from error
        raw.append((number, text))
        weight += weigh(text)
        if len(items) == size or weight >= MAX_LINE:
            yield Chunk(items, number, raw)
            items, raw, weight = into(), [], 0
    if items:
        yield Chunk(items, number, raw)


async def ahead(every: Iterator[Item]) -> AsyncIterator[Item]:
    """Yield the same items, each produced in a thread while the previous one is used."""
    loop = asyncio.get_running_loop()
    with ExitStack() as stack:
        if isinstance(every, Generator):
            stack.callback(every.close)
        pool = stack.enter_context(ThreadPoolExecutor(1, "reader"))
        coming = loop.run_in_executor(pool, _next, every)
        while (item := await coming) is not None:
            coming = loop.run_in_executor(pool, _next, every)
            try:
                yield item
            except BaseException:
                coming.cancel()
                raise


def _next(every: Iterator[Item]) -> Item | None:
    try:
        return next(every, None)
    except Exception as error:
        raise unreadable(error) from error


def unreadable(error: Exception, where: str = "") -> Exception:
    """Return the error to raise for an error that occurred while reading a file: readable ones
    unchanged, all others as `Unreadable`. So every failure of a reader has a reason."""
    if isinstance(error, Unreadable | OperatorError | ApiError | FileNotFoundError):
        return error
    log.error("a file could not be read", exc_info=error)
    return Unreadable(f"{where}{type(error).__name__}: {error}"[:_LONGEST_REASON])
