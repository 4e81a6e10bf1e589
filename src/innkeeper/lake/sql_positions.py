"""Positions in SQL text: line and column, both from 1."""

import itertools
import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from sqlglot import exp

Position = tuple[int, int]
"""Line and column, from 1, counted in characters."""

_MISSING: Final = re.compile(r" from \d+:(\d+)")
_LINE_LENGTH_MAX: Final = re.compile(r"LINE (\d+): (.*)")


def of_offset(text: str, offset: int) -> Position:
    """Return the position of the character at an offset."""
    before = text[: max(0, min(offset, len(text)))]
    return before.count("\n") + 1, len(before) - before.rfind("\n")


def of_node(node: "exp.Expr", text: str) -> Position | None:
    """Return the position of the first word of a node, or of the smallest part around it that has
    one."""
    around: Any = node
    while around is not None:
        starts = [each.meta["start"] for each in around.walk() if "start" in each.meta]
        if starts:
            return of_offset(text, min(starts))
        around = around.parent
    return None


def of_parse_error(error: Exception, text: str) -> Position:
    """Return where SQLGlot stopped parsing: at a word, or at an unclosed quote or bracket."""
    fault = (getattr(error, "errors", None) or [{}])[0]
    if fault.get("line"):
        word = str(fault.get("highlight") or " ").rpartition("\n")[2]
        return int(fault["line"]), max(1, int(fault["col"]) - len(word) + 1)
    missing = _MISSING.search(str(error.__cause__))
    return of_offset(text, int(missing[1]) if missing else len(text))


def of_pointer(message: str, text: str, lines_before: int) -> Position | None:
    """Return the position that DuckDB's message points to, in a text that started some lines
    further down.

    The message shows part of the line, with dots at the ends where it is shortened.
    """
    message_lines = message.split("\n")
    pairs = itertools.pairwise(message_lines)
    marked = ((_LINE_LENGTH_MAX.fullmatch(one), below) for one, below in pairs if "^" in below)
    pointed, below = next((pair for pair in marked if pair[0] is not None), (None, ""))
    if pointed is None:
        return None
    number, excerpt, blanks = int(pointed[1]) - lines_before, pointed[2], below.index("^")
    lines = text.splitlines()
    if not 0 < number <= len(lines):
        return None
    offset = blanks - len(f"LINE {pointed[1]}: ")
    if excerpt.startswith("..."):
        excerpt, offset = excerpt[3:], offset - 3
    start = lines[number - 1].find(excerpt.removesuffix("..."))
    return (number, start + offset + 1) if start >= 0 and offset >= 0 else None
