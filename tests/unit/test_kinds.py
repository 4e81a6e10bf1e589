"""Kinds of values: what each accepts, how it is stored, why it refuses."""

from decimal import Decimal
from typing import Any

import pytest

from innkeeper.resources.kinds import (
    COUNTRY,
    CURRENCY,
    EMAIL,
    IDENTIFIERS,
    LANGUAGE,
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
    Text,
)
from innkeeper.resources.values import ValueRefused, primitive

LIMIT = 32 * 1024


def refusal(kind: Kind, value: Any) -> tuple[str, str]:
    with pytest.raises(ValueRefused) as refused:
        kind.read(value)
    return refused.value.reason, refused.value.at


@pytest.mark.parametrize(
    ("kind", "payload", "stored"),
    [
        (Text(), "", ""),
        (Text(), "x" * LIMIT, "x" * LIMIT),
        (Text(longest=3), "äöü", "äöü"),
        (OneOf(("a", "b")), "a", "a"),
        (OneOf(("Male",), any_case=True), "mALE", "mALE"),
        (NoneOf(barred=("x",)), "y", "y"),
        (EMAIL, "A@b.c", "A@b.c"),
        (COUNTRY, "ie", "ie"),
        (LANGUAGE, "en_US", "en_US"),
        (CURRENCY, "EUR", "EUR"),
        (Instant(), "2020-02-29T23:59:60Z", "2020-02-29T23:59:59.999Z"),
        (Instant(), "2020-01-01 00:00:00z", "2020-01-01T00:00:00.000Z"),
        (Instant(), "2020-01-01T00:30+0100", "2019-12-31T23:30:00.000Z"),
        (Instant(), "0001-01-01", "0001-01-01T00:00:00.000Z"),
        # F12: hours alone, a comma, PostgreSQL's own print.
        (Instant(), "2020-01-01T02:00:00+02", "2020-01-01T00:00:00.000Z"),
        (Instant(), "2020-01-01T02:00-0130", "2020-01-01T03:30:00.000Z"),
        (Instant(), "2020-01-01T00:00:00,5Z", "2020-01-01T00:00:00.500Z"),
        (Instant(), "2020-01-01 00:00:00+00", "2020-01-01T00:00:00.000Z"),
        (Instant(), "2020-01-01 05:30:00.123456+05:30", "2020-01-01T00:00:00.123Z"),
        (Instant(), "2019-12-31 20:00:00.9-04", "2020-01-01T00:00:00.900Z"),
        (Day(), "2999-01-01T00:00Z", "2999-01-01"),
        (Day(past=True), "1990-01-01T23:59:59-12:00", "1990-01-01"),
        (Number(), 12, 12),
        (Count(), 1, 1),
        (Count(), 2**31 - 1, 2**31 - 1),
        (Count(), Decimal("2.0"), 2),
        (ListOf(Text()), [], []),
        (ListOf(ListOf(Count())), [[1], []], [[1], []]),
        (Opaque(), {"a": [None, True, {"b": "c"}]}, {"a": [None, True, {"b": "c"}]}),
        (IDENTIFIERS, [{"provider": "p", "id": "i", "x": 1}], [{"provider": "p", "id": "i"}]),
        (ObjectOf({"a": Count()}, open_ended=True), {"a": 1, "x": [2]}, {"a": 1, "x": [2]}),
        (ObjectOf({"a": Count()}, open_ended=True), {"a": None, "x": None}, {"x": None}),
    ],
)
def test_what_is_stored(kind: Kind, payload: Any, stored: Any) -> None:
    assert kind.read(payload) == stored


@pytest.mark.parametrize(
    ("kind", "value", "reason", "at"),
    [
        (Text(), 1, "must be a string", ""),
        (Text(longest=2), "abc", "size must be between 0 and 2", ""),
        (Text(), "x" * (LIMIT + 1), f"size must be between 0 and {LIMIT} bytes", ""),
        (Text(), "é" * (LIMIT // 2) + "x", f"size must be between 0 and {LIMIT} bytes", ""),
        (Text(), "\x00", "must not contain U+0000 or unpaired surrogates", ""),
        (Text(), "\ud800", "must not contain U+0000 or unpaired surrogates", ""),
        (OneOf(("a",)), "A", "not a valid value", ""),
        (OneOf(("kilo",), any_case=True), "\u212ailo", "not a valid value", ""),
        (NoneOf(barred=("x",)), "x", "not a valid value", ""),
        (EMAIL, "a@b", "not a well-formed email address", ""),
        (COUNTRY, "XX", "not a valid value", ""),
        (LANGUAGE, "en-", "not a valid value", ""),
        (LANGUAGE, "en-US-x", "not a valid value", ""),
        (CURRENCY, "eur", "not a valid value", ""),
        (Instant(), "2020-01-01T24:00:00Z", "must be an ISO 8601 date-time", ""),
        (Instant(), "2020-01-01T00:00:00.Z", "must be an ISO 8601 date-time", ""),
        (Instant(), "2020-01-01T00:00:00+00:60", "must be an ISO 8601 date-time", ""),
        (Instant(), "2020-01-01T00:00:00+2", "must be an ISO 8601 date-time", ""),
        (Instant(), "2020-01-01T00:00:00+24", "must be an ISO 8601 date-time", ""),
        (Instant(), "2020-01-01T00:00:00,Z", "must be an ISO 8601 date-time", ""),
        (Instant(), "2020-01-01+02", "must be an ISO 8601 date-time", ""),
        (Day(past=True), "2999-01-01", "must be in the past", ""),
        (Number(), True, "must be a number", ""),
        (Number(), "1", "must be a number", ""),
        (Number(), 10**309, "number is too large", ""),
        (Number(), Decimal("1e999999999"), "number is too large", ""),
        (Number(), Decimal("-1.8e308"), "number is too large", ""),
        (Number(), Decimal("1e-401"), "number is too precise", ""),
        (Count(), 0, "must be greater than or equal to 1", ""),
        (Count(), 2**31, "must be less than or equal to 2147483647", ""),
        (Count(), Decimal("1.5"), "must be an integer", ""),
        (Count(), Decimal("1e999999999"), "must be an integer", ""),
        (Count(), True, "must be an integer", ""),
        (ListOf(Text()), "x", "must be an array", ""),
        (ListOf(ListOf(Count())), [[1], [1, 0]], "must be greater than or equal to 1", "[1][1]"),
        (
            IDENTIFIERS,
            [{"provider": "p", "id": "i"}, {"id": "i"}],
            "may not be null.",
            "[1].provider",
        ),
        (
            ObjectOf({"a": ObjectOf({"b": Count()})}),
            {"a": {"b": 0}},
            "must be greater than or equal to 1",
            ".a.b",
        ),
        (ObjectOf({}), [], "must be an object", ""),
        (Opaque(), {"a\x00": 1}, "must not contain U+0000 or unpaired surrogates", ""),
        (Opaque(), [["\ud800"]], "must not contain U+0000 or unpaired surrogates", ""),
    ],
)
def test_why_it_is_refused(kind: Kind, value: Any, reason: str, at: str) -> None:
    assert refusal(kind, value) == (reason, at)


@pytest.mark.parametrize(
    ("payload", "stored"),
    [
        *(
            ("12.0", "12.0"),
            ("12.50", "12.50"),
            ("1e3", "1000"),
            ("1.50e1", "15.0"),
            ("1E-3", "0.001"),
        ),
        *(
            ("0.10", "0.10"),
            ("-0.0", "0.0"),
            ("0e5", "0"),
            ("-1.5", "-1.5"),
            ("1e308", "1" + "0" * 308),
        ),
    ],
)
def test_a_number_keeps_its_digits(payload: str, stored: str) -> None:
    """12 is not 12.0; an exponent is written out as jsonb does it."""
    assert str(Number().read(Decimal(payload))) == stored


@pytest.mark.parametrize("value", ["", "x", True, False, 0, -7, Decimal("1.5")])
def test_a_pair_holds_text_truth_or_number(value: Any) -> None:
    """X-4."""
    assert primitive(value) == value
    assert type(primitive(value)) is type(value)


@pytest.mark.parametrize("value", [None, [], {}, 1.5j])
def test_a_pair_holds_nothing_else(value: Any) -> None:
    """X-4."""
    with pytest.raises(ValueRefused, match="value must be a string, boolean or number"):
        primitive(value)
