"""Files as people have them: imported without editing, asked what, or refused and why."""

import gzip
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest

from innkeeper.errors import OperatorError
from innkeeper.rules.batch import RecordError
from innkeeper.rules.identity_rules import IdentityRules
from innkeeper.store.readers import Unreadable
from innkeeper.wire.bulk.batch_files import Layout
from innkeeper.wire.bulk.file_formats import TABLES, guessed_format
from innkeeper.wire.bulk.mapping import mapping_of, named_like_targets
from innkeeper.wire.bulk.presets import find_preset, read_presets
from innkeeper.wire.bulk.sample import read_json_sample, read_sample
from innkeeper.wire.bulk.suggestion import guess_entity, guess_entity_of_values, suggest

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
    if is_table or preset:
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
    "packed.csv": (b"PK\x03\x04cut", "refused: it is a damaged zip or XLSX file: it was cut off"),
}


@pytest.mark.parametrize("name", CLASSES)
def test_i1_each_class_of_file_is_imported_questioned_or_refused(name: str, tmp_path: Path) -> None:
    """Nothing is guessed in silence: what cannot be known is asked, what cannot be read named."""
    content, expected = CLASSES[name]
    path = tmp_path / name
    path.write_bytes(content)
    result = outcome(path)
    assert result.startswith(expected), result
