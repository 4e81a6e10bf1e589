"""S2: values are read, compared, masked and shown in time linear in their size."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any
from uuid import UUID

import pytest
from operations import assert_linear
from profiles import each_day

from innkeeper.errors import ApiError
from innkeeper.resources.base import Resource
from innkeeper.resources.guests import Guest
from innkeeper.resources.kinds import EMAIL, Day, Instant, Kind, ListOf, Number, ObjectOf
from innkeeper.resources.orders import Order, OrderContact, OrderItem
from innkeeper.resources.segments import snake
from innkeeper.resources.values import ValueRefused
from innkeeper.rules import normalize, search
from innkeeper.rules.exports import read_shape
from innkeeper.rules.identity_rules import IdentityRules
from innkeeper.rules.masking import masked_addresses
from innkeeper.rules.placeholders import PLACEHOLDERS, identifies_nobody
from innkeeper.rules.stream import operating_system
from innkeeper.web.ui import bounded, formatting
from innkeeper.web.ui.import_form import begin_draft
from innkeeper.wire.bulk.sample import TableSample
from innkeeper.wire.json_text import decode_object

RULES = IdentityRules(UUID(int=0), ())

TEXTS = [
    b"a",
    b" ",
    b"@",
    b"a@",
    b"a.",
    b".",
    b"%40",
    b"1",
    b"+1",
    b"-",
    b"1-",
    b"\xe9",
    b"A",
    b"_",
]
TEXTS += [b"_", b"2024-", b"0", b"Aa", b"//", b"\\", b'"', b"{", b"{{", b"\n", b"\t@", b"aA1_ "]


def check(read: Callable[[str], Any], repeated: bytes) -> None:
    """`read` of a text, whatever it thinks of it."""

    def tolerant(text: bytes) -> None:
        with suppress(ValueRefused, ApiError, ValueError):
            read(text.decode("latin-1"))

    assert_linear(tolerant, repeated)


@pytest.mark.parametrize("repeated", TEXTS)
def test_s2_addresses_phones_dates_and_names(repeated: bytes) -> None:
    for read in (EMAIL.read, Instant().read, Day().read, normalize.email, normalize.folded):
        check(read, repeated)
    for region in (None, "IE", "XX"):
        check(lambda text, region=region: normalize.phone(text, region), repeated)
    for read in (normalize.visible, normalize.without_extension, normalize.is_damaged_phone):
        check(read, repeated)
    check(lambda text: identifies_nobody(text, PLACEHOLDERS), repeated)
    check(search.read, repeated)
    check(operating_system, repeated)


@pytest.mark.parametrize("repeated", TEXTS)
def test_s2_masking(repeated: bytes) -> None:
    """20,000 letters took 6 to 10 s."""
    check(masked_addresses, repeated)
    check(lambda text: masked_addresses(f"{text}@"), repeated)


@pytest.mark.parametrize("repeated", TEXTS)
def test_s2_words_of_pages(repeated: bytes) -> None:
    for show in (
        formatting.title_words,
        formatting.moment,
        formatting.date,
        formatting.ago,
        formatting.number,
        formatting.money,
    ):
        check(show, repeated)
    for show in (
        formatting.rule_words,
        formatting.group_words,
        formatting.type_words,
        formatting.target_words,
        snake,
    ):
        check(show, repeated)
    check(lambda text: read_shape({"template": {"a": text}, "format": "NDJSON"}, {}), repeated)


@pytest.mark.parametrize("repeated", [b"1", b"1e", b"9" * 50, b"1.", b"-", b"1e9"])
def test_s2_numbers(repeated: bytes) -> None:
    def read(text: str) -> None:
        Number().read(decode_object(b'{"a":' + text.encode("latin-1") + b"}")["a"])

    check(read, repeated)


def kinds(resource: type[Resource]) -> list[Kind]:
    """Every kind of value in a resource, those inside others included."""
    results: list[Kind] = []
    left = [field.kind for field in resource.fields.values()]
    while left:
        kind = left.pop()
        results.append(kind)
        left += [kind.element] if isinstance(kind, ListOf) else []
        left += kind.members.values() if isinstance(kind, ObjectOf) else []
    return results


@pytest.mark.parametrize("repeated", [b"a", b"@", b"a.", b"1", b"-", b"/", b" ", b"00000000-"])
@pytest.mark.parametrize("resource", [Guest, Order, OrderItem, OrderContact])
def test_s2_every_field(resource: type[Resource], repeated: bytes) -> None:
    for kind in {type(kind): kind for kind in kinds(resource)}.values():
        check(kind.read, repeated)
        check(lambda text, kind=kind: kind.read({"href": text}), repeated)


@pytest.mark.parametrize("repeated", each_day(TEXTS, b"@", b"_", b"aA1_ "))
def test_s2_columns_of_a_file(repeated: bytes) -> None:
    """The mapping that is suggested for a file with many columns, or with long names."""

    def read(text: str) -> None:
        names = [f"{number}{part}" for number, part in enumerate(text.split("a"))]
        table = TableSample(names, [dict.fromkeys(names, "1")], [2])
        begin_draft("guests", table, {"format": "csv"}, RULES, ())

    check(read, repeated)


@pytest.mark.parametrize("value", [{"a": 1}, ["x"], "text", [[]], {"b": {"c": [None]}}])
def test_s1_json_on_a_page_costs_what_it_shows(value: Any) -> None:
    """However large the value is: the writer reads no more than it shows."""
    few = {"all": [value] * 10_000}
    many = {"all": [value] * 100_000}
    writers = [bounded._Writer(bounded.JSON_CHARACTERS) for _ in range(2)]
    assert [writer.write(each) for writer, each in zip(writers, (few, many), strict=True)] == [1, 1]
    assert writers[0].tokens == writers[1].tokens
    assert len(bounded.json_text(many)) < bounded.JSON_CHARACTERS + 100
