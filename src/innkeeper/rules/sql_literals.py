"""What a text of SQL says beside its words: literals, comments and names in quotes.

Each may name a person. The text need not be SQL that anybody could run.
"""

import re
from collections.abc import Callable
from typing import Final

# Each alternative begins in a way of its own, and ends where it must or with the text. Two quotes
# inside a literal are read as its end and the beginning of another one.
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
    """The text with every literal, comment and name in quotes masked."""
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
    """Where a comment ends that began before `at`; comments stand within each other."""
    depth = 1
    while depth:
        match = _NOTE.search(text, at)
        if match is None:
            return len(text)
        depth += 1 if match[0] == "/*" else -1
        at = match.end()
    return at
