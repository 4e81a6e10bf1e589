"""P4: a plain line is read in one step as the record that is read member by member."""

import copy
import json
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
from profiles import LONG as LONG_PROFILE

from innkeeper.resources.values import INT32, MAX_TEXT_BYTES
from innkeeper.rules.batch import RecordError
from innkeeper.wire.bulk.batch_plans import OWN_GUEST, OWN_ORDER
from innkeeper.wire.bulk.batch_records import entry_of, json_of
from innkeeper.wire.bulk.plain_records import PLAIN_READERS, PLAIN_VALUES
from innkeeper.wire.bulk.row_records import READERS

GUEST: dict[str, Any] = {
    **{"guestType": "customer", "email": "ann@example.com", "firstName": "Ann", "ref": "R-1"},
    **{"lastName": "Ó Néill", "phoneNumbers": ["+353 86 1234567"], "phone": "0214271111"},
    **{"country": "ie", "dateOfBirth": "1980-02-03", "language": "en-GB", "street": ["1", "Main"]},
    "identifiers": [{"provider": "email", "id": "ann@example.com"}, {"provider": "CRM", "id": "7"}],
    "extensions": [{"name": "ext", "key": "default", "tier": "gold", "points": 0, "on": True}],
}
ITEM: dict[str, Any] = {
    **{"type": "SHOE", "name": "Trainers", "price": 12.50, "currencyCode": "EUR", "quantity": 2},
    **{"productId": "SKU-1", "status": "CONFIRMED", "orderedAt": "2026-01-02T03:04:05Z"},
    "extensions": [{"name": "ext", "size": 41.5}],
}
ORDER: dict[str, Any] = {
    **{"referenceId": "R-1", "orderedAt": "2026-01-02T03:04:05+00:00", "status": "PURCHASED"},
    **{"channel": "WEB", "pointOfSale": "default", "currencyCode": "EUR", "price": 25},
    "contact": {name: GUEST[name] for name in GUEST if name != "ref"},
    "orderItems": [ITEM, {**ITEM, "description": "Red"}],
    "extensions": [{"name": "ext", "key": "default", "tier": "gold"}],
}
LONG = "a" * MAX_TEXT_BYTES
VALUES: tuple[Any, ...] = (
    *(None, "", " ", "x", "WEB", "IE", "xx", "EUR", "eur", "male", "Male", "a@b.ie", "a@b.ie\n"),
    *("A@B.ie", " a@b.ie", "a b@c.ie", "é@é.ie", "\0", "a\0b", "\u200b", "\ufeffx", LONG),
    *(LONG + "a", "é" * (MAX_TEXT_BYTES // 2), "é" * MAX_TEXT_BYTES, "a" * 129, "1.5E+11"),
    *("3.53861E+11", "#N/A", "0214271111.0", "2024-02-30", "2024-02-03", "2024-02-03T04:05:06Z"),
    *("2024-02-03T04:05:06.789+00:00", "2024-02-03T04:05:06+02:00", "2024-02-03T23:59:60Z"),
    *("2024-02-03T04:05:06-00:00", "0000-01-01T00:00:00+00:00", "2999-01-01", 0, -1, 1, 5, True),
    *(INT32, INT32 + 1, 10**400, 0.1, 12.50, 1e5, 1e-5, False, [], {}, [None], [[]], ["x"], [1]),
    *(["a@b.ie"], ["a"] * 201, ["a"] * 1001, [{}], [{"provider": "a"}], {"a": 1}, {"href": "x"}),
    *([{"provider": "a", "id": "b", "z": 1}], [{"provider": "a", "id": None}]),
    *([{"provider": "a", "id": "1E+11"}], [{"provider": "a", "id": "b", "expiryDate": None}]),
    *([{"provider": "a", "id": "b", "expiryDate": "2999-01-01"}], [{"name": "ext"}]),
    *(
        [{"name": "ext", "a": None, "B": 1}],
        [{"name": "ext", "a": [1]}],
        [{"name": "ext", "a": 1e5}],
    ),
    *([{"name": "other", "a": LONG}], [{"name": "ext", "a": 10**400}], [{"a": 1}], [{"key": 1}]),
    *([{"name": "ext", "key": "k", "ref": 1, "a": 1}], [{"name": "ext", "a": 1.50}] * 2, [7]),
    *([{"name": "ext", **{f"a{n}": n for n in range(101)}}], [{"name": None, "key": None}]),
    *([{"name": "ext", "a": "a\0"}], [{"name": "ext", "a": LONG + "a"}], [ITEM], [GUEST], GUEST),
)
EVERY = 1 if LONG_PROFILE else 5
"""Every day each member gets a share of the values."""
LINES: dict[str, dict[str, Any]] = {"guests": GUEST, "orders": ORDER}


CANONICAL = msgspec.json.Encoder(decimal_format="number", order="sorted").encode


def of_line(entity: str, text: bytes) -> Any:
    return entry_of(1, json_of(text), READERS[entity])


def encoded(value: Any) -> bytes:
    return json.dumps(value).encode()


def changed(entity: str) -> Iterator[dict[str, Any]]:
    """The line with values at each member of each part, and without the member."""
    parts: list[tuple[Callable[[dict[str, Any]], dict[str, Any]], list[str]]]
    parts = [(lambda line: line, [*OWN_GUEST, "extensions", "contact", "schema"])]
    if entity == "orders":
        parts = [
            (lambda line: line, [*OWN_ORDER.order, "contact", "orderItems", "extensions", "other"]),
            (lambda line: line["contact"], [*OWN_ORDER.person, "extensions", "orderItems"]),
            (lambda line: line["orderItems"][1], [*OWN_ORDER.item, "extensions", "other"]),
        ]
    for part, names in parts:
        for number, name in enumerate(names):
            line = copy.deepcopy(LINES[entity])
            part(line).pop(name, None)
            yield line
            for value in VALUES[number % EVERY :: EVERY]:
                part(line)[name] = value
                yield line


@pytest.mark.parametrize("entity", LINES)
@pytest.mark.parametrize("is_line", [True, False])
def test_plain_lines_and_values_are_read_as_others(entity: str, is_line: bool) -> None:
    plain = refused = 0
    for line in changed(entity):
        text = encoded(line)
        if is_line:
            record = PLAIN_READERS[entity](1, text)
        else:
            record = PLAIN_VALUES[entity](1, json_of(text))
        expected = of_line(entity, text)
        if record is not None:
            assert CANONICAL(record) == CANONICAL(expected), text[:2000]
        plain, refused = (
            plain + (record is not None),
            refused + isinstance(expected.what, RecordError),
        )
    assert plain > 100
    assert refused > 100


@pytest.mark.parametrize("entity", LINES)
def test_usual_lines_are_plain(entity: str) -> None:
    text = encoded(LINES[entity])
    assert PLAIN_READERS[entity](1, text) == of_line(entity, text)
    for other in (
        text[:-2],
        b"[]",
        b"",
        b"\xef\xbb\xbf" + text,
        text.replace(b"Ann", b"\\ud800"),
        text.replace(b"Ann", b"\xff"),
        encoded({"schema": "guest", "mode": "upsert", "value": LINES[entity]}),
        b"[" * 5000,
    ):
        assert PLAIN_READERS[entity](1, other) is None
