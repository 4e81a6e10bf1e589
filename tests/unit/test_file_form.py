"""What a file is, by its content: the form that `form_of_file` finds and the rows it gives (I1)."""

import gzip
import json
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import Any

import duckdb
import openpyxl
import pytest
from backports import zstd

from innkeeper.rules.batch import RecordError
from innkeeper.store.file_form import Choices, form_of_head
from innkeeper.store.readers import Unreadable
from innkeeper.store.tables import MOST_COLUMNS, column_names
from innkeeper.wire.bulk.batch_files import Layout
from innkeeper.wire.bulk.file_formats import LookLimit
from innkeeper.wire.bulk.mapping import ColumnMapping

ReadRows = Callable[..., list[tuple[int, dict[str, Any]]]]
GERMAN = "Email;Größe\na@x.example;Müller, Straße 5\nb@x.example;São José – €5\n"
POLISH = "Email,Name\na@x.example,Łódź\nb@x.example,Wałęsa Żółć\n"
OPEN_QUOTE = "line 3: a quote opens a cell and is never closed"
PERHAPS_CP1250 = (
    "line 2: is not valid UTF-8. Save it as UTF-8, or set encoding in the mapping, "
    'perhaps encoding = "cp1250"'
)
GERMAN_ROWS = [
    (2, {"Email": "a@x.example", "Größe": "Müller, Straße 5"}),
    (3, {"Email": "b@x.example", "Größe": "São José – €5"}),
]


@pytest.fixture
def rows_of(tmp_path: Path) -> ReadRows:
    """Read a file of some content as an import does: surveyed, then by row."""

    def read(
        content: bytes | str, name: str = "a.csv", **options: Any
    ) -> list[tuple[int, dict[str, Any]]]:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        layout = Layout("guests", "csv", False, ColumnMapping({}, **options)).surveyed(path)[0]
        with layout.opened(path) as source:
            return list(layout.rows(source))

    return read


@pytest.mark.parametrize(
    "encoding",
    [
        *("utf-8", "utf-8-sig", "cp1252", "utf-16", "utf-16-le", "utf-16-be"),
        *("utf-32", "utf-32-le", "utf-32-be"),
    ],
)
def test_i1_encodings(rows_of: ReadRows, encoding: str) -> None:
    assert rows_of(GERMAN.encode(encoding)) == GERMAN_ROWS


@pytest.mark.parametrize("compress", [gzip.compress, zstd.compress])
def test_i1_compression_by_the_first_bytes(
    rows_of: ReadRows, compress: Callable[[bytes], bytes]
) -> None:
    """Also of several parts one after another, and with any name."""
    text = GERMAN.encode()
    assert rows_of(compress(text[:20]) + compress(text[20:])) == GERMAN_ROWS


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("sep=;\r\nEmail;Name\r\na;b\r\n", [(3, {"Email": "a", "Name": "b"})]),
        (
            "Guests of 2026\n\nEmail;Sum\na;1,5\nb;2,7\n",
            [(4, {"Email": "a", "Sum": "1,5"}), (5, {"Email": "b", "Sum": "2,7"})],
        ),
        ("Report,,\nEmail,Name,City\na,b,c\n", [(3, {"Email": "a", "Name": "b", "City": "c"})]),
        ('Email, Name\na, "b, c"\n', [(2, {"Email": "a", "Name": "b, c"})]),
        ("Email\tName\na\t\n", [(2, {"Email": "a", "Name": ""})]),
        ("Email|Name\na|b\n", [(2, {"Email": "a", "Name": "b"})]),
        ("Email\na\n\nb\n", [(2, {"Email": "a"}), (4, {"Email": "b"})]),
        (
            "Email,N\r\na,1\nb,2\rc,3\n",
            [
                (2, {"Email": "a", "N": "1"}),
                (3, {"Email": "b", "N": "2"}),
                (4, {"Email": "c", "N": "3"}),
            ],
        ),
        (
            'E;N\na;"x\ny; z, q"\nb;"1,2,3"\n',
            [(2, {"E": "a", "N": "x\ny; z, q"}), (4, {"E": "b", "N": "1,2,3"})],
        ),
        ('E,N\na,"say \\"hi\\", you"\n', [(2, {"E": "a", "N": 'say "hi", you'})]),
        (
            "E,F,G,C\na,b\nc,d,e,f\ng,h,i,j\n",
            [
                (2, {"E": "a", "F": "b"}),
                (3, {"E": "c", "F": "d", "G": "e", "C": "f"}),
                (4, {"E": "g", "F": "h", "G": "i", "C": "j"}),
            ],
        ),
        (
            "Phone,Phone,Phone 2,,x\n1,2,3,4,5\n",
            [(2, {"Phone": "1", "Phone 3": "2", "Phone 2": "3", "Column 4": "4", "x": "5"})],
        ),
        ("メール,名前\na,山田\n", [(2, {"メール": "a", "名前": "山田"})]),
        ("E,F,\na,b,,\n", [(2, {"E": "a", "F": "b"})]),
        ("E,F\na,b,c,,d\n", [(2, {"E": "a", "F": "b", "": [3, 5]})]),
    ],
)
def test_i1_delimited_text(
    rows_of: ReadRows, text: str, rows: list[tuple[int, dict[str, Any]]]
) -> None:
    assert rows_of(text) == rows


def test_i1_500_columns(rows_of: ReadRows) -> None:
    names = [f"c{number}" for number in range(500)]
    ((_, row),) = rows_of(";".join(names) + "\n" + ";".join("1" * 500) + "\n")
    assert row == dict.fromkeys(names, "1")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "it is empty"),
        (b"\n \n", "it is empty"),
        (b"Email,Name\n", "it has column names but no rows"),
        (b"<!DOCTYPE html><html><body>Please sign in</body></html>", "it is a web page or XML"),
        (b'E,N\na,ok\nb,"24 inch\nc,ok\nd,ok\n', OPEN_QUOTE),
        (b'E,N\n"p\nq","x\ny\n1,2\n', OPEN_QUOTE),
        (b'E,N\na,"b"c\n', "line 2: a cell goes on after its closing quote"),
        (gzip.compress(b"E,N\na,b\n" * 99, mtime=0)[:-9], "the compressed file ends too early"),
        (zstd.compress(b"E,N\na,b\n" * 99)[:-5], "the compressed file ends too early"),
        (b"a@x.example,Ann\nb@x.example,Bo\n", "line 1: contains values, not column names"),
        (b"%PDF-1.4", "it is a PDF document"),
        (b"PK\x03\x04cut", "it is a damaged zip or XLSX file"),
        (POLISH.encode("cp1250"), PERHAPS_CP1250),
        ("E,N\na,Москва\n".encode("cp1251"), "line 2: is not valid UTF-8"),
        ("E,N\na,Zoë\nb,José\n".encode() + b"c,Zo\xeb\n", "line 4: is not valid UTF-8, though"),
        (b'[{"a": 1},\n{"b": }]', "line 2: is not valid JSON"),
        (b'[{"a": 1},\n{"b": 2},', "line 2: the array is never closed"),
    ],
)
def test_i1_one_sentence_for_what_cannot_be_read(
    rows_of: ReadRows, content: bytes, reason: str
) -> None:
    with pytest.raises(Unreadable) as raised:
        rows_of(content)
    assert str(raised.value).startswith(reason)


def test_i1_the_last_line_of_many_in_another_encoding(tmp_path: Path) -> None:
    """The whole file is decoded before a row is used, and what was decided is said."""
    path = tmp_path / "a.csv"
    rows = "".join(f"a{number}@x.example,Bo\n" for number in range(1500))
    path.write_bytes(b"Email,Name\n" + rows.encode() + b"z@x.example,Zo\xeb\n")
    layout = Layout("guests", "csv").surveyed(path)[0]
    assert layout.form is not None
    assert layout.form.notes == (
        "Read as Windows-1252 (Western Europe), as line 1502 is not UTF-8: Zoë. If that is wrong, "
        "set encoding in the mapping.",
    )
    with layout.opened(path) as source:
        *_, last = layout.rows(source)
    assert last == (1502, {"Email": "z@x.example", "Name": "Zoë"})


def test_i1_a_chosen_encoding_is_not_looked_for(rows_of: ReadRows) -> None:
    polish = "E,N\na,Łódź\n"
    assert rows_of(polish.encode("cp1250"), encoding="cp1250") == [(2, {"E": "a", "N": "Łódź"})]
    with pytest.raises(Unreadable, match="^line 2: is not valid ascii"):
        rows_of(polish, encoding="ascii")


@pytest.mark.parametrize(
    "text", ['[{"a": 1},\n {"b":\n [2]}]', '{"a": 1}\n\n{"b": [2]}', '{\n"a": 1\n}\n{"b":[2]}']
)
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_i1_json_arrays_and_lines(tmp_path: Path, text: str, encoding: str) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(text.encode(encoding))
    layout = Layout("guests", "ndjson").surveyed(path)[0]
    with layout.opened(path) as source:
        assert not isinstance(source, Path)
        assert list(layout.values(source)) == [{"a": 1}, {"b": [2]}]


def workbook(path: Path) -> Path:
    book = openpyxl.Workbook()
    first = book.active
    assert first is not None
    first.append(["Guests of 2026"])
    first.append(["Email", "Code", "Points", "Born", "Seen", "Phone", "Phone"])
    first.append(["a@x.example", "0042", 5, date(1980, 4, 3), datetime(2024, 1, 2, 3, 4), "1", 2.5])
    book.create_sheet("Other").append(["Email", "N"])
    book["Other"].append(["b@x.example", 7])
    book.save(path)
    return path


def test_i1_workbooks(tmp_path: Path) -> None:
    path = workbook(tmp_path / "a.xlsx")
    layout = Layout("guests", "spreadsheet").surveyed(path)[0]
    row = {"Email": "a@x.example", "Code": "0042", "Points": 5, "Born": "1980-04-03"}
    row |= {"Seen": "2024-01-02T03:04:00", "Phone": "1", "Phone 2": 2.5}
    assert list(layout.rows(path)) == [(3, row)]
    other = Layout("guests", "csv", False, ColumnMapping({}, sheet="Other")).surveyed(path)[0]
    assert list(other.rows(path)) == [(2, {"Email": "b@x.example", "N": 7})]
    with pytest.raises(Unreadable, match=r"^it has no sheet Third\. Its sheets are Sheet, Other$"):
        Layout("guests", "csv", False, ColumnMapping({}, sheet="Third")).surveyed(path)[0]


def test_i1_open_document(tmp_path: Path) -> None:
    from odf.opendocument import OpenDocumentSpreadsheet
    from odf.table import Table, TableCell, TableRow
    from odf.text import P

    document = OpenDocumentSpreadsheet()
    table = Table(name="One")
    for cells in (["Email", "Code"], ["a@x.example", "0042"]):
        line = TableRow()
        for text in cells:
            cell = TableCell(valuetype="string")
            cell.addElement(P(text=text))
            line.addElement(cell)
        table.addElement(line)
    document.spreadsheet.addElement(table)
    document.save(str(tmp_path / "a.ods"))
    layout = Layout("guests", "csv").surveyed(tmp_path / "a.ods")[0]
    assert list(layout.rows(tmp_path / "a.ods")) == [(2, {"Email": "a@x.example", "Code": "0042"})]


def test_i1_a_workbook_that_expands_without_end_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By what it decompresses to, not by the size that it declares."""
    path = workbook(tmp_path / "a.xlsx")
    content = path.read_bytes()
    monkeypatch.setattr("innkeeper.store.spreadsheets.LARGEST_CONTENT", len(content) + 500)
    with pytest.raises(Unreadable, match="^the workbook has more than 0 MB of content"):
        Layout("guests", "spreadsheet").surveyed(path)[0]


def test_i1_a_workbook_with_two_cells_far_apart_is_refused(tmp_path: Path) -> None:
    """All cells between them are allocated: without a process of its own, it would end ours."""
    path = tmp_path / "a.xlsx"
    book = openpyxl.Workbook()
    book.active["A1"], book.active["A2"], book.active["XFD1048576"] = "Email", "a@x.example", 1
    book.save(path)
    with pytest.raises(Unreadable, match="^the workbook takes too much memory"):
        Layout("guests", "spreadsheet").surveyed(path)


def test_i1_a_sheet_that_starts_further_down(tmp_path: Path) -> None:
    path = tmp_path / "a.xlsx"
    book = openpyxl.Workbook()
    book.active["C5"], book.active["D5"], book.active["D1005"] = "Email", "Code", "0042"
    book.save(path)
    layout = Layout("guests", "spreadsheet").surveyed(path)[0]
    assert layout.columns(path) == ["Email", "Code"]
    assert list(layout.rows(path)) == [(1005, {"Code": "0042"})]


@pytest.mark.parametrize("value", ['{"a": NaN}', '{"a": "\\ud800"}', "5", "[]"])
@pytest.mark.parametrize("text", ['[{"a": "1"}, %s]', '{"a":\n"1"}\n%s'])
def test_i1_a_value_that_is_no_record_is_refused_alone(
    tmp_path: Path, text: str, value: str
) -> None:
    """What Python reads as JSON and we do not, and what is no object."""
    path = tmp_path / "a.json"
    path.write_text(text % value)
    layout, survey = Layout("events", "ndjson").surveyed(path)
    assert survey.rows == 2
    with path.open("rb") as source:
        records = [each for chunk in layout.chunks(source) for each in chunk.items]
    assert [isinstance(each.what, RecordError) for each in records] == [False, True]


def test_i1_new_names_in_every_value_fill_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps([{f"name {number}": "x"} for number in range(MOST_COLUMNS + 10)]))
    survey = Layout("guests", "ndjson").surveyed(path)[1]
    assert (len(survey.columns), survey.rows) == (MOST_COLUMNS, MOST_COLUMNS + 10)


def test_i1_a_parquet_file_is_as_long_as_its_rows(tmp_path: Path) -> None:
    """A million equal rows are a file of some kilobytes."""
    path = tmp_path / "a.parquet"
    duckdb.sql("SELECT 'x' AS a FROM range(10000)").write_parquet(str(path))
    assert Layout("guests", "parquet").surveyed(path, 200_000)[1].rows == 10_000
    with pytest.raises(Unreadable, match="^its content is longer than 50,000 bytes"):
        Layout("guests", "parquet").surveyed(path, 50_000)


def test_i1_names_that_are_all_equal() -> None:
    assert column_names(["a", "a", "a 2", "", "a"]) == ["a", "a 3", "a 2", "Column 4", "a 4"]
    assert column_names(["a"] * 16_000)[-1] == "a 16000"


@pytest.mark.parametrize(
    "text",
    [
        "Email,Name,\na@x.example,Ann,\n",
        "Email;Name;;\na@x.example;Ann;;\n",
        "Email,Name\na@x.example,Ann,\n",
    ],
)
def test_i1_empty_columns_without_a_name_at_the_end_are_none(tmp_path: Path, text: str) -> None:
    """As programs write them that end each line with a delimiter."""
    path = tmp_path / "a.csv"
    path.write_text(text)
    layout, survey = Layout("guests", "csv").surveyed(path)
    with layout.table(path) as (names, rows):
        assert names == survey.names == ["Email", "Name"]
        assert list(rows) == [(2, {"Email": "a@x.example", "Name": "Ann"})]


def test_i1_a_first_look_ends_after_so_many_rows_or_bytes(tmp_path: Path) -> None:
    """What it saw is said; the rest is neither decoded nor read."""
    path = tmp_path / "a.csv"
    path.write_bytes(b"Email,Name\n" + b"a@x.example,Ann\n" * 1000 + b"b@x.example,\xff\n")
    for limit, each in ((LookLimit(rows=10), 10), (LookLimit(rows=500, size=90), 5)):
        layout, survey = Layout("guests", "csv").surveyed(path, limit=limit)
        assert (survey.rows, survey.is_partial) == (each, True)
        assert layout.form is not None
        assert layout.form.notes[-1].startswith(f"The first {each} rows were looked at.")
    assert layout.form.encoding == "utf-8"
    assert not Layout("guests", "csv").surveyed(path)[1].is_partial


def test_i1_a_line_that_names_the_delimiter_is_no_line_above_the_header() -> None:
    skipped = "Lines 1 to 3 stand above the header and are skipped."
    for above, notes in (("", ()), ("People\n\n", (skipped,))):
        text = f"sep=;\n{above}Email;Name\na;b\n"
        assert form_of_head(text.encode(), Choices()).notes == notes
