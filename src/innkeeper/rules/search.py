"""What a search for a guest may mean, and how far one word is from another."""

import re
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from innkeeper.rules.normalize import digits_of, visible, without_extension

BROWSER: Final = "bid:"
"""What a search for a browser id begins with (segmentation-and-export.md 8)."""
LONG_WORD: Final = 7
"""Letters from which on a word may be two slips away."""

_UUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.I | re.A)
_PHONE: Final = re.compile(r"\+?[\d\s().\-/]{6,30}", re.A)
_LEAST_DIGITS: Final = 6


@dataclass(frozen=True, slots=True)
class Query:
    """A search, and each thing that it may be."""

    text: str
    ref: UUID | None = None
    browser: UUID | None = None
    email: str | None = None
    phone: str | None = None
    identifier: str | None = None
    """Tried with every provider, or with the one before a colon."""
    reference_id: str | None = None
    name: str | None = None


def read(text: str) -> Query:
    """What a search may mean; several things at once where that cannot be told apart."""
    text = " ".join(visible(text).split())[:200]
    if text.lower().startswith(BROWSER):
        named = text[len(BROWSER) :].strip()
        return Query(text, browser=UUID(named) if _UUID.fullmatch(named) else None)
    tail = text.rstrip("/").rpartition("/")[2]
    if _UUID.fullmatch(tail):
        return Query(text, ref=UUID(tail), browser=UUID(tail), identifier=tail)
    if not text:
        return Query(text)
    if "@" in text:
        return Query(text, email=text, identifier=text)
    number, _ = without_extension(text)
    digits = digits_of(number)
    if _PHONE.fullmatch(number) and len(digits) >= _LEAST_DIGITS:
        phone = digits[-8:]
        return Query(text, phone=phone, identifier=text, reference_id=text)
    is_name = any(map(str.isalpha, text)) and not any(map(str.isdigit, text))
    return Query(text, identifier=text, reference_id=text, name=text if is_name else None)


def typo_forms(word: str) -> set[str]:
    """What may be left of `word` when a letter, or of a long word two letters, is left out."""
    if len(word) < 3:
        return set()
    one = {word[:at] + word[at + 1 :] for at in range(len(word))}
    if len(word) < LONG_WORD:
        return one | {word}
    return one | {word} | {less[:at] + less[at + 1 :] for less in one for at in range(len(less))}


def cost(asked: str, found: str) -> int | None:
    """How badly `found` answers a search for a word: 0 the same, 1 begins with it, more the more
    slips lie between; None for another word."""
    if found == asked:
        return 0
    most = 0 if len(asked) < 3 else 2 if len(asked) >= LONG_WORD else 1
    between = distance(asked, found)
    if between <= most:
        return 1 + between
    return 1 if found.startswith(asked) else None


def distance(one: str, other: str) -> int:
    """Letters to insert, delete, replace or swap with their neighbour to make one the other."""
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, letter in enumerate(one, 1):
        above, before = before, row
        row = [i]
        for j, wanted in enumerate(other, 1):
            least = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (letter != wanted))
            if i > 1 and j > 1 and letter == other[j - 2] and one[i - 2] == wanted:
                least = min(least, above[j - 2] + 1)
            row.append(least)
    return row[-1]
