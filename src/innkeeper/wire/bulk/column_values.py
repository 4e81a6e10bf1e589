"""Recognise the content of a column: e-mail addresses, phone numbers, dates, numbers, words."""

import re
from collections.abc import Callable, Sequence
from itertools import takewhile
from typing import Any, Final

from innkeeper.resources.codes import CURRENCIES
from innkeeper.resources.kinds import EMAIL, Kind, ListOf
from innkeeper.rules.date_formats import DateColumn
from innkeeper.rules.normalize import folded
from innkeeper.wire.bulk.batch_plans import TITLES

_FEWEST_DIGITS: Final = 3
_OF_PHONES: Final = frozenset("+0123456789 ().-/")
_NUMBERED: Final = re.compile(r"(?:#?[A-Za-z]{1,6}[-_ ]?|[-_ #]?)[0-9][0-9A-Za-z_-]*", re.A)
_TITLES: Final = frozenset(
    (
        *map(folded, TITLES),
        *("herr", "frau", "m", "mme", "mlle", "monsieur", "madame", "sr", "sra", "srta", "dhr"),
        *("mevr", "mw", "sig", "sigra", "dott", "drs", "ing", "mx", "don"),
    )
)
_SYMBOLS: Final = {
    **{"€": "EUR", "£": "GBP", "₹": "INR", "₺": "TRY", "₴": "UAH", "₽": "RUB", "₪": "ILS"},
    **{"₩": "KRW", "₫": "VND", "₱": "PHP", "฿": "THB", "zł": "PLN", "Kč": "CZK", "Ft": "HUF"},
    **{"US$": "USD", "A$": "AUD", "AU$": "AUD", "CA$": "CAD", "C$": "CAD", "NZ$": "NZD"},
    **{"HK$": "HKD", "R$": "BRL", "MX$": "MXN"},
}
"""Symbol that only one currency has -> its code. `$`, `¥` and `kr` are several currencies."""


def share(texts: Sequence[str], test: Callable[[str], bool]) -> float:
    """Return the share of texts that pass a test; 0 without texts."""
    return sum(map(test, texts)) / len(texts) if texts else 0.0


def is_email(text: str) -> bool:
    """Whether a text is an e-mail address."""
    return fits(EMAIL, text.strip())


def has_digits(text: str) -> bool:
    """Whether a text has as many digits as the shortest phone number."""
    return sum(map(str.isdigit, text)) >= _FEWEST_DIGITS


def is_phone(text: str) -> bool:
    """Whether a text is written as only phone numbers are: with + or an area code in brackets."""
    bare = text.strip()
    digits = sum(map(str.isdecimal, bare))
    return bare[:1] in ("+", "(") and _OF_PHONES.issuperset(bare) and 7 <= digits <= 16


def is_title(text: str) -> bool:
    """Whether a text is a form of address, such as Dr or Mrs."""
    return folded(text) in _TITLES


def is_numbered(text: str) -> bool:
    """Whether a text is a number of a document, such as #1001 or INV-2024-7."""
    return _NUMBERED.fullmatch(text.strip()) is not None


def currency_of(texts: Sequence[str]) -> str | None:
    """Return the currency of the symbols or codes in amounts; None if a mark belongs to several
    currencies, such as `$`, or if amounts differ."""
    codes = {_currency_of_mark(mark) for mark in map(currency_mark, texts) if mark}
    return codes.pop() if len(codes) == 1 else None


def currency_mark(text: str) -> str:
    """Return the text before or after the digits of an amount: `$`, `EUR`; often empty."""
    marks = (text.strip()[:4], text.strip()[-4:])
    before = "".join(takewhile(_is_of_mark, marks[0].lstrip("(+- ")))
    after = "".join(takewhile(_is_of_mark, reversed(marks[1].rstrip(")- "))))[::-1]
    return before or after


def _is_of_mark(letter: str) -> bool:
    return not letter.isdecimal() and letter not in " .,()+-\u00a0\u202f'’"


def _currency_of_mark(mark: str) -> str | None:
    return mark.upper() if mark.upper() in CURRENCIES else _SYMBOLS.get(mark)


def fits(kind: Kind | None, value: Any) -> bool:
    """Whether a kind accepts a value; a list kind, an element."""
    if kind is None:
        return True
    if isinstance(kind, ListOf) and not isinstance(value, list):
        value = [value]
    return kind.accepts(value)


def date_formats(texts: Sequence[str]) -> list[str]:
    """Return the possible formats of a column's dates: none if it has no dates, several if they
    are ambiguous."""
    column = DateColumn()
    for text in texts:
        column.add(text)
    return column.formats()
