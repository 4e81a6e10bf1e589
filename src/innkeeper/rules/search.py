"""Interpret the text of a guest search, and compare words with tolerance for typos."""

import re
from dataclasses import dataclass, replace
from typing import Final
from uuid import UUID

from innkeeper.rules.normalize import digits_of, visible, without_extension

BROWSER: Final = "bid:"
"""Prefix of a search for a browser id (segmentation-and-export.md 8)."""
LONG_WORD: Final = 7
"""Fewest letters of a word that may contain two typos."""

_UUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.I | re.A)
_START_OF_REF: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f-]{0,27})?", re.I | re.A)
_PHONE: Final = re.compile(r"\+?[\d\s().\-/]{6,30}", re.A)
_LEAST_DIGITS: Final = 6


@dataclass(frozen=True, slots=True)
class Query:
    """A search text, and each of its possible meanings."""

    text: str
    ref: UUID | None = None
    ref_range: tuple[UUID, UUID] | None = None
    """The first and last ref that begin with the text, which has eight characters or more."""
    browser: UUID | None = None
    email: str | None = None
    phone: str | None = None
    identifier: str | None = None
    """An id with any provider, or `provider:id`."""
    reference_id: str | None = None
    name: str | None = None


def read(text: str) -> Query:
    """Interpret a search text; an ambiguous text has several meanings."""
    text = " ".join(visible(text).split())[:200]
    if text.lower().startswith(BROWSER):
        browser = text[len(BROWSER) :].strip()
        return Query(text, browser=UUID(browser) if _UUID.fullmatch(browser) else None)
    tail = text.rstrip("/").rpartition("/")[2]
    if _UUID.fullmatch(tail):
        return Query(text, ref=UUID(tail), browser=UUID(tail), identifier=tail)
    if not text:
        return Query(text)
    if "@" in text:
        return Query(text, email=text, identifier=text)
    if _START_OF_REF.fullmatch(text):
        digits = text.replace("-", "").lower()
        ref_range = UUID(digits.ljust(32, "0")), UUID(digits.ljust(32, "f"))
        return replace(_read_words(text), ref_range=ref_range)
    return _read_words(text)


def _read_words(text: str) -> Query:
    """Interpret a text that is no ref, browser id or e-mail address."""
    number, _ = without_extension(text)
    digits = digits_of(number)
    if _PHONE.fullmatch(number) and len(digits) >= _LEAST_DIGITS:
        phone = digits[-8:]
        return Query(text, phone=phone, identifier=text, reference_id=text)
    is_name = any(map(str.isalpha, text))
    return Query(text, identifier=text, reference_id=text, name=text if is_name else None)


def typo_forms(word: str) -> set[str]:
    """Return `word`, and its forms with one letter removed, or up to two for a long word."""
    if len(word) < 3:
        return set()
    one = {word[:at] + word[at + 1 :] for at in range(len(word))}
    if len(word) < LONG_WORD:
        return one | {word}
    return one | {word} | {less[:at] + less[at + 1 :] for less in one for at in range(len(less))}


def cost(word: str, candidate: str) -> int | None:
    """Return how much `candidate` differs from a searched word; None if it does not match.

    0: equal; 1: begins with it; otherwise 1 more than the number of typos.
    """
    if candidate == word:
        return 0
    most = 0 if len(word) < 3 else 2 if len(word) >= LONG_WORD else 1
    typos = distance(word, candidate)
    if typos <= most:
        return 1 + typos
    return 1 if candidate.startswith(word) else None


def distance(one: str, other: str) -> int:
    """Return the number of letters to insert, delete, replace or swap with their neighbour."""
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, letter in enumerate(one, 1):
        above, before = before, row
        row = [i]
        for j, target in enumerate(other, 1):
            least = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (letter != target))
            if i > 1 and j > 1 and letter == other[j - 2] and one[i - 2] == target:
                least = min(least, above[j - 2] + 1)
            row.append(least)
    return row[-1]
