"""Content codings of request bodies: gzip and deflate, never expanded past a limit (F13)."""

import zlib
from typing import Final

import anyio.to_thread

from innkeeper.errors import BadRequest, TooLarge, UnsupportedCoding

GZIP: Final = "gzip"
DEFLATE: Final = "deflate"
_NAMES: Final = {"gzip": GZIP, "x-gzip": GZIP, "deflate": DEFLATE}
_ON_LOOP: Final = 64 * 1024
"""Most bytes, coded and decoded, of a body that is decoded on the event loop."""
_MOST_MEMBERS: Final = 16
"""Members that a gzip body may hold; programs write one."""


def coding_of(header: bytes) -> str | None:
    """Parse a Content-Encoding; None for `identity`. Raises `UnsupportedCoding`."""
    name = header.decode("latin-1").strip().lower()
    if name in ("", "identity"):
        return None
    if name not in _NAMES:
        raise UnsupportedCoding(name)
    return _NAMES[name]


async def decode(body: bytes, coding: str, limit: int) -> bytes:
    """Decode a body: small ones on the event loop, others in a thread.

    Raises `TooLarge` past `limit` bytes, more than which are never in memory, and `BadRequest`
    when the coding is truncated, damaged or followed by other bytes.
    """
    if len(body) <= _ON_LOOP:
        try:
            return decode_in_thread(body, coding, min(limit, _ON_LOOP))
        except TooLarge:
            if limit <= _ON_LOOP:
                raise
    return await anyio.to_thread.run_sync(decode_in_thread, body, coding, limit)


def decode_in_thread(body: bytes, coding: str, limit: int) -> bytes:
    """Do what `decode` does, in the calling thread."""
    pieces: list[bytes] = []
    left, rest = limit, body
    for _ in range(_MOST_MEMBERS):
        stream = zlib.decompressobj(_window_bits(rest, coding))
        try:
            pieces.append(stream.decompress(rest, left + 1))
        except zlib.error:
            break
        left -= len(pieces[-1])
        if left < 0:
            raise TooLarge(limit)
        rest = stream.unused_data
        if not stream.eof:
            break
        if not rest:
            return b"".join(pieces)
        if coding != GZIP:
            break
    raise BadRequest(f"The request body is not valid {coding}.")


def _window_bits(body: bytes, coding: str) -> int:
    if coding == GZIP:
        return 16 + zlib.MAX_WBITS
    # RFC 9110 means the zlib format, some clients send bare deflate: the first two bytes show it.
    is_zlib = body[:1] != b"" and body[0] & 0x0F == 8 and int.from_bytes(body[:2], "big") % 31 == 0
    return zlib.MAX_WBITS if is_zlib else -zlib.MAX_WBITS
