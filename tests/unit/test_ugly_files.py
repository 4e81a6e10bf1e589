"""I1, I3, I5: files as people have them, which were once misread or refused without a reason."""

import json
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import openpyxl
import pytest
from starlette.datastructures import FormData

from innkeeper.errors import OperatorError
from innkeeper.rules.batch import GuestWrite, RecordError
from innkeeper.rules.identity_rules import IdentityRules
from innkeeper.rules.number_formats import NotANumber, decimal_of, read_number
from innkeeper.store.readers import Unreadable
from innkeeper.web.ui.import_form import begin_draft, read_draft
from innkeeper.web.ui.import_questions import questions
from innkeeper.wire.bulk.batch_files import Layout
from innkeeper.wire.bulk.cells import CellRules, CellTarget, Unfit, read_cell
from innkeeper.wire.bulk.file_formats import guessed_format
from innkeeper.wire.bulk.mapping import mapping_of
from innkeeper.wire.bulk.mixed_files import is_mixed
from innkeeper.wire.bulk.sample import TableSample, read_json_sample, read_sample
from innkeeper.wire.bulk.suggested_mapping import Suggestion
from innkeeper.wire.bulk.suggestion import are_own_values, guess_entity, suggest
from innkeeper.wire.bulk.survey import TableSurvey
from innkeeper.wire.bulk.targets import kind_of


def workbook(
    path: Path, *sheets: tuple[str, list[list[Any]]], merged: tuple[str, ...] = ()
) -> Path:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets:
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
        for cells in merged:
            sheet.merge_cells(cells)
    book.save(path)
    return path


def imported(path: Path) -> tuple[Suggestion, list[Any]]:
    """The suggested mapping of a file of guests, and what its records write, or why not."""
    format_ = guessed_format(path.name)[0] or "csv"
    layout, survey = Layout("guests", format_, False, None).surveyed(path)
    sample = read_sample(layout, path)
    suggestion = suggest("guests", sample.columns, sample.rows, None, None, survey)
    mapping = mapping_of("guests", suggestion.document())
    layout = Layout("guests", format_, False, mapping).prepared(path)
    with layout.opened(path) as source:
        records = [record.what for chunk in layout.chunks(source) for record in chunk.items]
    return suggestion, [
        one.changes if isinstance(one, GuestWrite) else (*one.errors, one.message)[0]
        for one in records
        if isinstance(one, GuestWrite | RecordError)
    ]


def test_spaces_around_cells_are_taken_off_and_shown(tmp_path: Path) -> None:
    """Also those that nobody sees: no-break spaces, and spaces of no width."""
    path = tmp_path / "a.csv"
    text = "Email,First name,City\n A@X.example ,Ann,Cork\n\u00a0b@x.example,Bob,\u200bKöln\n"
    path.write_text(text)
    suggestion, (ann, bob) = imported(path)
    assert suggestion.trim == ["Email", "City"]
    assert "Email: the spaces around 2 cells are taken off." in suggestion.notes
    assert (ann["email"], bob["email"], bob["city"]) == ("A@X.example", "b@x.example", "Köln")
    # A mapping without it takes cells as they are.
    path.write_text("firstName,city\n Ann,Cork\n")
    named = Layout("guests", "csv", False, None).prepared(path)
    with named.opened(path) as source:
        assert next(iter(named.rows(source)))[1]["firstName"] == " Ann"


def test_phone_numbers_that_a_workbook_stores_as_numbers_are_texts(tmp_path: Path) -> None:
    rows = [["Email", "Phone", "Customer no"], ["a@x.example", 353861234567, 1001]]
    _, (ann,) = imported(workbook(tmp_path / "a.xlsx", ("One", rows)))
    assert ann["phone_numbers"] == ["353861234567"]
    assert {one["provider"]: one["id"] for one in ann["identifiers"]} == {
        "email": "a@x.example",
        "CRM": "1001",
    }


def test_cells_that_are_no_phone_number_are_named(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    phones = ("+353 86 123 4567", "01 234 5678 ext. 12", "call after 5pm")
    rows = "".join(f'{at}@x.example,"{phone}"\n' for at, phone in enumerate(phones))
    path.write_text(f"Email,Phone\n{rows}")
    suggestion, records = imported(path)
    assert [one["phone_numbers"] for one in records] == [[phone] for phone in phones]
    assert suggestion.notes == [
        "Phone: 1 of 3 sample cells are no phone number, such as call after 5pm; they are imported "
        "as they are."
    ]
    path.write_text("Email,Phone\na@x.example,yes\nb@x.example,no\nc@x.example,+353861234567\n")
    suggestion, _ = imported(path)
    assert suggestion.columns["Phone"] == ["extensions.ext.phone"]


def test_merged_cells_above_a_header_are_skipped(tmp_path: Path) -> None:
    rows = [
        ["Contacts export"],
        ["Person", None, "Address", None],
        ["Email", "Full name", "City", "Country"],
        ["a@x.example", "Ann Lee", "Cork", "Ireland"],
    ]
    merged = ("A1:D1", "A2:B2", "C2:D2")
    _, (ann,) = imported(workbook(tmp_path / "a.xlsx", ("One", rows), merged=merged))
    assert (ann["email"], ann["first_name"], ann["city"]) == ("a@x.example", "Ann", "Cork")
    # A header with fewer cells than the rows is one, above words alone.
    rows = [
        ["First name", "City", None, None],
        ["Ann", "Cork", "x", "y"],
        ["Bob", "Ennis", "z", "w"],
    ]
    layout = Layout("guests", "spreadsheet").surveyed(workbook(tmp_path / "b.xlsx", ("A", rows)))[0]
    assert layout.columns(tmp_path / "b.xlsx") == ["First name", "City"]


@pytest.mark.parametrize(("first", "what"), [([], "is empty"), ([["Made by ACME"]], "has one row")])
def test_a_first_sheet_without_records_names_the_others(
    tmp_path: Path, first: list[list[str]], what: str
) -> None:
    rows = [["Email"], ["a@x.example"]]
    path = workbook(tmp_path / "a.xlsx", ("Read me", first), ("Data", rows))
    with pytest.raises(Unreadable, match=rf"its sheet Read me {what}\. .* Read me, Data$"):
        Layout("guests", "spreadsheet").surveyed(path)


@pytest.mark.parametrize(
    ("value", "member"),
    [
        ({"count": 1, "results": [{"email": "a@x.example"}]}, "results"),
        ({"data": {"type": "VIEW"}, "type": "VIEW"}, ""),
        ({"email": "a@x.example", "identifiers": [{"provider": "email", "id": "a"}]}, ""),
        ({"email": "a@x.example", "orders": [{"id": 1, "total": 20}]}, ""),
        ({"id": 7, "name": "Ann Lee", "events": [{"type": "VIEW"}]}, ""),
        ({"order_id": 1, "customer": {"email": "a@x.example"}, "items": [{"sku": "A"}]}, ""),
        ({"name": "export", "total": 2, "orders": [{"id": 1}]}, "orders"),
        ({"contact_email": "shop@x.example", "customers": [{"email": "a@x.example"}]}, "customers"),
    ],
)
def test_records_inside_of_one_object_are_named(tmp_path: Path, value: Any, member: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps(value, indent=1))
    layout = Layout("guests", "ndjson", False).surveyed(path)[0]
    if member:
        with pytest.raises(Unreadable, match=f"in its member {member}\\. Save that list alone"):
            read_json_sample(layout, path)
    else:
        assert len(read_json_sample(layout, path).rows) == 1


def test_a_zero_byte_is_named_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"Email,Name\na@x.example,Bo\nb@x.example,A\x00nn\n")
    with pytest.raises(Unreadable, match="^line 3: has a zero byte"):
        Layout("guests", "csv").surveyed(path)


def test_a_total_below_the_rows_is_refused_by_name(tmp_path: Path) -> None:
    """Titles above, a total below, and amounts with a currency."""
    path = tmp_path / "a.csv"
    path.write_text(
        "Customer report,,\nGenerated 2024-03-01,,\n,,\nEmail,Orders,Revenue\n"
        'a@x.example,3,"$1,234.50"\nb@x.example,2,($20.00)\nTotal,5,"$1,214.50"\n'
    )
    suggestion, records = imported(path)
    assert suggestion.types == {"Orders": "number", "Revenue": "number"}
    assert [one["email"] for one in records[:2]] == ["a@x.example", "b@x.example"]
    assert records[2].startswith("email: not a well-formed email address")


def test_numbers_that_a_spreadsheet_shortened_identify_nobody(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("Customer ID,Email\n4.47712E+11,a@x.example\n4.47713E+11,b@x.example\n")
    _, records = imported(path)
    assert all("a spreadsheet damaged" in one for one in records)


def test_a_second_address_that_others_have_identifies_nobody(tmp_path: Path) -> None:
    """From and to: by the shop's own address all customers would be one person."""
    path = tmp_path / "a.csv"
    path.write_text("From Email,To Email\na@x.example,shop@x.example\nb@x.example,shop@x.example\n")
    suggestion, _ = imported(path)
    assert suggestion.columns["From Email"] == ["email", "identifiers.email"]
    assert suggestion.columns["To Email"] == ["extensions.ext.toEmail"]
    assert any("Check which of the two is the person's" in note for note in suggestion.notes)
    path.write_text("E-mail,E-mail 2\na@x.example,a2@x.example\nb@x.example,b@x.example\n")
    suggestion, _ = imported(path)
    assert suggestion.columns["E-mail 2"] == ["emails", "identifiers.email"]


def test_customers_with_a_reference_and_a_state_are_no_orders() -> None:
    square = ("Reference ID", "First Name", "Last Name", "Email Address", "State", "Birthday")
    assert guess_entity(square) == "guests"
    assert guess_entity(("Order number", "Email", "Status", "Currency")) == "orders"
    assert guess_entity(("order-id", "purchase-date", "buyer-email", "buyer-name")) == "orders"


@pytest.mark.parametrize("zero", ["0/0/00", "0000-00-00", "00.00.0000"])
def test_dates_of_zeros_count_as_empty(tmp_path: Path, zero: str) -> None:
    """As Outlook and MySQL write that there is none; the suggestion names them."""
    path = tmp_path / "a.csv"
    path.write_text(f"Email,Birthday\na@x.example,25/12/1985\nb@x.example,{zero}\n")
    suggestion, (ann, bob) = imported(path)
    assert suggestion.nothing == [zero]
    assert ann["date_of_birth"] == "1985-12-25"
    assert "date_of_birth" not in bob


@pytest.mark.parametrize(
    ("cells", "form", "second"),
    [
        (["March 1st, 1984", "December 22nd, 1990"], "MMM DD, YYYY", "1990-12-22T00:00:00.000Z"),
        (["Fri, 01 Mar 2024 10:05:00 +0000"] * 2, "ddd, DD MMM YYYY HH:mm:ss Z", ""),
        (
            ["x", "Fri Mar 01 2024 10:05:00 GMT+0100 (CET)"],
            "ddd MMM DD YYYY HH:mm:ss Z",
            "2024-03-01T09:05:00.000Z",
        ),
        (["1 de marzo de 2024", "12 de mayo de 2023"], "DD de MMM de YYYY", ""),
        (["1er mars 2024", "12 mai 2023"], "DD MMM YYYY", "2023-05-12T00:00:00.000Z"),
        (["Fr., 01.03.2024 10:05", "Mo., 25.03.2024 11:05"], "ddd, DD.MM.YYYY HH:mm", ""),
        (["1. März 2024", "2. Mai 2023"], "DD. MMM YYYY", "2023-05-02T00:00:00.000Z"),
        (["2024年3月1日", "2023年12月2日"], "YYYY年MM月DD日", "2023-12-02T00:00:00.000Z"),
        (["2024년 3월 1일", "2023년 12월 2일"], "YYYY년 MM월 DD일", ""),
        (["03-Mar-24", "12-Dec-23"], "DD-MMM-YY", "2023-12-12T00:00:00.000Z"),
        (
            ["2024-01-01 10:05:00 EST", "2024-07-01 10:05:00 EDT"],
            "YYYY-MM-DD HH:mm:ss Z",
            "2024-07-01T14:05:00.000Z",
        ),
        (
            ["2024/03/01 10:05:11 AM GMT+1", "2024/03/02 11:05:11 PM GMT+1"],
            "YYYY/MM/DD hh:mm:ss A Z",
            "2024-03-02T22:05:11.000Z",
        ),
        (
            ["March 1, 2024 at 10:05 AM PST"] * 2,
            "MMM DD, YYYY at hh:mm A Z",
            "2024-03-01T18:05:00.000Z",
        ),
    ],
)
def test_dates_as_programs_and_people_write_them(
    tmp_path: Path, cells: list[str], form: str, second: str
) -> None:
    path = tmp_path / "a.csv"
    rows = "".join(f'{at}@x.example;"{cell}"\n' for at, cell in enumerate(cells))
    path.write_text(f"Email;Created at\n{rows}", encoding="utf-8")
    suggestion, records = imported(path)
    assert suggestion.formats == {"Created at": form}
    if second:
        assert records[1]["first_seen"] == second


def test_a_time_zone_that_several_share_is_asked_for(tmp_path: Path) -> None:
    """CST is the time of Chicago, of China and of Cuba; a zone that lacks it is no answer."""
    path = tmp_path / "a.csv"
    path.write_text("Email,Created at\na@x.example,2024-03-01 10:05:00 CST\n")
    layout, survey = Layout("guests", "csv", False, None).surveyed(path)
    sample = read_sample(layout, path)
    suggestion = suggest("guests", sample.columns, sample.rows, None, None, survey)

    def resolved(zone: str) -> Layout:
        mapping = mapping_of("guests", {**suggestion.document(), "timezone": zone})
        return replace(layout, mapping=mapping).resolved(survey)

    for zone in ("", "Europe/Berlin"):
        with pytest.raises(OperatorError, match="Column Created at: CST is the time of several"):
            resolved(zone)
    with path.open("rb") as source:
        (chunk,) = resolved("America/Chicago").chunks(source)
    assert chunk.items[0].what.changes["first_seen"] == "2024-03-01T16:05:00.000Z"


def test_percentages_become_numbers_and_the_suggestion_says_so(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("Email,Rate,Mixed\na@x.example,12 %,5%\nb@x.example,12.5%,0.05\n")
    suggestion, _ = imported(path)
    assert suggestion.types == {"Rate": "percent"}
    assert suggestion.notes == ["Rate: the percent sign is taken off: 12 % is 12."]
    target = CellTarget("Rate", "extensions.ext.rate", None, "percent", "", False)
    assert read_cell(CellRules(), target, "12,5 %") == Decimal("12.5")
    with pytest.raises(Unfit, match="must be a number with a percent sign"):
        read_cell(CellRules(), target, "0.05")


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1,23,456.00", "123456.00"),
        ("₹ 12,34,567.50", "1234567.50"),
        ("1,23,456", "123456"),
        ("12'345.–", "12345"),
        ("12,--", "12"),
        ("1 234,50 zł", "1234.50"),
        ("Rs. 1,234.50", "1234.50"),
        ("kr 99,95", "99.95"),
    ],
)
def test_numbers_of_other_countries(text: str, number: str) -> None:
    assert read_number(text) == Decimal(number)


def test_a_dash_for_decimals_shows_their_mark() -> None:
    assert (decimal_of("1.234,-"), read_number("1.234,-")) == (",", 1234)


def test_words_of_a_field_change_no_data_extension() -> None:
    """`Paid` is a status of orders, and in a list of guests a text."""
    suggestion = suggest(
        "guests", ["Email", "Status"], [{"Email": "a@x.example", "Status": "Paid"}]
    )
    assert suggestion.columns["Status"] == ["extensions.ext.status"]
    assert suggestion.values == {}


def test_a_version_is_no_number() -> None:
    with pytest.raises(NotANumber):
        read_number("1.23.456")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"BEGIN:VCARD\nVERSION:3.0\nEND:VCARD\n", "it is a vCard file"),
        (b"BEGIN:VCALENDAR\n", "it is a calendar"),
        (b"-- MySQL dump 10.13\n\nDROP TABLE IF EXISTS a;\n", "it is a dump of a database"),
        (b"Email        Name\na@x.example  Ann\n", "line 1: spaces separate the columns"),
        ("Email;Şehir\na@x.example;İzmir\n".encode("cp1254"), "cp1254 if it is Turkish"),
        ("Email;Miasto\na@x.example;Łódź\nb@x.example;Świętochłowice\n".encode("cp1250"), "cp1250"),
        ("Почта;Имя\na@x.example;Анна\n".encode("cp1251"), 'perhaps encoding = "'),
    ],
)
def test_files_that_are_no_table_or_hide_their_encoding(
    tmp_path: Path, content: bytes, reason: str
) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    with pytest.raises(Unreadable, match=reason):
        Layout("guests", "csv").surveyed(path)


def test_of_two_columns_for_a_field_the_usual_name_is_it() -> None:
    """Etsy has both an order value and an order total; QuickBooks a customer and a full name."""
    etsy = suggest(
        "orders",
        ["Order ID", "Sale Date", "Order Value", "Order Total", "Currency", "Email"],
        [{"Order ID": "1", "Order Value": "30.00", "Order Total": "35.00", "Currency": "EUR"}],
    )
    assert etsy.columns["Order Total"] == ["price"]
    assert etsy.columns["Order Value"] == ["extensions.ext.orderValue"]
    books = suggest(
        "guests", ["Customer", "Full Name"], [{"Customer": "ACME", "Full Name": "Ann L"}]
    )
    assert books.columns["Full Name"] == ["fullName"]


def test_countries_and_genders_of_contacts_are_recognised_as_those_of_guests() -> None:
    row = {"Order ID": "1", "Billing Country": "Ireland", "Gender": "Female", "Total": "1 EUR"}
    suggestion = suggest("orders", list(row), [row])
    assert suggestion.columns["Billing Country"] == ["contact.country"]
    assert suggestion.values["Gender"] == {"female": "female"}
    target = CellTarget(
        "A", "contact.country", kind_of("orders", "contact.country"), None, "", False
    )
    assert [read_cell(CellRules(), target, cell) for cell in ("Irland", "ie")] == ["IE", "IE"]


def test_address_books_number_their_columns() -> None:
    columns = ["E-mail 1 - Value", "E-mail 2 - Value", "Phone 1 - Value", "Address 1 - City"]
    row = dict(zip(columns, ("a@x.example", "b@x.example", "+353861234567", "Cork"), strict=True))
    suggestion = suggest("guests", [*columns, "Address 2 - City"], [row])
    targets = [suggestion.columns[name][0] for name in columns]
    assert targets == ["email", "emails", "phoneNumbers", "city"]
    assert suggestion.columns["Address 2 - City"] == ["extensions.ext.address2City"]


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        (b'"tracking"', True),
        (rb'"\u0074racking"', True),
        (rb'"trac\u006B\u0069ng"', True),
        (b'"guest"', False),
        (rb'"tracking\u0073"', False),
    ],
)
@pytest.mark.parametrize("key", [b'"schema"', rb'"\u0073chema"'])
def test_events_among_other_records_are_found_in_any_spelling(
    tmp_path: Path, schema: bytes, expected: bool, key: bytes
) -> None:
    path = tmp_path / "a.ndjson"
    filler = b'{"schema":"guest","value":{}}\n' * 40_000
    path.write_bytes(b"{" + key + b':"guest"}\n' + filler + b"{" + key + b":" + schema + b"}\n")
    layout = Layout("guests", "ndjson", False, None).prepared(path)
    assert is_mixed(layout, path) is expected


def test_json_of_another_system_is_mapped_as_a_table_is(tmp_path: Path) -> None:
    ann = {"id": 17, "email": "a@x.example", "name": "Ann Lee", "created": "01/03/2024"}
    ann |= {"address": {"city": "Cork", "country": "Ireland"}, "tags": ["new"], "orders": [{}]}
    path = tmp_path / "a.json"
    path.write_text(json.dumps([ann, {"email": "b@x.example", "created": "25/03/2024"}]))
    layout = Layout("guests", "ndjson", False).surveyed(path)[0]
    sample = read_json_sample(layout, path)
    assert not are_own_values("guests", sample.columns, sample.rows)
    suggestion = suggest("guests", sample.columns, sample.rows)
    assert suggestion.notes == ["orders: lists of objects are not imported."]
    layout = replace(layout, mapping=mapping_of("guests", suggestion.document()))
    with path.open("rb") as source:
        (chunk,) = layout.chunks(source)
    guest = chunk.items[0].what
    assert isinstance(guest, GuestWrite)
    assert (guest.changes["first_name"], guest.changes["city"]) == ("Ann", "Cork")
    assert (guest.changes["country"], guest.changes["first_seen"][:10]) == ("IE", "2024-03-01")
    assert guest.groups[0].pairs == {"tags0": "new"}
    for own in ({"email": "a@x.example", "firstName": "Ann"}, {"identifiers": [], "x": 1}):
        assert are_own_values("guests", list(own), [own])


def test_the_page_asks_for_a_time_zone_that_several_share() -> None:
    rows = [{"Email": "a@x.example", "Created at": "2024-03-01 10:05:00 CST"}]
    table = TableSample(["Email", "Created at"], rows, [2])
    options = {"format": "csv", "survey": TableSurvey.of(rows).summary()}
    rules = IdentityRules(UUID(int=0), ())
    first = begin_draft("guests", table, options, rules, [])
    assert first.unanswered() == ["Choose the time zone of the file: CST is several."]
    (zone,) = questions(first, None, has_faults=False, is_masked=False)
    assert (zone.name, zone.is_needed) == ("timezone", True)
    assert zone.hint == "Times in Created at: CST is several time zones."
    form = {"c0": "email,identifiers.email", "c1": "firstSeen", "timezone": "America/Chicago"}
    form["f1"] = first.mapping.formats["Created at"]
    answered = read_draft(first, FormData(form))
    assert (answered.unanswered(), answered.try_rows(rules).failed) == ([], 0)
