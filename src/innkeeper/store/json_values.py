"""Read the values of a JSON document one at a time: an array of objects, or several objects."""

import io
import json
import re
from collections.abc import Iterator
from typing import IO, Final

from innkeeper.store.file_form import RawStream
from innkeeper.store.readers import MAX_LINE, Unreadable, readable

_PIECE: Final = 1 << 16
_BETWEEN: Final = re.compile(r"[ \t\r\n,\ufeff]*")


def json_values(stream: IO[bytes], encoding: str, after: int = 0) -> Iterator[tuple[int, bytes]]:
    """Yield (line of its start, JSON) of each value after a line; raises `Unreadable`.

    Values that start on one line are numbered as if each had its own line.
    """
    text = io.TextIOWrapper(io.BufferedReader(RawStream(stream), 1 << 20), encoding=encoding)
    last = 0
    try:
        with readable():
            for line, value in _values(text):
                last = max(last + 1, line)
                if last > after:
                    yield last, value.encode()
    except UnicodeError as error:
        raise Unreadable(f"after line {last}: is not valid {encoding}") from error


def _values(text: io.TextIOWrapper) -> Iterator[tuple[int, str]]:
    scan = json.JSONDecoder().raw_decode
    buffer, at, line, depth, is_started = "", 0, 1, 0, False
    while True:
        start, at = at, _between(buffer, at)
        line += buffer.count("\n", start, at)
        mark = buffer[at : at + 1]
        if mark and mark == ("]" if depth else "" if is_started else "["):
            at, depth, is_started = at + 1, depth + (-1 if mark == "]" else 1), True
            continue
        error: Exception | None = None
        if mark:
            try:
                _, end = scan(buffer, at)
            except (ValueError, RecursionError) as raised:
                error = raised
            else:
                is_started = True
                yield line, buffer[at:end]
                line += buffer.count("\n", at, end)
                at = end
                continue
        left = len(buffer) - at
        piece = "" if left > MAX_LINE else text.read(max(_PIECE, left))
        if not piece:
            if mark or depth:
                raise Unreadable(_fault(buffer, at, line, error))
            return
        buffer, at = buffer[at:] + piece, 0


def _between(buffer: str, at: int) -> int:
    """Return where the next value starts: past spaces and commas."""
    match = _BETWEEN.match(buffer, at)
    return match.end() if match else at


def _fault(buffer: str, at: int, line: int, error: Exception | None) -> str:
    if isinstance(error, json.JSONDecodeError):
        line += buffer.count("\n", at, error.pos)
        return f"line {line}: is not valid JSON ({error.msg})"
    if error is None:
        return f"line {line}: the array is never closed: the file was cut off"
    return f"line {line}: is not valid JSON"
