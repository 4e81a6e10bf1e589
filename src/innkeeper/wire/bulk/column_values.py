"""What the cells of a column show: e-mail addresses, phone numbers, dates, numbers, words."""

import re
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Any, Final

from innkeeper.resources.kinds import EMAIL, Kind, ListOf
from innkeeper.resources.values import ValueRefused
from innkeeper.rules.normalize import folded
from innkeeper.wire.bulk.batch_plans import TITLES
from innkeeper.wire.bulk.mapping import Unfit, boolean_in, number_in

DATES: Final = (
    *("%Y-%m-%d", "%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%Y/%m/%d", "%d-%m-%Y", "%Y%m%d"),
    *("%d/%m/%Y %H:%M", "%m/%d/%Y %H:%M", "%d.%m.%Y %H:%M", "%d.%m.%Y %H:%M:%S"),
)
_PHONE: Final = re.compile(r"\+[0-9][0-9 ().\-/]{6,24}|\([0-9]{2,5}\) ?[0-9][0-9 .\-]{4,16}", re.A)
_NUMBERED: Final = re.compile(r"#?[A-Za-z]{0,6}[-_ #]?[0-9]+[0-9A-Za-z_-]*", re.A)
_TITLES: Final = frozenset(
    (
        *map(folded, TITLES),
        *("herr", "frau", "m", "mme", "mlle", "monsieur", "madame", "sr", "sra", "srta", "dhr"),
        *("mevr", "mw", "sig", "sigra", "dott", "drs", "ing", "mx", "don"),
    )
)
_SYMBOLS: Final = {"€": "EUR", "£": "GBP"}


def share(texts: Sequence[str], test: Callable[[str], bool]) -> float:
    """Return the share of texts that pass a test; 0 without texts."""
    return sum(map(test, texts)) / len(texts) if texts else 0.0


def is_email(text: str) -> bool:
    """Whether a text is an e-mail address."""
    return fits(EMAIL, text.strip())


def is_phone(text: str) -> bool:
    """Whether a text is written as only phone numbers are: with + or an area code in brackets."""
    return _PHONE.fullmatch(text.strip()) is not None


def is_title(text: str) -> bool:
    """Whether a text is a form of address, such as Dr or Mrs."""
    return folded(text) in _TITLES


def is_numbered(text: str) -> bool:
    """Whether a text is a number of a document, such as #1001 or INV-2024-7."""
    return _NUMBERED.fullmatch(text.strip()) is not None


def currency_of(texts: Sequence[str]) -> str | None:
    """Return the currency whose symbol amounts have; None for `$`, which many currencies have."""
    codes = {code for symbol, code in _SYMBOLS.items() if any(symbol in text for text in texts)}
    return codes.pop() if len(codes) == 1 else None


def fits(kind: Kind | None, value: Any) -> bool:
    """Whether a kind accepts a value; a list kind, an element."""
    if kind is None:
        return True
    if isinstance(kind, ListOf) and not isinstance(value, list):
        value = [value]
    try:
        kind.read(value)
    except ValueRefused:
        return False
    return True


def date_format(texts: Sequence[str]) -> str:
    """How most dates are written, unless it is ISO 8601 or no format fits half of them."""
    shares = {form: share(texts, partial(_is_date, form)) for form in DATES}
    best = max(shares, key=lambda form: shares[form])
    return "" if best == "%Y-%m-%d" or shares[best] < 0.5 else best


def _is_date(form: str, text: str) -> bool:
    try:
        datetime.strptime(text, form)
    except ValueError:
        return False
    return True


def type_of(texts: Sequence[str]) -> str:
    """Return the type of a column that becomes a data extension: text, number or boolean."""
    readers: tuple[tuple[str, Callable[[str, str], Any]], ...] = (
        ("boolean", boolean_in),
        ("number", number_in),
    )
    for kind, read in readers:
        try:
            # NaN is no value, and no other type's either.
            if any(value is not None for value in [read("", text) for text in texts]):
                return kind
        except Unfit:
            continue
    return "text"
