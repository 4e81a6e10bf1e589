"""Cells of tables as people write them: dates (I4), numbers and other values (I3, I8b)."""

import itertools
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from innkeeper.errors import OperatorError
from innkeeper.rules.code_names import country_code, language_code
from innkeeper.rules.date_formats import DateColumn, NotADate, possible_formats, read_date
from innkeeper.rules.number_formats import NotANumber, read_number
from innkeeper.wire.bulk.batch_files import Layout
from innkeeper.wire.bulk.cells import Unfit, boolean_in, type_of
from innkeeper.wire.bulk.mapping import mapping_of, read_mapping

Read = Callable[..., list[Any]]


@pytest.mark.parametrize(
    ("form", "text", "expected"),
    [
        ("DD/MM/YYYY", "3/4/1980", datetime(1980, 4, 3)),
        ("MM/DD/YYYY", "03/04/1980", datetime(1980, 3, 4)),
        ("DD.MM.YYYY HH:mm", "25.12.2024 09:05", datetime(2024, 12, 25, 9, 5)),
        ("DD/MM/YYYY HH:MM", "25/12/2024 09:05", datetime(2024, 12, 25, 9, 5)),
        ("MM/DD/YYYY hh:mm A", "3/15/2024 12:30 AM", datetime(2024, 3, 15, 0, 30)),
        ("MM/DD/YYYY hh:mm A", "3/15/2024 2:30 p.m.", datetime(2024, 3, 15, 14, 30)),
        ("YYYYMMDD", "20240301", datetime(2024, 3, 1)),
        ("DD MMM YYYY", "1 März 2024", datetime(2024, 3, 1)),
        ("MMM DD, YYYY", "Sept 5, 2024", datetime(2024, 9, 5)),
        ("DD-MMM-YY", "5-Jan-69", datetime(2069, 1, 5)),
        ("DD/MM/YY", "03/04/70", datetime(1970, 4, 3)),
        ("EXCEL", "45366", datetime(2024, 3, 15)),
        ("EXCEL", "45366.75", datetime(2024, 3, 15, 18)),
        ("UNIX", "1700000000", datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)),
        (
            "YYYY-MM-DD HH:mm:ss Z",
            "2026-09-03 10:15:00 -0400",
            datetime(2026, 9, 3, 10, 15, tzinfo=timezone(timedelta(hours=-4))),
        ),
        ("%d.%m.%Y", "25.12.1981", datetime(1981, 12, 25)),
    ],
)
def test_i4_dates_in_their_format(form: str, text: str, expected: datetime) -> None:
    assert read_date(form, text) == expected


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("DD/MM/YYYY", "12/25/1981"),
        ("DD/MM/YYYY", "1/1/81"),
        ("YYYYMMDD", "2024311"),
        ("hh:mm A YYYY", "13:00 PM 2024"),
        ("DD/MM/YYYY", "31/02/2024"),
        ("EXCEL", "x"),
        ("DD/MM/YYYY", "1" * 99),
    ],
)
def test_i4_what_is_written_otherwise_is_refused(form: str, text: str) -> None:
    with pytest.raises(NotADate):
        read_date(form, text)


@pytest.mark.parametrize(
    ("text", "formats"),
    [
        ("03/04/1980", ["DD/MM/YYYY", "MM/DD/YYYY"]),
        ("3/15/2024 2:30 PM", ["MM/DD/YYYY hh:mm A"]),
        ("03.04.1980", ["DD.MM.YYYY"]),
        ("2024/3/1", ["YYYY/MM/DD"]),
        ("2024-03-01T10:30Z", [""]),
        ("45366", ["EXCEL"]),
        ("Kerry", []),
        ("1,5", []),
    ],
)
def test_i4_formats_that_a_text_may_have(text: str, formats: list[str]) -> None:
    assert possible_formats(text) == formats


@pytest.mark.parametrize(
    ("cells", "formats"),
    [
        (["03/04/1980", "11/12/1985"], ["DD/MM/YYYY", "MM/DD/YYYY"]),
        (["03/04/1980"] * 999 + ["25/12/1985"], ["DD/MM/YYYY"]),
        (["3/4/1980", "12/25/1985", "unknown"], ["MM/DD/YYYY"]),
        (["25/12/1980", "12/25/1985", "03/04/1980"], ["DD/MM/YYYY", "MM/DD/YYYY"]),
        (["2024-01-02", "2024-01-03 10:00"], [""]),
        (["Kerry", "Cork", "1/1/2024"], []),
    ],
)
def test_i4_the_whole_column_decides(cells: list[str], formats: list[str]) -> None:
    """One cell proves the order of day and month; cells that contradict each other prove none."""
    column = DateColumn()
    for cell in cells:
        column.add(cell)
    assert column.formats() == formats


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("€1.234,56", Decimal("1234.56")), ("€12,50", Decimal("12.5")),
        ("12,50 €", Decimal("12.5")),
        ("1,234.56", Decimal("1234.56")), ("$1,234.50", Decimal("1234.50")), ("US$5", 5),
        ("1'234.50", Decimal("1234.50")), ("1\u202f234,5", Decimal("1234.5")),
        ("(3.5)", Decimal("-3.5")),
        ("12.5-", Decimal("-12.5")), ("-12,5", Decimal("-12.5")),
        ("EUR 12.50", Decimal("12.50")),
        ("1.234.567", 1234567), ("1,234,567", 1234567),
        ("0,125", Decimal("0.125")), ("7", 7),
        ("4.5e3", Decimal("4.5e3")), ("NaN", None), ("-Infinity", None),
        ("1.234", Decimal("1.234")),
    ],
)  # fmt: skip
def test_i3_numbers_and_money(text: str, number: Any) -> None:
    assert read_number(text) == number


@pytest.mark.parametrize(
    "text", ["1,234", "abc", "1,23,4", "1..2", "", "€", "12 34", "1.2,3.4", "9" * 101]
)
def test_i3_texts_that_are_no_number_or_two(text: str) -> None:
    with pytest.raises(NotANumber):
        read_number(text)


def test_i3_the_decimal_mark_of_the_file() -> None:
    assert read_number("1,234", ",") == Decimal("1.234")
    assert read_number("1.234", ",") == 1234
    assert read_number("1,234", ".") == 1234
    with pytest.raises(NotANumber):
        read_number("1.234,56", ".")


def test_i3_countries_and_languages_by_their_names() -> None:
    """A few in several languages; pycountry's names and codes of countries are the oracle."""
    names = ("United States", "Deutschland", "USA", "UK", "Allemagne", "日本", "Holland", "Suisse")
    assert [country_code(name) for name in names] == [
        "US",
        "DE",
        "US",
        "GB",
        "DE",
        "JP",
        "NL",
        "CH",
    ]
    assert (country_code("Narnia"), country_code("x" * 999)) == (None, None)
    words = ("English", "Deutsch", "français", "ger", "Klingon")
    assert [language_code(word) for word in words] == ["en", "de", "fr", "de", None]


def test_i3_booleans_by_words() -> None:
    words = {"yes": True, "Y": True, "1": True, "ja": True, "Nein": False, "0": False, "oui": True}
    assert {word: boolean_in("c", word) for word in words} == words
    with pytest.raises(Unfit, match="^c: must be true or false$"):
        boolean_in("c", "maybe")


@pytest.mark.parametrize(
    ("texts", "type_"),
    [
        (["1", "0", "1"], "number"),
        (["yes", "no"], "boolean"), (["Y", "N"], "boolean"), (["true", "0"], "boolean"),
        (["00042", "007"], "text"), (["1", "0012"], "text"), (["1234567890123456"], "text"),
        (["+4912"], "text"), (["5", "7.5"], "number"), (["€1.234,56", "12,00"], "number"),
        (["1,234"], "number"), (["4.47712E+11"], "text"), (["a", "1"], "text"), ([], "text"),
    ],
)  # fmt: skip
def test_i3_i8b_types_of_columns(texts: list[str], type_: str) -> None:
    """Ones and zeros stay numbers; codes with leading zeros or many digits stay text."""
    assert type_of(texts) == type_


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Values that a file of guests gives by a mapping."""
    numbers = itertools.count()

    def values(text: str, **document: Any) -> list[Any]:
        path = tmp_path / f"{next(numbers)}.csv"
        path.write_text(text)
        layout = Layout("guests", "csv", False, mapping_of("guests", document)).prepared(path)
        assert layout.mapping is not None
        results = []
        with layout.opened(path) as source:
            for _, row in layout.rows(source):
                try:
                    results.append(layout.mapping.value("guests", row))
                except Unfit as unfit:
                    results.append(str(unfit))
        return results

    return values


def test_i4_the_file_or_an_answer_decides(read: Read) -> None:
    born = {"columns": {"Born": "dateOfBirth"}}
    assert read("Born\n03/04/1980\n12/25/1985\n", **born) == [
        {"dateOfBirth": "1980-03-04"},
        {"dateOfBirth": "1985-12-25"},
    ]
    with pytest.raises(OperatorError) as raised:
        read("Born\n03/04/1980\n11/12/1985\n", **born)
    assert str(raised.value) == (
        "Column Born: nothing in the file shows whether 03/04 is 3 April or 4 March. Add "
        '"Born" = "DD/MM/YYYY" or "Born" = "MM/DD/YYYY" to [formats] of the mapping.'
    )
    chosen = read("Born\n03/04/1980\n11/12/1985\n", **born, formats={"Born": "DD/MM/YYYY"})
    assert [each["dateOfBirth"] for each in chosen] == ["1980-04-03", "1985-12-11"]
    assert read("Born\n25/12/1985\nunknown\n01/02/1990\n", **born)[1] == (
        "Born: is not a date as DD/MM/YYYY"
    )


def test_i4_zone_and_two_digit_years(read: Read) -> None:
    event = {"columns": {"Seen": "firstSeen"}, "timezone": "Europe/Berlin"}
    assert read("Seen\n25.07.2024 10:00\n2.1.2024 10:00\n", **event) == [
        {"firstSeen": "2024-07-25T08:00:00.000Z"},
        {"firstSeen": "2024-01-02T09:00:00.000Z"},
    ]
    text = "Seen\n2024-07-25 10:00\n2024-07-25T10:00:00Z\n"
    assert read(text, **event) == [
        {"firstSeen": "2024-07-25T08:00:00.000Z"},
        {"firstSeen": "2024-07-25T10:00:00Z"},
    ]
    born = {"columns": {"Born": "dateOfBirth"}}
    assert read("Born\n25/12/55\n", **born) == [{"dateOfBirth": "1955-12-25"}]
    assert read("Born\n25/12/55\n", **born, pivot=1850) == [{"dateOfBirth": "1855-12-25"}]


def test_i3_cells_by_what_their_column_becomes(read: Read) -> None:
    columns = {
        "Country": "country",
        "Language": "language",
        "Phone": "phoneNumbers",
        "Points": "extensions.ext.points",
        "VIP": "extensions.ext.vip",
        "Code": "extensions.ext.code",
    }
    text = "Country;Language;Phone;Points;VIP;Code\n"
    text += (
        "Deutschland;German;(030) 901820;1.234,56;ja;00042\nN/A;DE;+1 212 555 0100;7,5;Nein;NULL\n"
    )
    types = {"Points": "number", "VIP": "boolean"}
    first, second = read(text, columns=columns, types=types, region="DE", nothing=["N/A", "NULL"])
    pairs = {
        "name": "ext",
        "key": "default",
        "points": Decimal("1234.56"),
        "vip": True,
        "code": "00042",
    }
    assert first == {
        "country": "DE",
        "language": "de",
        "phoneNumbers": ["+4930901820"],
        "extensions": [pairs],
    }
    pairs = {"name": "ext", "key": "default", "points": Decimal("7.5"), "vip": False}
    assert second == {"language": "DE", "phoneNumbers": ["+1 212 555 0100"], "extensions": [pairs]}


def test_i3_one_column_shows_the_decimal_mark_of_another(read: Read) -> None:
    columns = {"A": "extensions.ext.a", "B": "extensions.ext.b"}
    types = {"A": "number", "B": "number"}
    (row,) = read("A;B\n1.234;12,5\n", columns=columns, types=types)
    assert row["extensions"][0]["a"] == 1234
    with pytest.raises(
        OperatorError, match=r"^Column A: nothing in the file shows whether 1,234 is"
    ):
        read("A;B\n1.234;5\n", columns=columns, types=types)
    (row,) = read("A;B\n1.234;5\n", columns=columns, types=types, decimal=".")
    assert row["extensions"][0]["a"] == Decimal("1.234")


def test_i3_codes_and_damage_are_refused_as_numbers(read: Read) -> None:
    to = {"columns": {"A": "extensions.ext.a"}}
    assert read("A\n00042\n", **to, types={"A": "number"}) == [
        "A: is a code with leading zeros, not a number: remove the column from [types]"
    ]
    (damaged,) = read("A\n4.47712E+11\n", **to)
    assert damaged.startswith("A: is a value that a spreadsheet damaged")


def test_i3_guards_of_spreadsheets_are_taken_off_only_where_chosen(
    read: Read, tmp_path: Path
) -> None:
    text = 'Id,Phone\n\'7210448301122,"=""0012345"""\n\'tis,+1\n'
    to = {"columns": {"Id": "identifiers.CRM", "Phone": "extensions.ext.phone"}}
    stored = read(text, **to)
    assert stored[0]["identifiers"][0]["id"] == "'7210448301122"
    first, second = read(text, **to, guards=["Phone", "Id"])
    assert first["identifiers"][0]["id"] == "7210448301122"
    assert first["extensions"][0]["phone"] == "0012345"
    path = tmp_path / "a.csv"
    path.write_text(text)
    layout = Layout("guests", "csv", False, mapping_of("guests", to)).prepared(path)
    assert layout.form is not None
    assert layout.form.notes[0].startswith(
        'Cells of "Id", "Phone" start with a spreadsheet\'s guard'
    )
    assert second["identifiers"][0]["id"] == "tis"


@pytest.mark.parametrize(
    ("document", "fault"),
    [
        ({"decimal": "x"}, 'decimal: must be "." or ",".'),
        ({"timezone": "Mars"}, "timezone: must be the name of a time zone, such as Europe/Berlin."),
        ({"region": "Germany"}, "region: must be the code of a country, such as US."),
        ({"pivot": 30}, "pivot: must be the first year of a century, such as 1930."),
        ({"nothing": "NULL"}, "nothing: must be an array."),
        ({"formats": {"A": "dd-mm"}}, "formats.A: is not a format of dates such as DD/MM/YYYY."),
        ({"formats": {"A": "DD/DD/YYYY"}}, "formats.A: names a part of the date twice."),
        ({"encoding": "zlib"}, "encoding: is not an encoding of files; use utf-8, cp1252 …"),
        ({"encoding": "punycode"}, "encoding: is not an encoding of files; use utf-8, cp1252 …"),
        ({"header": -1}, "header: must be greater than or equal to 0."),
    ],
)
def test_i3_i4_a_wrong_mapping_says_what_is_wrong(document: dict[str, Any], fault: str) -> None:
    with pytest.raises(OperatorError) as raised:
        mapping_of("guests", document)
    assert str(raised.value) == fault


def test_i4_dates_that_no_calendar_has_in_utc_are_refused_alone(read: Read) -> None:
    event = {"columns": {"Seen": "firstSeen"}, "timezone": "Europe/Berlin"}
    outside = "Seen: is before the year 1, or after 9999, in UTC"
    for text in ("0001-01-01 00:00\n2024-07-25 10:00\n", "01.01.0001 00:00\n25.07.2024 10:00\n"):
        assert read(f"Seen\n{text}", **event) == [
            outside,
            {"firstSeen": "2024-07-25T08:00:00.000Z"},
        ]
    with pytest.raises(NotADate):
        read_date("%d %d", "1 2")


def test_a_mapping_whose_targets_only_one_kind_of_records_has_needs_no_entity() -> None:
    columns = '[columns]\n"Email" = {}\n"Points" = "extensions.ext.points"\n'
    assert read_mapping(None, columns.format('["email", "identifiers.email"]'), "m")[0] == "guests"
    assert read_mapping(None, columns.format('"contact.email"'), "m")[0] == "orders"
    for text in (
        columns.format('"extensions.ext.email"'),
        "[columns]\nA = 1\n",
        "columns = 1\n",
        "",
    ):
        with pytest.raises(OperatorError, match="needs entity"):
            read_mapping(None, text, "m")
