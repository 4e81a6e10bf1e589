"""Code sets against pycountry, which was made from the standards by others."""

import pycountry

from innkeeper.resources.codes import COUNTRIES, CURRENCIES, LANGUAGES


def test_countries_are_iso_3166_and_kosovo() -> None:
    """G-16: XK is no ISO code, but clients send it."""
    assert {country.alpha_2 for country in pycountry.countries} | {"XK"} == COUNTRIES


def test_languages_are_iso_639() -> None:
    """G-16: those with two letters."""
    two = {entry.alpha_2 for entry in pycountry.languages if hasattr(entry, "alpha_2")}
    assert two == LANGUAGES


def test_currencies_are_iso_4217() -> None:
    assert {currency.alpha_3 for currency in pycountry.currencies} == CURRENCIES
