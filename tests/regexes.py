"""Whether a regular expression takes time linear in the text, read from its structure.

A backtracking engine takes more than linear time where a loop can share a text with another loop,
or with the search for the next start, in more than one way. `ambiguity` looks for such a text in
the automaton of the expression (Weber and Seidl, On the degree of ambiguity of finite automata).
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final

from re import _constants as codes  # type: ignore[attr-defined]  # isort: skip
from re import _parser as parser  # type: ignore[attr-defined]  # isort: skip

LETTERS: Final = (
    "".join(map(chr, range(128)))
    + "\x85\u00a0\u00df\u00e9\u0130\u0301\u0431\u2028\u3000\u4e2d\ufeff"
)
"""One character of every class that our expressions tell apart."""
MOST_COPIES: Final = 40
"""Copies that a bounded repetition is taken as; one of more counts as unbounded."""

Letters = frozenset[str]


@dataclass
class Part:
    """A piece of an expression: positions it may begin and end with, whether it may be empty."""

    first: list[int] = field(default_factory=list)
    last: list[int] = field(default_factory=list)
    empty: bool = False


class Automaton:
    """Positions of an expression, each with the letters it takes, and which may follow which.

    `edges[a][b]` counts in how many ways `b` follows `a`: two are an ambiguity by themselves.
    """

    def __init__(self, pattern: re.Pattern[Any], *, anchored: bool) -> None:
        self.letters: list[Letters] = []
        self.edges: list[dict[int, int]] = []
        self.flags = pattern.flags
        text = pattern.pattern
        letters = text.decode("latin-1") if isinstance(text, bytes) else text
        tree = parser.parse(letters, pattern.flags & ~re.UNICODE)
        self.flags |= tree.state.flags
        self.is_bytes = isinstance(text, bytes)
        whole = self._sequence(tree)
        self.accepting = set(whole.last)
        self.search: int | None = None
        if not anchored:
            self.search = self._position(frozenset(LETTERS))
            self._join([self.search], [self.search])
            self._join([self.search], whole.first)

    def _position(self, letters: Letters) -> int:
        self.letters.append(letters)
        self.edges.append({})
        return len(self.letters) - 1

    def _join(self, ends: Iterable[int], starts: Iterable[int]) -> None:
        starts = list(starts)
        for end in ends:
            for start in starts:
                self.edges[end][start] = self.edges[end].get(start, 0) + 1

    def _sequence(self, items: Any) -> Part:
        whole = Part(empty=True)
        for operation, argument in items:
            whole = self._then(whole, self._part(operation, argument))
        return whole

    def _then(self, one: Part, other: Part) -> Part:
        self._join(one.last, other.first)
        return Part(
            one.first + (other.first if one.empty else []),
            other.last + (one.last if other.empty else []),
            one.empty and other.empty,
        )

    def _part(self, operation: Any, argument: Any) -> Part:
        if operation in (codes.LITERAL, codes.NOT_LITERAL, codes.IN, codes.ANY):
            at = self._position(_letters(_key(operation, argument), self.flags, self.is_bytes))
            return Part([at], [at])
        if operation in (codes.AT, codes.ASSERT, codes.ASSERT_NOT):
            return Part(empty=True)
        if operation is codes.SUBPATTERN:
            return self._sequence(argument[3])
        if operation is codes.ATOMIC_GROUP:
            return self._sequence(argument)
        if operation is codes.BRANCH:
            parts = [self._sequence(each) for each in argument[1]]
            return Part(
                [at for part in parts for at in part.first],
                [at for part in parts for at in part.last],
                any(part.empty for part in parts),
            )
        if operation in (codes.MAX_REPEAT, codes.MIN_REPEAT, codes.POSSESSIVE_REPEAT):
            return self._repeated(*argument)
        raise NotImplementedError(f"{operation} in an expression")

    def _repeated(self, least: int, most: int, body: Any) -> Part:
        bounded = most is not codes.MAXREPEAT and most <= MOST_COPIES
        whole = Part(empty=True)
        if bounded:
            for number in range(most):
                part = self._sequence(body)
                part.empty = part.empty or number >= least
                whole = self._then(whole, part)
            return whole
        part = self._sequence(body)
        self._join(part.last, part.first)
        part.empty = part.empty or least == 0
        return part

    def together(self, *ats: int) -> bool:
        """Whether one letter leads to all of some positions."""
        return bool(frozenset.intersection(*(self.letters[at] for at in ats)))

    def steps(self, at: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
        """Where copies of the automaton are after one more letter, the same for all."""
        if len(at) == 2:
            for one in self.edges[at[0]]:
                for other in self.edges[at[1]]:
                    if self.together(one, other):
                        yield one, other
            return
        for one in self.edges[at[0]]:
            for other in self.edges[at[1]]:
                if self.together(one, other):
                    for third in self.edges[at[2]]:
                        if self.together(one, other, third):
                            yield one, other, third


def ambiguity(pattern: re.Pattern[Any], *, anchored: bool) -> str:
    """How a text can be shared between loops in several ways; empty where none can.

    `anchored`: used by `match` and `fullmatch` alone, which begin at one place.
    """
    automaton = Automaton(pattern, anchored=anchored)
    loops = [at for at in range(len(automaton.letters)) if _reaches(automaton, (at,), (at,))]
    for at in loops:
        twice = [n for n, ways in automaton.edges[at].items() if ways > 1]
        if any(_reaches(automaton, (each,), (at,)) or each == at for each in twice):
            return "a loop within a loop"
        if _splits(automaton, at):
            return "a loop that reads one text in two ways"
    for one in loops:
        for other in loops:
            if one == other or not _reaches(automaton, (one,), (other,)):
                continue
            if one == automaton.search and other in automaton.accepting:
                # The search begins after what it found.
                continue
            if _reaches(automaton, (one, one, other), (one, other, other)):
                what = "the search for a start" if one == automaton.search else "a loop"
                return f"{what} that shares a text with a loop after it"
    return ""


def _reaches(automaton: Automaton, start: tuple[int, ...], end: tuple[int, ...]) -> bool:
    """Whether one text leads from `start` to `end`, at least one letter long."""
    visited: set[tuple[int, ...]] = set()
    left = [start]
    while left:
        at = left.pop()
        if len(at) == 1:
            following: Iterable[tuple[int, ...]] = ((each,) for each in automaton.edges[at[0]])
        else:
            following = automaton.steps(at)
        for each in following:
            if each == end:
                return True
            if each not in visited:
                visited.add(each)
                left.append(each)
    return False


def _splits(automaton: Automaton, at: int) -> bool:
    """Whether a text leads from `at` back to `at` by two paths."""
    apart: set[tuple[int, ...]] = set()
    left: list[tuple[int, ...]] = [(at, at)]
    observed = {(at, at)}
    while left:
        pair = left.pop()
        for each in automaton.steps(pair):
            if each[0] != each[1]:
                apart.add(each)
            if each not in observed:
                observed.add(each)
                left.append(each)
    return any(_reaches(automaton, pair, (at, at)) for pair in apart)


def _key(operation: Any, argument: Any) -> str:
    """A piece that takes one letter, as an expression again."""
    if operation is codes.ANY:
        return "."
    if operation is codes.LITERAL:
        return re.escape(chr(argument))
    if operation is codes.NOT_LITERAL:
        return f"[^{_escaped(argument)}]"
    words = []
    for kind, value in argument:
        if kind is codes.NEGATE:
            words.append("^")
        elif kind is codes.LITERAL:
            words.append(_escaped(value))
        elif kind is codes.RANGE:
            words.append(f"{_escaped(value[0])}-{_escaped(value[1])}")
        elif kind is codes.CATEGORY:
            words.append(_CATEGORIES[value])
        else:
            raise NotImplementedError(f"{kind} in a set")
    return f"[{''.join(words)}]"


def _escaped(code: int) -> str:
    return f"\\U{code:08x}"


_CATEGORIES: Final = {
    codes.CATEGORY_DIGIT: r"\d",
    codes.CATEGORY_NOT_DIGIT: r"\D",
    codes.CATEGORY_SPACE: r"\s",
    codes.CATEGORY_NOT_SPACE: r"\S",
    codes.CATEGORY_WORD: r"\w",
    codes.CATEGORY_NOT_WORD: r"\W",
}


@cache
def _letters(expression: str, flags: int, is_bytes: bool) -> Letters:
    stored = flags & (re.IGNORECASE | re.DOTALL)
    stored |= re.ASCII if is_bytes or flags & re.ASCII else 0
    pattern = re.compile(expression, stored)
    return frozenset(letter for letter in LETTERS if pattern.fullmatch(letter))
