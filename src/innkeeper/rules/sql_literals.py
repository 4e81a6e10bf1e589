"""Mask literals, comments and quoted names in SQL, which may contain personal data.

The text need not be valid SQL.
"""

import re
from collections.abc import Callable
from typing import Final

# The alternatives begin differently, and an unfinished one ends with the text, so that matching is
# linear. A doubled quote in a literal is read as the end of one and the start of another.
_PARTS: Final = re.compile(
    r"""
      (?P<escaped>[eE]'(?:[^'\\]|\\.)*(?:'|\\?\Z))
    | (?P<text>'[^']*(?:'|\Z))
    | (?P<name>"[^"]*(?:"|\Z))
    | (?P<line>--[^\n]*)
    | (?P<note>/\*)
    | (?P<dollar>\$[A-Za-z_]*\$)
    | (?P<number>(?<![\w.])\d[\d_.]*)
    """,
    re.VERBOSE | re.DOTALL,
)
_NOTE: Final = re.compile(r"/\*|\*/")


def mask_sql(text: str, mask: Callable[[str], str], mask_number: Callable[[str], str]) -> str:
    """Return the text with every literal, comment and quoted name masked."""
    pieces, at = list[str](), 0
    while (match := _PARTS.search(text, at)) is not None:
        pieces.append(text[at : match.start()])
        kind, piece, at = str(match.lastgroup), match[0], match.end()
        if kind == "note":
            at = _end_of_note(text, at)
            pieces.append(f"/* {mask('')} */")
        elif kind == "line":
            pieces.append(f"-- {mask('')}")
        elif kind == "number":
            pieces.append(mask_number(piece))
        elif kind == "dollar":
            end = text.find(piece, at)
            at = len(text) if end < 0 else end + len(piece)
            pieces.append(f"'{mask('')}'")
        else:
            quote = piece[-1] if piece[-1] in "'\"" else "'"
            inner = piece.partition(quote)[2].removesuffix(quote)
            pieces.append(f"{quote}{mask(inner) if inner else ''}{quote}")
    return "".join([*pieces, text[at:]])


def _end_of_note(text: str, at: int) -> int:
    """Return the end of a comment that starts before `at`; comments may be nested."""
    depth = 1
    while depth:
        match = _NOTE.search(text, at)
        if match is None:
            return len(text)
        depth += 1 if match[0] == "/*" else -1
        at = match.end()
    return at
