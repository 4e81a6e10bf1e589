"""How values compare when people are matched: e-mail, phone, names, and what never counts."""

import re
import unicodedata
from typing import Final

import phonenumbers

_ACCENTS: Final = re.compile("[\u0300-\u036f]")
# Letters that are not a base letter with an accent, though people type them as if they were.
_LATIN: Final = str.maketrans(
    {"ø": "o", "đ": "d", "ð": "d", "ł": "l", "þ": "th", "æ": "ae", "œ": "oe", "ı": "i", "ħ": "h"}
)
_ZEROS: Final = re.compile(r"[0\W_]+")
_LEAST_DIGITS: Final = 5


def email(address: str) -> str:
    """Trimmed, in lower case."""
    return address.strip().lower()


def phone(number: str, region: str | None) -> str:
    """E.164 (`+353861234567`), for national numbers by `region` (ISO 3166-1 alpha-2).

    What cannot be read as a number of a country is its digits alone, and empty when it has
    fewer than five: too few to tell people apart.
    """
    text = number.strip()
    if text.startswith("00"):
        text = "+" + text[2:]
    try:
        read = phonenumbers.parse(text, region.upper() if region else None)
        if phonenumbers.is_possible_number(read):
            return phonenumbers.format_number(read, phonenumbers.PhoneNumberFormat.E164)
    except phonenumbers.NumberParseException:
        pass
    digits = "".join(character for character in number if character.isdecimal())
    return digits if len(digits) >= _LEAST_DIGITS else ""


def folded(name: str) -> str:
    """A name without case, accents, spaces and punctuation: `Ó Néill-Smith` is `oneillsmith`.

    Only accents of European scripts go; in others a mark makes another letter.
    """
    if name.isascii():
        return "".join(filter(str.isalnum, name.lower()))
    plain = _ACCENTS.sub("", unicodedata.normalize("NFKD", name.casefold())).translate(_LATIN)
    kept = (
        character
        for character in unicodedata.normalize("NFC", plain)
        if unicodedata.category(character)[0] in "LMN"
    )
    return "".join(kept)


def is_zeros(text: str) -> bool:
    """Whether a value has nothing but zeros and punctuation, as `000-000` or `+00`."""
    return _ZEROS.fullmatch(text) is not None
