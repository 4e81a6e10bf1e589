"""Limits on the path and the query of a request line, and percent-decoding at the speed of C."""

import re
from binascii import a2b_qp
from typing import Final

from innkeeper.errors import UriTooLong

MAX_PATH_BYTES: Final = 8192
MAX_QUERY_BYTES: Final = 8192
"""Maximum size of a query in bytes, without the message of a stream request."""
MAX_PARAMETERS: Final = 256
_LONE_PERCENT: Final = re.compile(rb"%(?![0-9A-Fa-f]{2})")


def check_path(path: bytes) -> None:
    """Raise `UriTooLong` for a path over the limit."""
    if len(path) > MAX_PATH_BYTES:
        raise UriTooLong(f"The path is over {MAX_PATH_BYTES} bytes.")


def check_query(query: bytes) -> None:
    """Raise `UriTooLong` for a query with more bytes or parameters than the limits."""
    if len(query) > MAX_QUERY_BYTES:
        raise UriTooLong(f"The query is over {MAX_QUERY_BYTES} bytes.")
    if query.count(b"&") >= MAX_PARAMETERS:
        raise UriTooLong(f"The query has more than {MAX_PARAMETERS} parameters.")


def percent_decode(text: bytes) -> bytes:
    """Decode each `%XX` of `text` to a byte; a `%` without two digits stays.

    The result is that of `urllib.parse.unquote_to_bytes`, which takes one step of Python for each
    `%`. Quoted-printable uses `=` in place of `%`, and the standard library decodes that in C.
    """
    if b"%" not in text:
        return text
    escaped = _LONE_PERCENT.sub(b"%25", text).replace(b"=", b"%3D")
    # Neither soft line breaks nor `==` can occur: two digits follow each `=`.
    return a2b_qp(escaped.replace(b"%", b"="))
