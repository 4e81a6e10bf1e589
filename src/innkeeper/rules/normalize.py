"""Normalize values for matching: e-mail addresses, identifiers, phone numbers, names."""

import re
import unicodedata
from typing import Final

import phonenumbers

EMAIL_PROVIDER: Final = "email"
"""The provider whose ids compare like e-mail addresses (identity.md 9)."""
LONGEST_PHONE: Final = 250
"""Most characters of a text that may be a phone number."""

# Code points without a visible form (Unicode's Default_Ignorable_Code_Point):
# soft hyphen, zero-width space and joiners, direction marks, variation selectors, byte order mark.
_INVISIBLE: Final = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3"
    "\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
_NO_BREAK_SPACES: Final = "\u00a0\u2007\u202f"
_ACCENTS: Final = re.compile("[\u0300-\u036f]")
# Letters that do not decompose into a base letter and an accent, but are often typed as one.
_LATIN: Final = str.maketrans(
    {"ø": "o", "đ": "d", "ð": "d", "ł": "l", "þ": "th", "æ": "ae", "œ": "oe", "ı": "i", "ħ": "h"}
)
_LEAST_DIGITS: Final = 5
_LONGEST_EXTENSION: Final = 20
_EXTENSION_WORDS: Final = (
    *("extension", "extensión", "extn", "ext", "anexo", "interno", "poste", "доб", "x", "#"),
)
# 3.53861E+11 has lost digits; 353861234567.0 has an extra one.
_SCIENTIFIC: Final = re.compile(r"[-+]?\d+(?:[.,]\d+e\+?|e\+)\d{1,3}", re.I | re.A)
SHEET_ERRORS: Final = ("#n/a", "#null!", "#ref!", "#value!", "#name?", "#num!", "#div/0!")
"""Error values of spreadsheets; a `+` or `=` before a number makes it a formula that may fail."""
_HASHES: Final = re.compile("##+")
_AROUND: Final = " \t\r\n\"'`´‘’“”„«»()[]=,;"
_PLAIN_PHONE: Final = re.compile(r"[+\d ()/-]*", re.A)
_WITH_DECIMALS: Final = re.compile(r"\+?\d{6,}[.,]0+", re.A)


def visible(text: str) -> str:
    """Remove invisible characters, and no-break spaces at both ends."""
    if text.isascii():
        return text
    return without_invisible(text).strip(_NO_BREAK_SPACES)


def without_invisible(text: str) -> str:
    """Remove invisible characters."""
    return _INVISIBLE.sub("", text)


def email(address: str) -> str:
    """Normalize an e-mail address: visible characters, trimmed, in lower case."""
    if address.isascii():
        return address.strip().lower()
    return visible(address).strip().lower()


def identifier(provider: str, value: str) -> str:
    """Normalize the id of an identifier; ids of the provider `email` are addresses."""
    return email(value) if provider == EMAIL_PROVIDER else visible(value)


def phone(number: str, region: str | None) -> str:
    """Normalize a phone number to E.164 (`+353861234567`), with its extension if it has one
    (`+35312345678;ext=5`).

    National numbers belong to `region` (ISO 3166-1 alpha-2). A text that is not a valid number is
    reduced to its digits. The result is empty for fewer than five digits, which do not identify
    people, and for numbers that a spreadsheet damaged.
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
    """Split a phone number from its extension (`ext. 5`, `x5`, `;ext=5`), which may be empty.

    Reads from the end, in linear time.
    """
    text = number.rstrip()
    head = text.rstrip("0123456789")
    extension = text[len(head) :]
    head = head.rstrip(" .:=\t\u00a0")
    if not head.lower().endswith(_EXTENSION_WORDS):
        return text, ""
    word = next((word for word in _EXTENSION_WORDS if head.lower().endswith(word)), "")
    base = head[: -len(word) or None].rstrip(" ,;.-\t\u00a0")
    # A lone `#` at the end is not an extension.
    is_extension = word and (extension or word != "#") and len(extension) <= _LONGEST_EXTENSION
    if is_extension and len(digits_of(base)) >= _LEAST_DIGITS:
        return base, extension
    return text, ""


def digits_of(text: str) -> str:
    """Return the digits of a text."""
    return "".join(filter(str.isdecimal, text))


def is_damaged(value: str) -> bool:
    """Whether a spreadsheet replaced digits of a value by an exponent (`3.53861E+11`), or the
    whole value by an error or `#####`; quotes are ignored."""
    if value[:1].isalpha():
        # Neither a number nor an error.
        return False
    text = value.strip(_AROUND)
    return _SCIENTIFIC.fullmatch(text) is not None or (
        text.startswith("#")
        and (text.lower() in SHEET_ERRORS or _HASHES.fullmatch(text) is not None)
    )


def is_damaged_phone(number: str) -> bool:
    """Whether a spreadsheet damaged a phone number, by an exponent or by decimals."""
    if _PLAIN_PHONE.fullmatch(number):
        return False
    base, _ = without_extension(number.strip())
    return is_damaged(base) or _WITH_DECIMALS.fullmatch(base.strip(_AROUND)) is not None


def folded(name: str) -> str:
    """Normalize a name: no case, accents, spaces or punctuation. `Ó Néill-Smith` is `oneillsmith`.

    Only accents of European scripts are removed; in other scripts a mark makes a different letter.
    """
    if name.isascii():
        return "".join(filter(str.isalnum, name.lower()))
    plain = unicodedata.normalize("NFKD", visible(name).casefold())
    plain = _ACCENTS.sub("", plain).translate(_LATIN)
    letters = (
        character
        for character in unicodedata.normalize("NFC", plain)
        if unicodedata.category(character)[0] in "LMN"
    )
    return "".join(letters)


def _with_extension(number: str, extension: str) -> str:
    return f"{number};ext={extension}" if extension else number
