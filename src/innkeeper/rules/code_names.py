"""Codes of countries and languages by their usual names, of Unicode's CLDR through Babel."""

from collections.abc import Iterator
from functools import cache, lru_cache
from typing import Any, Final

from innkeeper.resources.codes import COUNTRIES, LANGUAGES
from innkeeper.rules.normalize import folded

_CODES: Final = {"territories": COUNTRIES, "languages": LANGUAGES}
"""Kind of names in CLDR -> codes that we accept."""
_ALIASES: Final = {"territories": "territory_aliases", "languages": "language_aliases"}
_FIRST_LOCALES: Final = ("en", "de", "fr", "es", "nl", "it")
_OTHER_LOCALES: Final = (
    *("pt", "pl", "sv", "da", "nb", "fi", "cs", "hu", "ro", "el", "ru", "uk", "tr"),
    *("ja", "zh", "ko", "ar", "he"),
)
LONGEST: Final = 100
"""Maximum number of characters of a name."""
_ALSO_COUNTRIES: Final = {
    "GB": ("England", "Scotland", "Wales", "Northern Ireland", "Great Britain", "U.K."),
    "US": ("United States of America", "The United States", "America", "Etats-Unis d'Amérique"),
    "IE": ("Republic of Ireland", "Éire", "Eire"),
    "NL": ("Holland", "The Netherlands"),
    "CZ": ("Czech Republic",),
    "RU": ("Russian Federation",),
    "KR": ("South Korea", "Republic of Korea"),
    "VN": ("Viet Nam",),
    "BA": ("Bosnia and Herzegovina",),
    "TR": ("Turkey",),
    "MK": ("Macedonia",),
    "CI": ("Ivory Coast",),
    "AE": ("UAE",),
    "HK": ("Hong Kong",),
    "MO": ("Macao", "Macau"),
    "PS": ("Palestine", "State of Palestine"),
    "CD": ("Democratic Republic of the Congo", "DR Congo"),
    "VA": ("Holy See",),
}


def country_code(name: str) -> str | None:
    """Return the code of a country by its name in a common language, or its three letters."""
    return _code(name, "territories") if len(name) <= LONGEST else None


def language_code(name: str) -> str | None:
    """Return the code of a language by its name in a common language, or its three letters."""
    return _code(name, "languages") if len(name) <= LONGEST else None


@lru_cache(8192)
def _code(name: str, kind: str) -> str | None:
    word = _word(name)
    if not word:
        return None
    if code := _also(kind).get(word):
        return code
    for locale in (*_FIRST_LOCALES, *_OTHER_LOCALES):
        if code := _names(locale, kind).get(word):
            return code
    return _alias(name.strip(), kind)


@cache
def _also(kind: str) -> dict[str, str]:
    """Return names that CLDR does not have, folded -> code."""
    others = _ALSO_COUNTRIES if kind == "territories" else {}
    return {_word(each): code for code, names in others.items() for each in names}


def _word(name: str) -> str:
    """Return a name as names are compared: `Saint Kitts and Nevis` is `St. Kitts & Nevis`."""
    return folded(name.lower().replace("saint", "st").replace(" and ", " "))


@cache
def _names(locale: str, kind: str) -> dict[str, str]:
    """Return names of a locale, folded -> code."""
    from babel import Locale  # noqa: PLC0415 - slow to import, and few files need it

    names: Any = getattr(Locale.parse(locale), kind)
    return {_word(name): code for code, name in names.items() if code in _CODES[kind]}


def _alias(name: str, kind: str) -> str | None:
    from babel import core  # noqa: PLC0415

    names: Any = core
    aliased = names.get_global(_ALIASES[kind])

    def candidates() -> Iterator[Any]:
        for spelt in (name.upper(), name.lower()):
            code = aliased.get(spelt)
            yield from [code] if isinstance(code, str) else code or ()

    return next((code for code in candidates() if code in _CODES[kind]), None)
