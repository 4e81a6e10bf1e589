"""Decode and encode JSON text; errors name line and column."""

import re
from decimal import Decimal, InvalidOperation
from typing import Any, Final

import msgspec

from innkeeper.errors import BadJson, Invalid, Problem

# Decimal keeps a number as it was written: 12.50 is not 12.5, and 12 is not 12.0.
_decoder: Final = msgspec.json.Decoder(float_hook=Decimal)
_encoder: Final = msgspec.json.Encoder(decimal_format="number")
_BYTE: Final = re.compile(r"\(byte (\d+)\)")
_BOM: Final = b"\xef\xbb\xbf"


def _decimal(text: str) -> Decimal:
    return Decimal(text)


# Long texts are read in a thread: a function in Python lets other threads run meanwhile.
_LONG: Final = 32 * 1024
_long_decoder: Final = msgspec.json.Decoder(float_hook=_decimal)

MOST_MEMBERS: Final = 40_000
"""Maximum number of members, elements, objects and arrays in a JSON text over 32 KB. Building more
takes the interpreter tens of milliseconds, in which nothing else runs."""
_MARKS: Final = b",:[{"
_QUOTE: Final = ord('"')
_OUTSIDE: Final = re.compile(rb'[",:\[{]')
# Part of a string: a bounded number of steps, since a regular expression lets no thread run.
_INSIDE: Final = re.compile(rb'[^"\\]*(?:\\.[^"\\]*){0,4096}', re.DOTALL)

encode = _encoder.encode
decode_value: Final = _decoder.decode
"""Decode any JSON value that we wrote."""


def decode_object(body: bytes) -> dict[str, Any]:
    """Decode the JSON object in `body`. A byte order mark is skipped; of equal member names the
    last one counts.

    Raises `BadJson` for anything else (CT-4, CT-6).
    """
    text = body.removeprefix(_BOM)
    if len(text) > _LONG:
        _check_members(text)
    try:
        value = (_decoder if len(text) <= _LONG else _long_decoder).decode(text)
    except (msgspec.ValidationError, InvalidOperation):
        # Only this fails an untyped decode after parsing: a number beyond 4300 digits, or one
        # whose exponent is beyond Decimal's.
        raise Invalid(Problem("body", "number is too large")) from None
    except msgspec.DecodeError as fault:
        raise _bad_json(text, _position(text, str(fault))) from None
    except UnicodeDecodeError as fault:
        raise _bad_json(text, _first_bad_byte(text, fault)) from None
    except RecursionError:
        raise _bad_json(text, 0) from None
    if not isinstance(value, dict):
        raise _bad_json(text, len(text) - len(text.lstrip()))
    return value


def count_marks(text: bytes) -> int:
    """Return an upper bound of the members, elements, objects and arrays in a JSON text."""
    return sum(map(text.count, _MARKS))


def _check_members(text: bytes) -> None:
    """Raise `Invalid` for a text with more than `MOST_MEMBERS`; in linear time, also if it is not
    JSON.

    Marks inside strings do not count, but they are examined only if there are that many: one step
    of Python each, so that other threads can run meanwhile.
    """
    if count_marks(text) <= MOST_MEMBERS:
        return
    count = position = 0
    while mark := _OUTSIDE.search(text, position):
        position = mark.end()
        if mark[0] == b'"':
            position = _string_end(text, position)
            continue
        count += 1
        if count > MOST_MEMBERS:
            raise Invalid(Problem("body", f"must have at most {MOST_MEMBERS} members"))


def _string_end(text: bytes, position: int) -> int:
    """Return the end of the string that contains `position`, or of the text if it has no end."""
    while part := _INSIDE.match(text, position):
        if part.end() == len(text):
            break
        if text[part.end()] == _QUOTE:
            return part.end() + 1
        if part.end() == position:  # a backslash that ends the text
            break
        position = part.end()
    return len(text)


def _position(text: bytes, fault: str) -> int:
    match = _BYTE.search(fault)
    if match is None:
        return len(text)
    # The error of msgspec names the second byte after the object.
    return int(match.group(1)) - ("trailing characters" in fault)


def _first_bad_byte(text: bytes, fault: UnicodeDecodeError) -> int:
    # msgspec counts from the start of the string inside the text: look for it ourselves.
    try:
        text.decode()
    except UnicodeDecodeError as whole:
        return whole.start
    return fault.start


def _bad_json(text: bytes, position: int) -> BadJson:
    before = text[:position]
    line_start = before.rfind(b"\n") + 1
    column = len(before[line_start:].decode(errors="replace")) + 1
    return BadJson(before.count(b"\n") + 1, column)
