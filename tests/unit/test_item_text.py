"""P3: items that are written as text have the members that `encode.encoder` shows."""

import json
import re
from typing import Any
from uuid import uuid4

import msgspec
import pytest

from innkeeper.resources.naming import camel
from innkeeper.wire.dialects.official import ORDER
from innkeeper.wire.encode import encoder
from innkeeper.wire.item_text import items_text_encoder
from innkeeper.wire.json_text import encode
from innkeeper.wire.pagination import embedded_page
from innkeeper.wire.registry import DIALECTS
from innkeeper.wire.routes import OFFICIAL, view_at
from innkeeper.wire.scopes import without_personal
from innkeeper.wire.views import View

VIEWS = {
    f"{dialect.name} {view.path} {of.__name__} {number}": of(view)
    for dialect in DIALECTS
    for pair in dialect.views
    for number, view in enumerate(pair if isinstance(pair, tuple) else (pair,))
    for of in (View.but, without_personal)
    if items_text_encoder(of(view)) is not None
}
BASE = 'https://cdp.example/50%b"'
NEVER_NULL = re.compile("date_of_birth|gender|order_items|.*_(at|seen)")


def values_of(view: View) -> dict[str, Any]:
    """A record with a value of each field, of which some need JSON's escapes."""
    fields = [name for name in view.resource.fields if name != "ref" and name[-4:] != "_ref"]
    texts = {name: f'%s %b "{name}" \u00e9\u2028' for name in fields}
    times = dict.fromkeys(("created_at", "modified_at", "ordered_at"), "2026-01-02T00:00:00.000Z")
    return {**texts, **times, "date_of_birth": "2026-01-02", "emails": ["a@b.c"], "x": 1}


def as_text(record: dict[str, Any]) -> dict[str, Any]:
    """The record as text: refs are bytes, and other values JSON."""
    text: dict[str, Any] = {}
    for name, value in record.items():
        if name == "order_items":
            text[name] = [ref.encode() for ref in value]
        elif name.endswith("ref"):
            text[name] = value.encode()
        else:
            text[name] = None if value is None else msgspec.Raw(encode(value))
    return text


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS.keys())
def test_p3_items_as_text_are_the_items(view: View) -> None:
    write = items_text_encoder(view)
    assert write is not None
    whole = {**values_of(view), "order_status": "PENDING", "order_currency_code": "USD"}
    few = dict(list(whole.items())[::3])
    computed = {name for name in view.resource.fields if camel(name) in view.add}
    null = {
        name: None
        for name in values_of(view)
        if name not in computed and not NEVER_NULL.fullmatch(name)
    }
    refs = {name: str(uuid4()) for name in ("ref", "order_ref", "guest_ref", "order_item_ref")}
    for values in (whole, few, {}, null, {**whole, **null}, whole):
        record = {**refs, "order_items": [str(uuid4()), refs["ref"]], **values}
        record["order_items"] = [str(uuid4()), refs["ref"]]
        document = json.loads(encode(encoder(view)(dict(record), BASE)))
        (item,) = write([as_text(record)], encode(BASE)[1:-1])
        assert json.loads(bytes(item)) == document


def test_p3_lists_of_guests_and_children_of_orders_are_written_as_text() -> None:
    written = {name.partition(" View")[0] for name in VIEWS}
    parts = ("orderItems", "contacts", "consumers")
    assert written >= {
        "v2.1 /v2.1/guests but 0",
        *(f"v2.1 /v2.1/orders/{{order}}/{part} but 0" for part in parts),
    }


@pytest.mark.parametrize("number", [0, 1, 100])
def test_p3_prepared_pages_of_children_are_the_pages(number: int) -> None:
    """All children are on the first page, whose links all lead to it (L-2)."""
    (order,) = [each for each in DIALECTS if each.name == "v2.1"]
    url = BASE + "/v2.1/orders/" + str(uuid4())
    items = [{"ref": str(uuid4())} for _ in range(number)]
    for path in ORDER.children.values():
        view = view_at(order, path, OFFICIAL)
        page = url + path.removeprefix(ORDER.item)
        link = f"{page}?offset=0&limit=100"
        record = json.loads(bytes(embedded_page(view)(page, items)))
        assert record["items"] == items
        assert record["first"] == record["last"] == {"href": link}
        assert not record.keys() & {"next", "totalCount"}
        if "name" in record:  # data extensions, whose page is that of the one name (E-6)
            assert (record["href"], record["order"]) == (f"{page}/{record['name']}", {"href": url})
        else:
            assert (record["href"], record["offset"], record["limit"]) == (link, 0, 100)
