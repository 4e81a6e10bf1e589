"""Streams that read at most a number of bytes, however well the content was compressed."""

import io
from typing import IO, Any

from innkeeper.store.readers import Unreadable


class TooLong(Unreadable):
    """A stream is longer than its limit."""


class LimitedStream(io.RawIOBase):
    """A stream that raises `TooLong` after `limit` bytes."""

    def __init__(self, stream: IO[bytes], limit: int) -> None:
        self._stream = stream
        self._limit = limit
        self.bytes_read = 0

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1) -> bytes:
        """Read up to `size` bytes."""
        return self._counted(self._stream.read(self._most(size)))

    def readline(self, size: int | None = -1) -> bytes:
        """Read the rest of the line, or up to `size` bytes of it."""
        return self._counted(self._stream.readline(self._most(size)))

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer with one read; return the number of bytes."""
        piece = self.read(len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)

    def _most(self, size: int | None) -> int:
        left = self._limit - self.bytes_read + 1
        return left if size is None or size < 0 else min(size, left)

    def _counted(self, piece: bytes) -> bytes:
        self.bytes_read += len(piece)
        if self.bytes_read > self._limit:
            raise TooLong(f"it is longer than {self._limit:,} bytes")
        return piece
