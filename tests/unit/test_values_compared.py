"""How values compare before a guest is looked for (F7, F8, F9): expected values by hand."""

import pytest

from innkeeper.rules import normalize
from innkeeper.rules.identity_keys import (
    email_key,
    guest_keys,
    identifier_key,
    keys_with_invisible_characters,
)
from innkeeper.rules.placeholders import PLACEHOLDERS, identifies_nobody, plain
from innkeeper.rules.search import read

NEVER = frozenset(PLACEHOLDERS)


@pytest.mark.parametrize(
    "value",
    [
        *("[object Object]", '"null"', '"undefined"', "true", "FALSE", "Guest", "not set", "None"),
        *("n/a", "N/A", "-", "0", "Unknown", "anonymous", "{}", "[]", '""', "''", "{ }", '[""]'),
        *(" null ", "\tnull\n", "'null'", "\u201cnull\u201d", '\\"null\\"', '" null "', "`null`"),
        *("(not set)", "<null>", "[null]", "NOT  SET", "\u200bnull\ufeff", "nu\u00adll", "\\N"),
        *("", "   ", "\u00a0", "\u200b", "000-000", "+00", "#N/A", "#REF!", "#####", "--"),
        *("3.53861E+11", "3,53861E+11", "4e+11", "[OBJECT OBJECT]", "TEST@TEST.COM"),
    ],
)
def test_f7_identifies_nobody(value: str) -> None:
    """F7: in any case, quoted or padded."""
    assert identifies_nobody(value, NEVER)


@pytest.mark.parametrize(
    "value",
    [
        *("jane@example.com", "C-1", "10", "0x1", "nullable", "Guestrow", "nonesuch", "trueman"),
        *("1e5", "12E34", "a-0", "[object]", "O'Brien", "undefined-7", "N/A-7", "1234567891"),
        "\u7121",
    ],
)
def test_f7_identifies_somebody(value: str) -> None:
    assert not identifies_nobody(value, NEVER)


def test_f7_the_list_is_written_as_it_compares() -> None:
    assert [value for value in PLACEHOLDERS if plain(value) != value] == []
    assert len(set(PLACEHOLDERS)) == len(PLACEHOLDERS)


@pytest.mark.parametrize(
    ("number", "region", "compared"),
    [
        ("+353 1 234 5678 ext. 5", None, "+35312345678;ext=5"),
        ("+353 1 234 5678x5", None, "+35312345678;ext=5"),
        ("+353 1 234 5678 X 5", None, "+35312345678;ext=5"),
        ("tel:+353-1-2345678;ext=5", None, "+35312345678;ext=5"),
        ("01 234 5678, ext 5", "IE", "+35312345678;ext=5"),
        ("(01) 234-5678 extension: 5", "IE", "+35312345678;ext=5"),
        ("01 234 5678 #5", "IE", "+35312345678;ext=5"),
        ("+353 1 234 5678 ext. 05", None, "+35312345678;ext=05"),
        ("00353 1 234 5678 x5", None, "+35312345678;ext=5"),
        # Without a region the digits alone, and never run together with the extension.
        ("01 234 5678 ext 5", None, "012345678;ext=5"),
        ("01 234 56785", None, "0123456785"),
        ("+353 1 234 5678 ext.", None, "+35312345678"),
        ("01 234 5678,5#", "IE", "+35312345678;ext=5"),
        # No number before it
        ("x12345", None, "12345"),
        ("Fax 01 234 5678", "IE", "+35312345678"),
    ],
)
def test_f8_an_extension_is_part_of_the_number(
    number: str, region: str | None, compared: str
) -> None:
    assert normalize.phone(number, region) == compared


@pytest.mark.parametrize(
    "number",
    [
        *("3.53861E+11", "3,53861E+11", "3.53861e11", "+3.53861E+11", "4E+11", " 3.53861E+11 "),
        *("353861234567.0", "353861234567,00", "#N/A", "#####", "#VALUE!", "3.53861E+11 x5"),
        *('"3.53861E+11"', "'353861234567.0", "(3.53861E+11)", "=#REF!", "3.53861E+11;"),
        "1" * 251,
    ],
)
@pytest.mark.parametrize("region", [None, "IE", "US"])
def test_f8_a_damaged_number_gives_no_key(number: str, region: str | None) -> None:
    assert normalize.phone(number, region) == ""


INVISIBLE = (
    *("\u200b", "\u200e", "\u00ad", "\ufeff", "\u200d", "\u2060", "\u202a", "\u180e", "\ufe0f"),
    *("\u034f", "\u3164", "\U000e0041"),
)


@pytest.mark.parametrize("mark", INVISIBLE, ids=lambda mark: f"U+{ord(mark):04X}")
def test_f9_invisible_characters_make_no_other_person(mark: str) -> None:
    """F9: at either end and inside, whatever the value is."""
    for each in (f"{mark}Ja{mark}ne@example.com{mark}", f"\u00a0{mark}Jane@example.com\u202f"):
        assert normalize.email(each) == "jane@example.com"
        assert email_key(each) == email_key("Jane@example.com")
        assert identifier_key("email", each) == identifier_key("email", "jane@example.com")
    for each in (f"{mark}C{mark}-1{mark}", f"{mark}\u00a0C-1\u2007{mark}"):
        assert identifier_key("CRM", each) == identifier_key("CRM", "C-1")
    assert normalize.folded(f"{mark}Ó N{mark}éill") == "oneill"
    assert normalize.folded(f"{mark}Jane") == "jane"
    assert normalize.phone(f"+353{mark} 86 123{mark}4567\u00a0", None) == "+353861234567"
    assert read(f" {mark}jane{mark}@example.com\u00a0").email == "jane@example.com"
    assert read(f"Ja{mark}ne").name == "Jane"
    assert read(f"{mark}+353 86 123 4567").phone == "61234567"


def test_f9_what_is_seen_counts() -> None:
    """Spaces, case and accents of an id do (identity.md 9), and so does a space inside."""
    keys = [identifier_key("CRM", one) for one in ("C-1", "c-1", " C-1", "C\u00a01", "C 1", "Ç-1")]
    assert len(set(keys)) == len(keys)


def test_f9_what_was_put_on_a_block_list_before_is_there_still() -> None:
    """Its digests are of the keys as they were then: every character counted."""
    person = {"email": " Ja\u200bne@x.com", "identifiers": [{"provider": "p", "id": "a\u200b"}]}
    as_sent = {*keys_with_invisible_characters(person)}
    assert len(as_sent) == 2
    assert as_sent.isdisjoint(guest_keys(person))
    assert [*keys_with_invisible_characters({"email": "jané@x.com", "identifiers": []})] == []


@pytest.mark.parametrize(
    ("text", "phone"),
    [
        ("+353 1 234 5678 ext. 5", "12345678"),
        ("01 234 5678x5", "12345678"),
        ("01 234 5678", "12345678"),
    ],
)
def test_f8_a_search_is_for_the_number_without_its_extension(text: str, phone: str) -> None:
    assert read(text).phone == phone
