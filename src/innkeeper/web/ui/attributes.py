"""Templates print attributes and text areas whole: a form must send back what it was given.

What stands between tags is for reading and is cut (`bounded.shorten`). Which of the two an
expression is follows from the template's own HTML before it, so no template says it.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Final

from jinja2.ext import Extension
from jinja2.lexer import Token, TokenStream

_NEXT: Final = {
    "text": re.compile(r"<(?=[a-zA-Z/!])"),
    "tag": re.compile(r"[>\"']"),
    '"': re.compile('"'),
    "'": re.compile("'"),
    "textarea": re.compile(r"</textarea"),
}
"""State of the HTML -> what ends it."""


class WholeAttributes(Extension):
    """Applies the filter `whole` to every expression in a tag or a text area."""

    def filter_stream(self, stream: TokenStream) -> Iterable[Token]:
        """The tokens of a template, with the filter added."""
        html = _Html()
        is_whole = False
        for token in stream:
            if token.type == "data":
                html.read(token.value)
            elif token.type == "variable_begin":
                is_whole = html.state != "text"
                yield token
                if is_whole:
                    yield Token(token.lineno, "lparen", "(")
                continue
            elif token.type == "variable_end" and is_whole:
                yield from _filter(token.lineno)
            yield token


def _filter(line: int) -> Iterator[Token]:
    yield Token(line, "rparen", ")")
    yield Token(line, "pipe", "|")
    yield Token(line, "name", "whole")


class _Html:
    """Where in the HTML of a template its reader is: text, tag, a quoted value, a text area."""

    def __init__(self) -> None:
        self.state = "text"
        self._tag = ""

    def read(self, data: str) -> None:
        """Go on to the end of some more of it."""
        at = 0
        while (match := _NEXT[self.state].search(data, at)) is not None:
            at = match.end()
            if self.state == "text":
                self._tag = data[at : at + len("textarea")].lower()
                self.state = "tag"
            elif self.state == "tag" and match[0] == ">":
                self.state = "textarea" if self._tag == "textarea" else "text"
            elif self.state == "tag":
                self.state = match[0]
            else:
                self.state = "tag"
                self._tag = "" if match[0] == "</textarea" else self._tag
