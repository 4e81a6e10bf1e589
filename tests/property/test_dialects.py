"""What one dialect writes the others read: generated entities, compared through the declaration.

Bodies are generated from each view's writable fields; values are compared as their kinds store
them, so that only the spelling may differ between dialects.
"""

import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import uuid4

import httpx
import msgspec
import pytest
from calling import Api
from hypothesis import given, settings
from hypothesis import strategies as st

from innkeeper.resources.base import Field
from innkeeper.resources.kinds import (
    EMAIL,
    Code,
    Count,
    Day,
    Instant,
    Kind,
    ListOf,
    NoneOf,
    Number,
    ObjectOf,
    OneOf,
    Opaque,
    Spelt,
    Text,
)
from innkeeper.resources.values import INT32
from innkeeper.rules.guests import mirror_email
from innkeeper.wire.decode import required_fields, wire_name, writable
from innkeeper.wire.dialects import legacy, nested, official
from innkeeper.wire.views import View

encode = msgspec.json.Encoder(decimal_format="number").encode
decode = msgspec.json.Decoder(float_hook=Decimal).decode

# Text that PostgreSQL and JSON can hold (CT-8).
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=12)
words = st.text(string.ascii_letters + string.digits, min_size=1, max_size=8)
numbers = st.integers(-(10**12), 10**12) | st.decimals(
    -(10**6), 10**6, places=3, allow_nan=False, allow_infinity=False
)
instants = st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1)).map(
    lambda moment: moment.isoformat(timespec="milliseconds") + "Z"
)
days = st.dates(date(1900, 1, 1), datetime.now(UTC).date()).map(date.isoformat)


def values(kind: Kind) -> st.SearchStrategy[Any]:
    """JSON that a kind accepts."""
    strategies: list[tuple[type[Kind], Callable[[Any], st.SearchStrategy[Any]]]] = [
        (NoneOf, lambda it: texts.filter(lambda text: text not in it.barred)),
        (Text, lambda it: texts),
        (OneOf, lambda it: st.sampled_from(it.words)),
        (Spelt, lambda it: st.sampled_from(sorted(it.stored))),
        (Code, lambda it: st.sampled_from(sorted(it.accepted))),
        (Count, lambda it: st.integers(1, INT32)),
        (Number, lambda it: numbers),
        (Day, lambda it: days),
        (Instant, lambda it: instants),
        (ListOf, lambda it: st.lists(values(it.element), max_size=2)),
        (Opaque, lambda it: st.dictionaries(words, texts | st.booleans() | st.none(), max_size=2)),
        (ObjectOf, lambda it: st.fixed_dictionaries({n: values(k) for n, k in it.members.items()})),
    ]
    if kind is EMAIL:
        return st.builds("{}@{}.example".format, words, words)
    return next(make(kind) for each, make in strategies if isinstance(kind, each))


def bodies(view: View, *always: str) -> st.SearchStrategy[dict[str, Any]]:
    """Bodies of a create: the required fields, `always`, and any of the others."""
    fields = {
        spelt: (field, kind)
        for spelt, (field, kind) in writable(view).items()
        if field.name not in ("guest_ref", "order_items")
    }
    needed = required_fields(view) | {*always}
    required, optional = {}, {}
    for spelt, (field, kind) in fields.items():
        where = required if field.name in needed else optional
        where[spelt] = values(kind)
    return st.fixed_dictionaries(required, optional=optional)


def stored(view: View, body: Mapping[str, Any]) -> dict[str, Any]:
    """What the declaration makes of a body."""
    fields = writable(view)
    return {fields[spelt][0].name: fields[spelt][1].read(body[spelt]) for spelt in body}


def check(view: View, message: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    """Every field told that the view shows stands there, as its kind stores it."""
    for name, value in message.items():
        field = view.resource.fields[name]
        if name in view.hide or name == view.open_ended:
            continue
        spelt = wire_name(view, name)
        assert comparable(field, expected.get(spelt)) == in_words_of(view, name, value), spelt


def in_words_of(view: View, name: str, value: Any) -> Any:
    """A stored value in the words of a view: only two views have words of their own."""
    if view is nested.NESTED_ORDER and name == "status":
        # N-17, written out.
        return {
            "CANCELLED": "CANCELED",
            "PURCHASED": "CONFIRMED",
            "PARTIALY_CONFIRMED": "CONFIRMED",
            "PAYMENT_PENDING": "PENDING",
            "RESERVED": "PENDING",
            **{word: word for word in ("PENDING", "CONFIRMED", "SHIPPED", "DELIVERED")},
        }.get(value)
    if name == "gender":
        text = ("male", "female", "other", "unknown")
        return None if view is nested.OPEN_GUEST and value.lower() not in text else value.lower()
    return value


def comparable(field: Field, expected: Any) -> Any:
    if expected is None:
        return None
    if isinstance(field.kind, Instant | Day):
        return field.kind.read(expected)
    return expected.lower() if field.name == "gender" else expected


@dataclass(frozen=True)
class Caller:
    """A key, and the view of a resource that it meets at a path."""

    api: Api
    view: View
    path: str

    def write(self, body: Mapping[str, Any], **refs: str) -> dict[str, Any]:
        content = encode(body)
        headers = {"content-type": "application/json"}
        path = self.path.format(**refs)
        return read(self.api.post(path, content=content, headers=headers), 201)

    def fetch(self, one: str, **refs: str) -> dict[str, Any]:
        return read(self.api.get(one.format(**refs)), 200)


def read(answer: httpx.Response, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    body: dict[str, Any] = decode(answer.content)
    return body


@dataclass(frozen=True)
class Callers:
    """An `open` and an `official` key of one workspace."""

    open: Api
    official: Api


@pytest.fixture(scope="module")
def callers(open_key_api: Api, official_key_api: Api) -> Callers:
    return Callers(open_key_api, official_key_api)


# Every example is several requests.
examples = settings(max_examples=settings().max_examples // 4)


@examples
@given(data=st.data())
def test_a_guest_reads_alike(callers: Callers, data: st.DataObject) -> None:
    """VX-8's sibling for fields; N-5 to N-9, VG-1."""
    views = [
        Caller(callers.open, nested.OPEN_GUEST, "/v2.1/guests"),
        Caller(callers.official, official.GUEST, "/v2.1/guests"),
        Caller(callers.official, legacy.GUEST, "/v2/guests"),
    ]
    writer = data.draw(st.sampled_from(views))
    body = data.draw(bodies(writer.view))
    ref = writer.write(body)["ref"]
    expected = mirror_email(stored(writer.view, body))
    for reader in views:
        check(reader.view, expected, reader.fetch(reader.path + "/{ref}", ref=ref))


@examples
@given(data=st.data())
def test_an_order_reads_alike(callers: Callers, data: st.DataObject) -> None:
    """N-17, N-19, N-20, VO-1: official, nested and v2."""
    guest = callers.open.guest()["ref"]
    views = [
        Caller(callers.open, official.ORDER, "/v2.1/orders?guestRef={guest}"),
        Caller(callers.open, nested.NESTED_ORDER, "/v2.1/guests/{guest}/orders"),
        Caller(callers.open, legacy.ORDER, "/v2/orders?guestRef={guest}"),
    ]
    writer = data.draw(st.sampled_from(views))
    body = data.draw(bodies(writer.view))
    body["referenceId"] += uuid4().hex
    ref = writer.write(body, guest=guest)["ref"]
    expected = stored(writer.view, body)
    for reader in views:
        one = reader.path.partition("?")[0] + "/{ref}"
        rows = reader.fetch(one, guest=guest, ref=ref)
        check(reader.view, expected, rows)
        assert rows["ref"] == ref


@examples
@given(data=st.data())
def test_an_item_reads_alike(callers: Callers, data: st.DataObject) -> None:
    """Table 3.2, VU-4: official, nested and v2; each reads what it carries."""
    guest = callers.open.guest()["ref"]
    path = f"/v2.1/guests/{guest}/orders"
    body = {"referenceId": "R", "orderedAt": "2025-01-01", "currencyCode": "EUR"}
    order = Caller(callers.open, nested.NESTED_ORDER, path).write(body)["ref"]
    nested_items = f"{path}/{order}/items"
    views = [
        Caller(callers.open, official.ORDER_ITEM, f"/v2.1/orders/{order}/orderItems"),
        Caller(callers.open, nested.NESTED_ORDER_ITEM, nested_items),
        Caller(callers.open, legacy.ORDER_ITEM, f"/v2/orders/{order}/orderItems"),
    ]
    writer = data.draw(st.sampled_from(views))
    body = data.draw(bodies(writer.view))
    ref = writer.write(body)["ref"]
    expected = stored(writer.view, body)
    if writer.view is nested.NESTED_ORDER_ITEM:
        expected = {
            "name": expected["product_id"],
            "type": "OTHER",
            "status": "CONFIRMED",
            **expected,
        }
        expected["currency_code"] = "EUR"
    check(official.ORDER_ITEM, expected, views[0].fetch("/v2.1/orderItems/{ref}", ref=ref))
    check(legacy.ORDER_ITEM, expected, views[2].fetch("/v2/orderItems/{ref}", ref=ref))
    if writer.view is nested.NESTED_ORDER_ITEM and "name" not in body:
        del expected["name"]
    listed = decode(callers.open.get(nested_items).content)
    (record,) = [item for item in listed if item["ref"] == ref]
    check(nested.NESTED_ORDER_ITEM, expected, record)


@examples
@given(data=st.data())
@pytest.mark.parametrize("kind", ["contacts", "consumers"])
def test_a_person_reads_alike(callers: Callers, kind: str, data: st.DataObject) -> None:
    """Section 7 and rest-v2-legacy.md 8: official and v2."""
    one = {"contacts": "orderContacts", "consumers": "orderConsumers"}[kind]
    order = callers.open.post(
        "/v2.1/orders",
        json={
            "referenceId": uuid4().hex,
            "orderedAt": "2025-01-01",
            "currencyCode": "EUR",
            "price": 1,
        },
    ).json()["ref"]
    people = {
        "contacts": (official.ORDER_CONTACT, legacy.ORDER_CONTACT),
        "consumers": (official.ORDER_CONSUMER, legacy.ORDER_CONSUMER),
    }[kind]
    views = [
        Caller(callers.open, view, f"/{version}/orders/{order}/{kind}")
        for version, view in zip(("v2.1", "v2"), people, strict=True)
    ]
    writer = data.draw(st.sampled_from(views))
    body = data.draw(bodies(writer.view, "first_name", "last_name"))
    body |= {name: body[name] or "x" for name in ("firstName", "lastName")}
    ref = writer.write(body)["ref"]
    expected = stored(writer.view, body)
    for version, reader in zip(("v2.1", "v2"), views, strict=True):
        check(reader.view, expected, reader.fetch(f"/{version}/{one}/{ref}"))


pair_keys = st.from_regex(r"[a-z][A-Za-z0-9]{0,8}", fullmatch=True).filter(
    lambda key: (
        key not in ("name", "key", "ref", "href", "guest", "order", "value")
        and key not in ("createdAt", "modifiedAt", "orderItem")
    )
)
pairs = st.dictionaries(pair_keys, texts | st.booleans() | numbers, max_size=5)


@examples
@given(pairs=pairs, written_by=st.sampled_from(["v2", "v2.1"]))
@pytest.mark.parametrize("parent", ["guests", "orders"])
def test_an_extension_reads_alike(
    callers: Callers, parent: str, pairs: dict[str, Any], written_by: str
) -> None:
    """VX-8: either version writes, both read."""
    api = callers.open
    if parent == "guests":
        ref = api.guest()["ref"]
    else:
        body = {
            "referenceId": uuid4().hex,
            "orderedAt": "2025-01-01",
            "currencyCode": "EUR",
            "price": 1,
        }
        ref = api.post("/v2.1/orders", json=body).json()["ref"]
    if written_by == "v2":
        path, payload = f"/v2/{parent}/{ref}/extext", {"key": "default", **pairs}
    elif parent == "guests":
        path, payload = f"/v2.1/guests/{ref}/extensions", {"name": "ext", **pairs}
    else:
        path, payload = f"/v2.1/orders/{ref}/extensions/ext", pairs
    headers = {"content-type": "application/json"}
    written = read(api.post(path, content=encode(payload), headers=headers), 201)
    new = read(api.get(f"/v2.1/{parent}/{ref}/extensions/ext"), 200)
    old = read(api.get(f"/v2/{parent}/{ref}/extext/{written['ref']}"), 200)
    server = {"name", "key", "ref", "href", "createdAt", "modifiedAt", parent[:-1]}
    for each in (new, old):
        assert {name: each[name] for name in each.keys() - server} == pairs
