"""Jinja extension: remove the line breaks and indentation of templates that a reader cannot see.

Templates have one element a line. Printed as they are written, line breaks would put spaces between
inline elements, and indentation would make pages larger. So, in every template:

- Indentation is not printed.
- A line break is not printed between two tags, statements or expressions, nor after a start tag,
  nor before an end tag.
- Every other line break, which is one next to text, is one space, as in HTML.

A space between two tags is written on their line, or as `{{ " " }}`.
"""

import re
from collections.abc import Iterable
from typing import Final

from jinja2.ext import Extension
from jinja2.lexer import Token, TokenStream

_BREAK: Final = re.compile(r"\n\s*")


class LineBreaks(Extension):
    """Removes line breaks and indentation when a template is compiled; line numbers stay."""

    def filter_stream(self, stream: TokenStream) -> Iterable[Token]:
        """Yield the tokens of a template, with HTML between statements and expressions joined."""
        for token in stream:
            if token.type == "data":
                yield Token(token.lineno, "data", join_lines(token.value))
            else:
                yield token


def join_lines(html: str) -> str:
    """Join the lines of a piece of HTML that begins and ends at a statement or an expression."""
    line, *others = _BREAK.split(html)
    for other in others:
        line = line.rstrip(" \t")
        line += other if _is_silent(line, other) else f" {other}"
    return line


def _is_silent(before: str, after: str) -> bool:
    """Whether a line break between two pieces of HTML is not printed."""
    if after.startswith("</") or _ends_with_start_tag(before):
        return True
    return (not before or before.endswith(">")) and (not after or after.startswith("<"))


def _ends_with_start_tag(html: str) -> bool:
    # Without a `<` it is the end of a tag that holds an expression, which is a start tag.
    return html.endswith(">") and not html.startswith("</", max(html.rfind("<"), 0))
