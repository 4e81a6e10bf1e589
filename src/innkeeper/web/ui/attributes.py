"""Jinja extension: print values in attributes and text areas whole, since forms send them back.

Values between tags are for reading and are shortened (`bounded.shorten`). The HTML before an
expression shows where it stands, so templates need no mark for it.
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
"""State of the HTML -> pattern that ends it."""


class WholeAttributes(Extension):
    """Applies the filter `whole` to every expression in a tag or a text area."""

    def filter_stream(self, stream: TokenStream) -> Iterable[Token]:
        """Yield the tokens of a template, with the filter added."""
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
    """Tracks the position in the HTML of a template: text, tag, quoted value or text area."""

    def __init__(self) -> None:
        self.state = "text"
        self._tag = ""

    def read(self, data: str) -> None:
        """Read the next part of the HTML and update `state`."""
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
