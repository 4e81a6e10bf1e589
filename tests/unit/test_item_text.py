"""P3: items that are written as text have the members that `encode.encoder` shows."""

import json
from typing import Any
from uuid import uuid4

import msgspec
import pytest

from innkeeper.wire.encode import encoder
from innkeeper.wire.item_text import item_text_encoder
from innkeeper.wire.json_text import encode
from innkeeper.wire.registry import DIALECTS
from innkeeper.wire.scopes import without_personal
from innkeeper.wire.views import View

VIEWS = {
    f"{dialect.name} {view.path} {of.__name__} {number}": of(view)
    for dialect in DIALECTS
    for pair in dialect.views
    for number, view in enumerate(pair if isinstance(pair, tuple) else (pair,))
    for of in (View.but, without_personal)
    if item_text_encoder(of(view)) is not None
}
BASE = 'https://cdp.example/50%b"'


def values_of(view: View, given: Any) -> dict[str, Any]:
    """A record with a value of each field, of which some need JSON's escapes."""
    fields = [name for name in view.resource.fields if name != "ref"]
    texts = {name: f'%s %b "{name}" \u00e9\u2028' for name in fields if given is not None}
    times = dict.fromkeys(("created_at", "modified_at", "date_of_birth"), "2026-01-02")
    return {**dict.fromkeys(fields, given), **texts, **times, "emails": ["a@b.c"], "x": 1}


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS.keys())
def test_p3_items_as_text_are_the_items(view: View) -> None:
    write = item_text_encoder(view)
    assert write is not None
    ref = str(uuid4())
    whole = values_of(view, "text")
    few = dict(list(whole.items())[::3])
    null = {
        name: None for name in whole if name not in view.show and name[-3:] not in ("_at", "een")
    }
    for values in (whole, few, {}, null, whole):
        record = {"ref": ref, **values}
        raw = {name: msgspec.Raw(encode(value)) for name, value in values.items()}
        null_columns = {name: None for name, value in values.items() if value is None}
        text = write({**raw, **null_columns, "ref": ref.encode()}, encode(BASE)[1:-1])
        assert json.loads(bytes(text)) == json.loads(encode(encoder(view)(record, BASE)))


def test_p3_the_lists_of_guests_are_written_as_text() -> None:
    assert {name.partition(" View")[0] for name in VIEWS} >= {"v2.1 /v2.1/guests but 0"}
