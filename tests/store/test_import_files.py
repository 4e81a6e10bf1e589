"""`innkeeper import` of files as shops have them: imported right, asked, or refused: I1, I3, I4."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openpyxl
import psycopg
import pytest
import typer
from typer.testing import CliRunner, Result

from innkeeper.cli.import_mappings import MappingOptions, show_first_rows
from innkeeper.cli.imports import import_
from innkeeper.wire.bulk.file_formats import FIRST_LOOK

Import = Callable[..., Result]
DATES = "Email,Birthday\na@example.com,03/04/1980\nb@example.com,11/12/1985\n"


@pytest.fixture
def run(dsn: str, tmp_path: Path) -> Import:
    """Write a file and import its guests, as `innkeeper import` does."""
    app = typer.Typer()
    app.command()(import_)

    def imported(content: bytes | str, name: str = "file.csv") -> Result:
        data = content if isinstance(content, bytes) else content.encode()
        (tmp_path / name).write_bytes(data)
        return CliRunner().invoke(app, ["guests", str(tmp_path / name), "--database", dsn])

    return imported


def bodies(dsn: str) -> list[dict[str, Any]]:
    with psycopg.connect(dsn) as connection:
        rows = connection.execute("SELECT body FROM ws_live.guests ORDER BY body->>'email'")
        return [body for (body,) in rows.fetchall()]


def test_i1_i3_german_export_of_excel(run: Import, dsn: str) -> None:
    """cp1252, semicolons, decimal commas, German names of countries, dates with points."""
    text = "Kunden 2026\n\nE-Mail;Vorname;Land;Geburtsdatum;Umsatz\n"
    text += "a@example.com;Jörg;Deutschland;03.04.1980;1.234,56\n"
    text += "b@example.com;Zoë;USA;25.12.1985;€7,5\n"
    done = run(text.encode("cp1252"))
    assert done.exit_code == 0, done.output
    assert "Read as Windows-1252" in done.output
    assert "Lines 1 to 2 stand above the header and are skipped." in done.output
    first, second = bodies(dsn)
    assert (first["first_name"], first["country"], first["date_of_birth"]) == (
        "Jörg",
        "DE",
        "1980-04-03",
    )
    assert (second["first_name"], second["country"]) == ("Zoë", "US")
    with psycopg.connect(dsn) as connection:
        pairs = connection.execute("SELECT pairs FROM ws_live.guest_extensions").fetchall()
    assert sorted(each["umsatz"] for (each,) in pairs) == [7.5, 1234.56]


def test_i4_an_unproved_date_format_is_a_question(run: Import, dsn: str, tmp_path: Path) -> None:
    output = run(DATES)
    assert (output.exit_code, bodies(dsn)) == (1, [])
    mapping = tmp_path / "file.csv.mapping.toml"
    lines = mapping.read_text().splitlines()
    assert '# "Birthday" = "DD/MM/YYYY"  # 03/04/1980 is 1980-04-03' in lines
    choice = '# "Birthday" = "MM/DD/YYYY"  # 03/04/1980 is 1980-03-04'
    assert choice in lines
    again = run(DATES)
    assert (again.exit_code, bodies(dsn)) == (1, [])
    mapping.write_text(mapping.read_text().replace(choice, choice.removeprefix("# ")))
    chosen = run(DATES)
    assert chosen.exit_code == 0, chosen.output
    with psycopg.connect(dsn) as connection:
        stored = str(connection.execute("SELECT to_jsonb(g) FROM ws_live.guests AS g").fetchall())
    assert "1980-03-04" in stored
    assert "1985-11-12" in stored


def test_i1_nothing_of_a_file_that_cannot_be_read_to_its_end_is_written(
    run: Import, dsn: str
) -> None:
    """The quote that stays open stands below more rows than are applied at once."""
    rows = "".join(f"a{number}@example.com,Bo\n" for number in range(1200))
    done = run(f'Email,Name\n{rows}b@example.com,"24 inch\nc@example.com,Cy\n')
    assert (done.exit_code, bodies(dsn)) == (1, [])
    assert "line 1202: a quote opens a cell and is never closed" in done.output


def test_i3_guards_of_spreadsheets_are_taken_off_and_shown(run: Import, dsn: str) -> None:
    text = 'Email,Customer number\na@example.com,\'7210448301122\nb@example.com,"=""0012"""\n'
    done = run(text)
    assert done.exit_code == 0, done.output
    assert "'7210448301122 is 7210448301122" in done.output
    ids = [one["id"] for each in bodies(dsn) for one in each["identifiers"]]
    assert sorted(ids) == ["0012", "7210448301122", "a@example.com", "b@example.com"]


def test_i1_i3_decimals_of_a_workbook_are_numbers(run: Import, dsn: str, tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.worksheets[0]
    for row in (["Email", "Points"], ["a@example.com", 4.5], ["b@example.com", 0.1]):
        sheet.append(row)
    book.save(tmp_path / "made.xlsx")
    done = run((tmp_path / "made.xlsx").read_bytes(), "file.xlsx")
    assert done.exit_code == 0, done.output
    with psycopg.connect(dsn) as connection:
        pairs = connection.execute("SELECT pairs FROM ws_live.guest_extensions").fetchall()
    assert sorted(each["points"] for (each,) in pairs) == [0.1, 4.5]


def test_i3_an_unproved_decimal_mark_is_a_question(run: Import, dsn: str, tmp_path: Path) -> None:
    """In a mapping that was written, so that there is one to add it to."""
    text = 'Email,Points\na@example.com,"1,234"\n'
    assert (run(text).exit_code, bodies(dsn)) == (1, [])
    mapping = tmp_path / "file.csv.mapping.toml"
    mapping.write_text('decimal = ","\n' + mapping.read_text())
    assert run(text).exit_code == 0
    with psycopg.connect(dsn) as connection:
        (pairs,) = connection.execute("SELECT pairs FROM ws_live.guest_extensions").fetchone() or ()
    assert pairs["points"] == 1.234


def test_i1_the_first_rows_need_only_the_start_of_a_file(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Of 2 GB (sparse), the command reads less than 8 MB before it shows them, and no more than
    24 MB to suggest a mapping: measured by what the process reads from the system."""
    rows = "".join(f"{number},ann{number}@example.com,{'x' * 80}\n" for number in range(100_000))
    path, small = tmp_path / "large.csv", tmp_path / "small.csv"
    small.write_text("id,email,note\n" + rows[:1000])
    with path.open("wb") as file:
        file.write(b"id,email,note\n" + rows.encode())
        file.truncate(2 << 30)
    options = MappingOptions("guests", None, "", None, quiet=True)
    layout = options.stored(str(path))[1]
    # What is imported late is read by now.
    show_first_rows(options, str(small))
    layout.surveyed(small)
    before = bytes_read()
    show_first_rows(options, str(path))
    after_rows = bytes_read()
    _, survey = layout.surveyed(path, limit=FIRST_LOOK)
    assert capfd.readouterr().out.count("ann0@example.com") == 2  # of either file
    assert after_rows - before < 8 << 20
    assert bytes_read() - after_rows < 24 << 20
    assert survey.rows == FIRST_LOOK.rows


def bytes_read() -> int:
    """What this process has read from files so far (Linux)."""
    return int(Path("/proc/self/io").read_text().split()[1])


def test_i1_the_first_rows_need_no_driver_of_the_database(tmp_path: Path) -> None:
    """Loading it, and what writes records, takes most of the time before the first row."""
    file = tmp_path / "people.csv"
    file.write_text("Email,Name\na@example.com,Ann Lee\n")
    code = (
        "import sys; from innkeeper.cli.import_mappings import MappingOptions, show_first_rows; "
        f"show_first_rows(MappingOptions(None, None, '', None, quiet=True), {str(file)!r}); "
        "print(sorted({'psycopg', 'innkeeper.store.work', 'innkeeper.actions'} & {*sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["  line 2: a@example.com | Ann Lee", "[]"]
