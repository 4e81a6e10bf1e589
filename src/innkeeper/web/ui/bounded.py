"""Limits on how much of a value every page shows.

A stored value may have megabytes. Pages show its beginning, and link to a download where the whole
value matters. `shorten` applies to every expression that a template prints; attributes and text
areas are printed whole (`attributes.py`).
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from itertools import islice
from typing import Any, Final

import msgspec
from markupsafe import Markup, escape

from innkeeper.resources.values import iso

TEXT_CHARACTERS: Final = 2_000
"""Most characters of one value in a page."""
JSON_CHARACTERS: Final = 8_000
"""Most characters of one JSON document in a page."""
ROWS: Final = 200
"""Most rows of one list in a page."""
EXTENSIONS: Final = 20
"""Most data extensions in a page: each is a list."""
LONGEST_NUMBER: Final = 400
DEEPEST: Final = 100

_encode = msgspec.json.Encoder(decimal_format="number").encode
_MARKS: Final = {"k": '<span class="k">', "s": '<span class="s">', "l": '<span class="l">'} | {
    "n": '<span class="n">'
}


class FullText(str):
    """A text that `shorten` does not shorten."""

    __slots__ = ()


def whole(value: Any) -> Any:
    """Mark a value to be printed whole."""
    return FullText(value) if type(value) is str else value


def shorten(value: Any) -> Any:
    """Return what a template prints for a value: of a long text its beginning."""
    if isinstance(value, str) and len(value) > TEXT_CHARACTERS:
        return value if isinstance(value, Markup | FullText) else cut(value)
    return value


def cut(text: str, most: int = TEXT_CHARACTERS) -> str:
    """Return the first `most` characters of a text, and its length when it is longer."""
    return text if len(text) <= most else f"{text[:most]}… ({len(text):,} characters)"


def rows(items: Iterable[Any] | None, most: int = ROWS) -> list[Any]:
    """Return the first `most` items of a list."""
    return list(islice(items or (), most))


def is_cut(value: Any) -> bool:
    """Whether a page shows only a part of a JSON value."""
    return _Writer(JSON_CHARACTERS).write(value)


def json_text(value: Any) -> str:
    """Encode a value as indented JSON, up to `JSON_CHARACTERS`."""
    writer = _Writer(JSON_CHARACTERS)
    writer.write(value)
    return FullText("".join(text for _, text in writer.tokens))


def json_html(value: Any) -> Markup:
    """Encode a value as `json_text` does, in HTML that marks its tokens for colour."""
    writer = _Writer(JSON_CHARACTERS)
    writer.write(value)
    # Each text is escaped once: joining Markup objects would escape them several times.
    pieces = [
        f"{_MARKS[kind]}{escape(text)}</span>" if kind else str(escape(text))
        for kind, text in writer.tokens
    ]
    return Markup("".join(pieces))  # noqa: S704 - every text in it is escaped


class _Full(Exception):
    """Raised when the characters of a `_Writer` are used up."""


class _Writer:
    """Writes JSON as tokens until its characters are used up; it does not read the rest of the
    value."""

    def __init__(self, characters: int) -> None:
        self.tokens: list[tuple[str, str]] = []
        self._left = characters
        self._is_cut = False

    def write(self, value: Any) -> bool:
        """Write a value; return whether it was cut."""
        try:
            self._value(value, 0)
        except _Full:
            self.tokens.append(("", " …"))
            return True
        return self._is_cut

    def _add(self, kind: str, text: str) -> None:
        self.tokens.append((kind, text))
        self._left -= len(text)
        if self._left < 0:
            raise _Full

    def _value(self, value: Any, depth: int) -> None:
        if isinstance(value, str):
            self._text("s", value)
        elif value is None or isinstance(value, bool):
            self._add("l", {None: "null", True: "true", False: "false"}[value])
        elif isinstance(value, int | float | Decimal):
            text = str(value) if isinstance(value, int) else _encode(value).decode()
            self._add("n", cut(text, LONGEST_NUMBER))
        elif isinstance(value, datetime):
            self._text("s", iso(value))
        elif isinstance(value, Mapping):
            self._members(value, depth)
        elif isinstance(value, Sequence | set | frozenset) and not isinstance(value, bytes):
            self._elements(value, depth)
        else:
            self._text("s", str(value))

    def _text(self, kind: str, text: str) -> None:
        most = min(self._left, TEXT_CHARACTERS)
        self._is_cut |= len(text) > most
        self._add(kind, _encode(cut(text, most)).decode())

    def _members(self, value: Mapping[Any, Any], depth: int) -> None:
        self._open("{", depth)
        for number, (key, item) in enumerate(value.items()):
            self._line("," if number else "", depth + 1)
            self._text("k", str(key))
            self._add("", ": ")
            self._value(item, depth + 1)
        self._close("}", depth, is_empty=not value)

    def _elements(self, value: Iterable[Any], depth: int) -> None:
        self._open("[", depth)
        number = -1
        for number, item in enumerate(value):
            self._line("," if number else "", depth + 1)
            self._value(item, depth + 1)
        self._close("]", depth, is_empty=number < 0)

    def _open(self, bracket: str, depth: int) -> None:
        self._add("", bracket)
        if depth >= DEEPEST:
            raise _Full

    def _close(self, bracket: str, depth: int, *, is_empty: bool) -> None:
        if not is_empty:
            self._line("", depth)
        self._add("", bracket)

    def _line(self, comma: str, depth: int) -> None:
        self._add("", f"{comma}\n{'  ' * depth}")
