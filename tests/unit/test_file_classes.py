"""Files as people have them: imported without editing, asked what, or refused and why."""

import gzip
import os
from dataclasses import replace
from pathlib import Path
from uuid import UUID

from innkeeper.errors import OperatorError
from innkeeper.rules.batch import RecordError
from innkeeper.rules.identity_rules import IdentityRules
from innkeeper.store.readers import Unreadable
from innkeeper.wire.bulk.batch_files import Layout
from innkeeper.wire.bulk.file_formats import TABLES, guessed_format
from innkeeper.wire.bulk.mapping import mapping_of, named_like_targets
from innkeeper.wire.bulk.presets import find_preset, read_presets
from innkeeper.wire.bulk.sample import read_json_sample, read_sample
from innkeeper.wire.bulk.suggestion import (
    are_own_values,
    guess_entity,
    guess_entity_of_values,
    suggest,
)
from innkeeper.wire.bulk.survey import TableSurvey

RULES = IdentityRules(UUID(int=0), ())


def outcome(path: Path, entity: str = "") -> str:
    """What a command without a mapping does with a file."""
    try:
        return imported(path, entity)
    except Unreadable as error:
        return f"refused: {error}"
    except OperatorError as error:
        return f"asked: {error}"


def imported(path: Path, entity: str) -> str:
    hint, compressed = guessed_format(path.name)
    layout, survey = Layout(entity, hint or "csv", compressed).surveyed(path)
    assert layout.form is not None
    is_table = layout.form.format in TABLES
    sample = read_sample(layout, path) if is_table else read_json_sample(layout, path)
    preset = find_preset(sample.columns, entity or None, read_presets([]))
    is_own = not is_table and are_own_values(entity or None, sample.columns, sample.rows)
    if preset or not is_own:
        survey = survey if is_table else TableSurvey.of(sample.rows)
        entity = entity or (preset.entity if preset else guess_entity(sample.columns))
        suggestion = suggest(entity, sample.columns, sample.rows, RULES, preset, survey)
        if suggestion.undecided and not named_like_targets(entity, sample.columns):
            questions = " ".join(dict.fromkeys(suggestion.undecided.values()))
            raise OperatorError(questions)
        if not named_like_targets(entity, sample.columns):
            mapping = mapping_of(entity, suggestion.document())
            layout = replace(layout, entity=entity, mapping=mapping)
        layout = replace(layout, entity=entity).resolved(survey)
    else:
        layout = replace(layout, entity=guess_entity_of_values(sample.columns, sample.rows) or "")
    records = failed = 0
    with layout.opened(path) as source:
        for chunk in layout.chunks(source):
            records += len(chunk.items)
            failed += sum(isinstance(each.what, RecordError) for each in chunk.items)
    name = f" ({preset.name})" if preset else ""
    return f"imported: {records - failed} of {records} {layout.entity}{name}"


PEOPLE = "Name;E-Mail;Straße;Geburtstag\n"
CLASSES: dict[str, tuple[bytes, str]] = {
    "cp1252.csv": (
        (PEOPLE + "Änne Weiß;a@x.example;Große Gasse 1;31.12.1980\n").encode("cp1252"),
        "imported: 1 of 1 guests",
    ),
    "utf16.txt": (
        "Name\tEmail\nÄnne Weiß\ta@x.example\n".encode("utf-16"),
        "imported: 1 of 1 guests",
    ),
    "gzip.csv": (gzip.compress(b"Email,Name\na@x.example,Ann Lee\n"), "imported: 1 of 1 guests"),
    "sep.csv": (b"sep=;\nEmail;Name\na@x.example;Ann Lee\n", "imported: 1 of 1 guests"),
    "short.csv": (
        b"Email,Name,Town\na@x.example\nb@x.example,Bo,Cork\n",
        "imported: 2 of 2 guests",
    ),
    "twice.csv": (b"Email,Phone,Phone\na@x.example,+353215550100,\n", "imported: 1 of 1 guests"),
    "zeros.csv": (b"Email,Card\na@x.example,00042\nb@x.example,00043\n", "imported: 2 of 2 guests"),
    "guard.csv": (b"Email,Card\na@x.example,'0042\n", "imported: 1 of 1 guests"),
    "trailing.csv": (b"Email,Name,\na@x.example,Ann,\n", "imported: 1 of 1 guests"),
    "long.csv": (b"Email,Name\na@x.example,Ann,more\nb@x.example,Bo\n", "imported: 1 of 2 guests"),
    "lines.csv": (
        b"Order,Date,Email,Product,Price,Currency\n1,2026-03-01,a@x.example,A,10,EUR\n1,,,B,5,\n",
        "imported: 1 of 1 orders",
    ),
    "people.json": (
        b'[{"identifiers": [{"provider": "email", "id": "a@x.example"}]}]',
        "imported: 1 of 1 guests",
    ),
    "other.json": (
        b'[{"email": "a@x.example", "name": "Ann Lee", "address": {"city": "Cork"}}]',
        "imported: 1 of 1 guests",
    ),
    "zone.csv": (
        b"Email,Created at\na@x.example,2024-01-01 10:05 EST\nb@x.example,2024-07-01 10:05 EDT\n",
        "imported: 2 of 2 guests",
    ),
    "shared.csv": (
        b"Email,Created at\na@x.example,2024-01-01 10:05 CST\n",
        "asked: Column Created at: CST is the time of several zones.",
    ),
    "percent.csv": (b"Email,Rate\na@x.example,12 %\n", "imported: 1 of 1 guests"),
    "indian.csv": (b'Email,Spend\na@x.example,"1,23,456.00"\n', "imported: 1 of 1 guests"),
    "japanese.csv": (
        "Email,Created at\na@x.example,2024年3月1日\n".encode(),
        "imported: 1 of 1 guests",
    ),
    "dates.csv": (
        b"Email,Birthday\na@x.example,03/04/1980\n",
        "asked: Column Birthday: nothing in the file shows whether 03/04 is 3 April or 4 March.",
    ),
    "marks.csv": (
        b'Email,Points\na@x.example,"1,234"\n',
        "asked: Column Points: nothing in the file shows whether 1,234 is 1234 or 1.234.",
    ),
    "currency.csv": (
        b"Order,Date,Email,Total\n1,2026-03-01,a@x.example,$10\n",
        "asked: The file does not show the currency: EUR, USD, GBP",
    ),
    "who.csv": (
        b"Order,Date,Total,Currency\n1,2026-03-01,10,EUR\n",
        "asked: Which column identifies the person who ordered?",
    ),
    "quote.csv": (
        b'Email,Name\na@x.example,"Ann\nb@x.example,Bo\n',
        "refused: line 2: a quote opens a cell and is never closed.",
    ),
    "header.csv": (b"Email,Name\n", "refused: it has column names but no rows"),
    "page.csv": (b"<!doctype html><html></html>", "refused: it is a web page or XML, not a table."),
    "empty.csv": (b"", "refused: it is empty"),
    "cut.csv.gz": (
        gzip.compress(b"Email,Name\na@x.example,Ann\n" * 50)[:-9],
        "refused: the compressed file ends too early: it was cut off.",
    ),
    "document.csv": (b"%PDF-1.7\n", "refused: it is a PDF document, not a table."),
    "turkish.csv": (
        "Email;Şehir\na@x.example;İzmir\n".encode("cp1254"),
        "refused: line 1: is not valid UTF-8. Save it as UTF-8, or set encoding in the mapping",
    ),
    "spaces.csv": (
        b"Email        Name\na@x.example  Ann\n",
        "refused: line 1: spaces separate the columns.",
    ),
    "card.csv": (b"BEGIN:VCARD\nEND:VCARD\n", "refused: it is a vCard file."),
    "packed.csv": (b"PK\x03\x04cut", "refused: it is a damaged zip or XLSX file: it was cut off"),
}


WHAT: dict[str, str] = {
    "cp1252.csv": "Windows-1252, semicolons, German names of columns, `DD.MM.YYYY`",
    "utf16.txt": "UTF-16 with tabs, as Excel saves Unicode text",
    "gzip.csv": "gzip under the name `.csv`",
    "sep.csv": "`sep=;` in the first line",
    "short.csv": "rows with fewer cells than the header",
    "twice.csv": "two columns `Phone`",
    "zeros.csv": "codes with leading zeros",
    "guard.csv": "a spreadsheet's guard: `'0042`",
    "trailing.csv": "a delimiter at the end of each row",
    "long.csv": "a row with more cells than the header",
    "lines.csv": "an order over two rows, the second without the cells of the order",
    "people.json": "an array of JSON",
    "other.json": "JSON with names of another system",
    "zone.csv": "times in `EST` and `EDT`",
    "shared.csv": "times in `CST`",
    "percent.csv": "percentages: `12 %`",
    "indian.csv": "groups of Indian numbers: `1,23,456.00`",
    "japanese.csv": "dates as `2024年3月1日`",
    "dates.csv": "dates of which the day or the month may come first",
    "marks.csv": "`1,234`, and no other number",
    "currency.csv": "orders in `$`",
    "who.csv": "orders without a person",
    "quote.csv": "a quote that is never closed",
    "header.csv": "a header without rows",
    "page.csv": "a web page",
    "empty.csv": "an empty file",
    "cut.csv.gz": "a compressed file that was cut off",
    "document.csv": "a PDF document",
    "packed.csv": "a workbook that was cut off",
    "turkish.csv": "a text that is Turkish or Icelandic",
    "spaces.csv": "columns between spaces",
    "card.csv": "a vCard",
}
DOCUMENT = Path(__file__).parents[2] / "docs" / "files.md"
SAMPLES = Path(__file__).parents[1] / "presets"


def test_i1_each_class_of_file_is_imported_questioned_or_refused(tmp_path: Path) -> None:
    """Nothing is guessed in silence: what cannot be known is asked, what cannot be read named. The
    documents have the table; `INNKEEPER_WRITE_FILES=1` writes it again."""
    lines = []
    for name, what in WHAT.items():
        content, expected = CLASSES[name]
        tmp_path.joinpath(name).write_bytes(content)
        lines.append((what, outcome(tmp_path / name)))
        assert lines[-1][1].startswith(expected), name
    for path in sorted(SAMPLES.iterdir()):
        if path.suffix != ".json":
            lines.append((f"the export `{path.name}`", outcome(path)))
    rows = "".join(f"| {what} | {result.replace('|', '/')} |\n" for what, result in lines)
    page = f"{INTRODUCTION}\n| File | Result |\n|---|---|\n{rows}"
    if os.environ.get("INNKEEPER_WRITE_FILES"):
        DOCUMENT.write_text(page, encoding="utf-8")
    assert DOCUMENT.read_text(encoding="utf-8") == page
    assert WHAT.keys() == CLASSES.keys()


INTRODUCTION = """# What an import does with a file

Each row is a small file of the tests (`tests/unit/test_file_classes.py`), or a sample of an export
that is [recognised](imports.md#known-exports) (`tests/presets`), and what `innkeeper import FILE`
does with it: it is imported without editing, a question is asked and nothing is imported, or it is
refused with a sentence. A test compares this page with the code.
"""
