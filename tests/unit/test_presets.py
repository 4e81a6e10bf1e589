"""I7: exports of well-known systems are recognised by their header and taken without editing."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from innkeeper.errors import OperatorError
from innkeeper.rules.batch import EventRecord, ExtensionRecord, GuestWrite, OrderWrite
from innkeeper.wire.bulk.batch_files import Layout
from innkeeper.wire.bulk.column_values import currency_of
from innkeeper.wire.bulk.file_formats import guessed_format
from innkeeper.wire.bulk.mapping import mapping_of
from innkeeper.wire.bulk.presets import Preset, find_preset, read_presets
from innkeeper.wire.bulk.sample import read_json_sample, read_sample
from innkeeper.wire.bulk.suggestion import suggest

SAMPLES = Path(__file__).parent.parent / "presets"
EXPECTED = {path.stem: path for path in sorted(SAMPLES.glob("*.json"))}
PRESETS = {path.stem for path in Path("src/innkeeper/wire/bulk/presets").glob("*.toml")}


def sample_file(stem: str) -> Path:
    (path,) = (path for path in SAMPLES.glob(f"{stem}.*") if path.suffix != ".json")
    return path


def records(stem: str) -> Iterator[Any]:
    """The records that an import of a sample file makes, by the preset its header shows."""
    path = sample_file(stem)
    layout = Layout("", guessed_format(path.name)[0] or "", False, None).prepared(path)
    is_json = path.suffix == ".ndjson"
    sample = read_json_sample(layout, path) if is_json else read_sample(layout, path)
    preset = find_preset(sample.columns, None, read_presets([]))
    assert preset is not None
    suggestion = suggest(preset.entity, sample.columns, sample.rows, None, preset)
    document = suggestion.document()
    if stem == "magento2_orders":
        # $ is several currencies, so that is asked.
        assert document.pop("undecided") == [["constants", "currencyCode"]]
        document["constants"]["currencyCode"] = "USD"
    layout = replace(layout, entity=preset.entity, mapping=mapping_of(preset.entity, document))
    with layout.opened(path) as source:
        for chunk in layout.chunks(source):
            yield from (plain_value(record.what) for record in chunk.items)


def plain_value(what: Any) -> Any:
    """What a record writes, as JSON."""
    if isinstance(what, EventRecord):
        return what.message
    if isinstance(what, GuestWrite):
        return {**what.changes, **pairs(what.groups)}
    assert isinstance(what, OrderWrite), what
    contact = {**what.contact.changes, **pairs(what.contact.groups)}
    items = [{**one.changes, **pairs([one.group] if one.group else [])} for one in what.items]
    return {
        **what.changes,
        **pairs([what.group] if what.group else []),
        "contact": contact,
        **({"items": items} if items else {}),
    }


def pairs(groups: list[ExtensionRecord]) -> dict[str, Any]:
    return {group.name: group.pairs for group in groups}


def test_i7_every_preset_has_a_sample_with_its_result() -> None:
    assert EXPECTED.keys() == PRESETS


@pytest.mark.parametrize("stem", EXPECTED)
def test_i7_a_known_export_is_taken_without_editing(stem: str) -> None:
    result = json.loads(json.dumps(list(records(stem)), default=float))
    assert result == json.loads(EXPECTED[stem].read_text())


def test_i7_people_add_their_own_presets(tmp_path: Path) -> None:
    """One's own comes first; a mistake names the file and the field."""
    text = 'header = ["Mail", "Zahl"]\nentity = "guests"\n[columns]\n"Mail" = "email"\n'
    (tmp_path / "ours.toml").write_text(text)
    presets = read_presets([tmp_path, tmp_path / "nothing"])
    preset = find_preset(["zahl", "MAIL", "Other"], None, presets)
    assert preset is not None
    suggestion = suggest(
        "guests", ["zahl", "MAIL"], [{"MAIL": "a@x.io", "zahl": "5"}], None, preset
    )
    assert suggestion.columns["MAIL"] == ["email", "identifiers.email"]
    assert suggestion.columns["zahl"] == ["extensions.ext.zahl"]
    with pytest.raises(OperatorError, match=r"The preset x\.toml is wrong. .*shoeSize"):
        Preset.of(text.replace('"email"', '"shoeSize"'), "x.toml")


@pytest.mark.parametrize(
    ("amounts", "currency"),
    [
        (["€29.00", "€1.250,50"], "EUR"),
        (["29,00 €", "-3,00 €"], "EUR"),
        (["US$29.00", "(US$3.00)"], "USD"),
        (["29.00 USD", "USD 3.00"], "USD"),
        (["R$ 29,00"], "BRL"),
        (["$29.00"], None),
        (["kr 29,00"], None),
        (["€29.00", "£3.00"], None),
        (["€29.00", "$3.00"], None),
        (["29.00", ""], None),
    ],
)
def test_i7_a_currency_is_taken_from_what_only_it_has(
    amounts: list[str], currency: str | None
) -> None:
    assert currency_of(amounts) == currency
