"""How values compare when people are matched: e-mail, identifiers, phone, names."""

import re
import unicodedata
from typing import Final

import phonenumbers

EMAIL_PROVIDER: Final = "email"
"""The provider whose ids compare like e-mail addresses (identity.md 9)."""
LONGEST_PHONE: Final = 250
"""Characters of the longest text that may be a phone number."""

# Code points that Unicode lets be ignored where they are not shown (Default_Ignorable_Code_Point):
# soft hyphen, zero-width space and joiners, direction marks, variation selectors, byte order mark.
_INVISIBLE: Final = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3"
    "\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
_NO_BREAK_SPACES: Final = "\u00a0\u2007\u202f"
_ACCENTS: Final = re.compile("[\u0300-\u036f]")
# Letters that are not a base letter with an accent, though people type them as if they were.
_LATIN: Final = str.maketrans(
    {"ø": "o", "đ": "d", "ð": "d", "ł": "l", "þ": "th", "æ": "ae", "œ": "oe", "ı": "i", "ħ": "h"}
)
_LEAST_DIGITS: Final = 5
_LONGEST_EXTENSION: Final = 20
_EXTENSION_WORDS: Final = (
    *("extension", "extensión", "extn", "ext", "anexo", "interno", "poste", "доб", "x", "#"),
)
# 3.53861E+11 has lost digits, 353861234567.0 has one that is none.
_SCIENTIFIC: Final = re.compile(r"[-+]?\d+(?:[.,]\d+e\+?|e\+)\d{1,3}", re.I | re.A)
SHEET_ERRORS: Final = ("#n/a", "#null!", "#ref!", "#value!", "#name?", "#num!", "#div/0!")
"""What spreadsheets show of a formula that failed: a `+` or `=` before a number makes it one."""
_HASHES: Final = re.compile("##+")
_AROUND: Final = " \t\r\n\"'`´‘’“”„«»()[]=,;"
_WITH_DECIMALS: Final = re.compile(r"\+?\d{6,}[.,]0+", re.A)


def visible(text: str) -> str:
    """Text as it is seen: without invisible characters, and no-break spaces at its ends."""
    if text.isascii():
        return text
    return _INVISIBLE.sub("", text).strip(_NO_BREAK_SPACES)


def email(address: str) -> str:
    """Visible, trimmed, in lower case."""
    return visible(address).strip().lower()


def identifier(provider: str, value: str) -> str:
    """The id of an identifier: as it is seen, of the provider `email` like an address."""
    return email(value) if provider == EMAIL_PROVIDER else visible(value)


def phone(number: str, region: str | None) -> str:
    """E.164 (`+353861234567`), for national numbers by `region` (ISO 3166-1 alpha-2), and the
    extension if there is one (`+35312345678;ext=5`).

    What cannot be read as a number of a country is its digits alone. Empty with fewer than five,
    too few to tell people apart, and for what a spreadsheet damaged.
    """
    text = visible(number).strip()
    if len(text) > LONGEST_PHONE or is_damaged_phone(text):
        return ""
    base, extension = without_extension(text)
    compared = "+" + base[2:] if base.startswith("00") else base
    try:
        read = phonenumbers.parse(compared, region.upper() if region else None)
        if phonenumbers.is_possible_number(read):
            compared = phonenumbers.format_number(read, phonenumbers.PhoneNumberFormat.E164)
            return _with_extension(compared, extension or read.extension or "")
    except phonenumbers.NumberParseException:
        pass
    digits = digits_of(base)
    return _with_extension(digits, extension) if len(digits) >= _LEAST_DIGITS else ""


def without_extension(number: str) -> tuple[str, str]:
    """A phone number and its extension, which is empty when it has none: `ext. 5`, `x5`, `;ext=5`.

    Read from the end, so in time linear in the length.
    """
    text = number.rstrip()
    head = text.rstrip("0123456789")
    extension = text[len(head) :]
    head = head.rstrip(" .:=\t\u00a0")
    word = next((word for word in _EXTENSION_WORDS if head.lower().endswith(word)), "")
    base = head[: -len(word) or None].rstrip(" ,;.-\t\u00a0")
    # A word that nothing follows says nothing, but `,5#` is an extension that is dialled.
    is_one = word and (extension or word != "#") and len(extension) <= _LONGEST_EXTENSION
    if is_one and len(digits_of(base)) >= _LEAST_DIGITS:
        return base, extension
    return text, ""


def digits_of(text: str) -> str:
    """The digits of a text alone."""
    return "".join(filter(str.isdecimal, text))


def is_damaged(value: str) -> bool:
    """Whether a spreadsheet replaced digits of a value by an exponent (`3.53861E+11`), or all of
    it by an error or by `#####`; quoted or not."""
    text = value.strip(_AROUND)
    return _SCIENTIFIC.fullmatch(text) is not None or (
        text.startswith("#")
        and (text.lower() in SHEET_ERRORS or _HASHES.fullmatch(text) is not None)
    )


def is_damaged_phone(number: str) -> bool:
    """Whether a spreadsheet changed a phone number: as an exponent, or with decimals."""
    base, _ = without_extension(number.strip())
    return is_damaged(base) or _WITH_DECIMALS.fullmatch(base.strip(_AROUND)) is not None


def folded(name: str) -> str:
    """A name without case, accents, spaces and punctuation: `Ó Néill-Smith` is `oneillsmith`.

    Only accents of European scripts go; in others a mark makes another letter.
    """
    if name.isascii():
        return "".join(filter(str.isalnum, name.lower()))
    plain = unicodedata.normalize("NFKD", visible(name).casefold())
    plain = _ACCENTS.sub("", plain).translate(_LATIN)
    kept = (
        character
        for character in unicodedata.normalize("NFC", plain)
        if unicodedata.category(character)[0] in "LMN"
    )
    return "".join(kept)


def _with_extension(number: str, extension: str) -> str:
    return f"{number};ext={extension}" if extension else number
