"""Records out of files, in constant memory: gzip or plain, by line."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any, Final, Generic, TypeVar, cast

MAX_LINE: Final = 8 * 1024 * 1024
"""Longest line in bytes; of a longer one only the start is read."""
_BLOCK: Final = 1024 * 1024

Item = TypeVar("Item")
Raw = TypeVar("Raw")


class Unreadable(Exception):
    """The file is not what it should be, e.g. zip instead of gzip."""


@dataclass(frozen=True, slots=True)
class Chunk(Generic[Item]):
    """Some records, and the last line or row that was read for them."""

    items: list[Item]
    line: int


def unzipped(stream: IO[bytes]) -> IO[bytes]:
    """The content of a gzip file of one or several members."""
    from isal import igzip  # noqa: PLC0415 - most processes read no files

    opener: Any = igzip.open
    return cast(IO[bytes], opener(stream, "rb"))


def check_gzip(stream: IO[bytes], most: int) -> None:
    """Read a gzip file to its end; raises `Unreadable`, also past `most` bytes of content."""
    left = most
    for block in blocks(unzipped(stream)):
        left -= len(block)
        if left < 0:
            raise Unreadable(f"its content is longer than {most:,} bytes: send it in parts")


def blocks(stream: IO[bytes]) -> Iterator[bytes]:
    """A file piece by piece; raises `Unreadable`."""
    with readable():
        while block := stream.read(_BLOCK):
            yield block


def lines(stream: IO[bytes], after: int = 0) -> Iterator[tuple[int, bytes]]:
    """(number from 1, text) of each line past `after` that is not blank; raises `Unreadable`."""
    number = 0
    with readable():
        while line := stream.readline(MAX_LINE):
            number += 1
            rest = line
            while len(rest) == MAX_LINE and not rest.endswith(b"\n"):
                # Too long to be a record: what is left of it is skipped.
                rest = stream.readline(MAX_LINE)
            if number > after and not line.isspace():
                yield number, line


@contextmanager
def readable() -> Iterator[None]:
    """What decompression raises, as `Unreadable`."""
    from isal import isal_zlib  # noqa: PLC0415

    own: type[Exception] = vars(isal_zlib)["error"]
    try:
        yield
    except (EOFError, OSError, own) as error:
        raise Unreadable(str(error)) from error


def chunks(
    records: Iterable[tuple[int, Raw]], read: Callable[[int, Raw], Item], size: int
) -> Iterator[Chunk[Item]]:
    """Records read `size` at a time, fewer where their lines are long."""
    items: list[Item] = []
    number = held = 0
    for number, text in records:
        items.append(read(number, text))
        held += len(text) if isinstance(text, bytes) else 0
        if len(items) == size or held >= MAX_LINE:
            yield Chunk(items, number)
            items, held = [], 0
    if items:
        yield Chunk(items, number)


async def ahead(every: Iterator[Item]) -> AsyncIterator[Item]:
    """The same items, each made in a thread while the one before is dealt with."""
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(1, "reader") as pool:
        coming = loop.run_in_executor(pool, _next, every)
        while (item := await coming) is not None:
            coming = loop.run_in_executor(pool, _next, every)
            try:
                yield item
            except BaseException:
                coming.cancel()
                raise


def _next(every: Iterator[Item]) -> Item | None:
    return next(every, None)
