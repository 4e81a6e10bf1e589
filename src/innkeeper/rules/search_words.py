"""The search words of a new guest, as the SQL function `search_words` derives them.

Imports derive them while they read a file, because the function takes most of the time of an
insert. Where the two may differ, only the database derives them.
"""

import re
import string
import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from innkeeper.resources.base import Record
from innkeeper.resources.guests import Guest
from innkeeper.rules.normalize import without_invisible

SEARCHED: Final = tuple(name for name, field in Guest.fields.items() if field.searchable)
MOST: Final = 12
"""Maximum number of words of a name; of more, the database chooses the stored ones."""
_LONGEST: Final = 32
_LEAST_DIGITS: Final = 6
_ASCII_LOWER: Final = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)
_ACCENTS: Final = re.compile("[\u0300-\u036f]")
_LIGATURES: Final = {"ae": "Ææ", "oe": "Œœ", "ss": "ß"}
_FROM: Final = "ÆŒØĐÐŁÞİĦøđðłıħАБВГДЕЖЗИЙКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯЁІЇЄҐΑΒΓΔΕΖΗΘΙΚΛΜΝΞΟΠΡΣΤΥΦΧΨΩς"
_TO: Final = "æœoddlþihoddlihабвгдежзийклмнопрстуфхцчшщъыьэюяёіїєґαβγδεζηθικλμνξοπρστυφχψωσ"
_LETTERS: Final[dict[int, str]] = {
    **dict(zip(map(ord, _FROM), _TO, strict=True)),
    **{ord(letter): two for two in ("ae", "oe", "ss") for letter in _LIGATURES[two]},
}
_SPACES: Final = re.compile("[\u2000-\u2018\u201a-\u206f\u00a0\u3000]")
_MARKS: Final = str.maketrans('-,;:/\\()[]{}<>|_"!?&+*=#%$@~^\t\n\r', " " * 32, "'`´’.")
_is_plain_phone: Final = re.compile(r"[0-9+ ().,/-]*").fullmatch
_NO_DIGITS: Final = str.maketrans("", "", "+ -().,/")


def search_words(guest: Record) -> tuple[Sequence[str], Sequence[str]] | None:
    """Return the words of a guest's names and phone numbers, each without repeats; None where the
    database has to derive them."""
    names = _split(" ".join([guest[name] for name in SEARCHED if name in guest]))
    if len(names) > MOST:
        return None
    phones = list[str]()
    numbers = guest.get("phone_numbers") or ()
    for number in (*numbers, guest["phone"]) if guest.get("phone") else numbers:
        digits = number.removeprefix("+")
        if not (digits.isascii() and digits.isdecimal()):
            if not _is_plain_phone(number):
                return None
            digits = number.translate(_NO_DIGITS)
        word = f"#{digits[-8:]}"
        if len(digits) >= _LEAST_DIGITS and word not in phones:
            phones.append(word)
    return names, phones


@lru_cache(4096)
def _split(names: str) -> tuple[str, ...]:
    """Return the words of names; cached, as names repeat."""
    return tuple(dict.fromkeys(word[:_LONGEST] for word in _folded(names).split(" ") if word))


def _folded(name: str) -> str:
    """Return a name without case, accents, apostrophes and invisible characters."""
    if name.isascii():
        return name.translate(_ASCII_LOWER).translate(_MARKS)
    text = unicodedata.normalize("NFKD", without_invisible(name)).translate(_ASCII_LOWER)
    text = _SPACES.sub(" ", _ACCENTS.sub("", text).translate(_LETTERS))
    return text.translate(_MARKS)
