"""JSON in: objects, digits of numbers, line and column of a fault; JSON out."""

from decimal import Decimal
from typing import Any

import pytest

from innkeeper.errors import ApiError, BadJson
from innkeeper.wire.json_text import decode_object, encode


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (b"{}", {}),
        (b'\xef\xbb\xbf {"a":1}\n', {"a": 1}),
        (b'{"a":1,"a":2}', {"a": 2}),
        (b'{"a":12,"b":12.0,"c":12.50}', {"a": 12, "b": Decimal("12.0"), "c": Decimal("12.50")}),
        (b'{"a":123456789012345678901234567890}', {"a": 123456789012345678901234567890}),
        (b'{"a":[true,false,null,{"b":""}]}', {"a": [True, False, None, {"b": ""}]}),
        (b'{"a":"\\u00e9\\ud83e\\udd8a"}', {"a": "é🦊"}),
    ],
)
def test_an_object_is_decoded(text: bytes, value: Any) -> None:
    """CT-1, CT-6."""
    assert repr(decode_object(text)) == repr(value)


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        # The object that errors.md shows has its fault in line 7, column 6.
        (b'{\n "a":1,\n "b":2,\n "c":3,\n "d":4,\n "e":5,\n "f" 6\n}', 7, 6),
        (b"", 1, 1),
        (b"\n\n  ", 3, 3),
        (b"[]", 1, 1),
        (b" 1", 1, 2),
        (b'{"a":1}}', 1, 8),
        (b'{"a":1}\n\n  x', 3, 3),
        (b'{"a":1,}', 1, 8),
        (b'{\r"a":x}', 1, 7),
        ('{"ä":"ö" x}'.encode(), 1, 10),
        ("\ufeff{x}".encode(), 1, 2),
        (b'{"a":"\xc3"}', 1, 7),
        (b'{\n"\xff":1}', 2, 2),
    ],
)
def test_a_fault_is_placed(text: bytes, line: int, column: int) -> None:
    """CT-4, CT-6: both count from 1, columns in characters; a byte order mark is none."""
    with pytest.raises(BadJson) as fault:
        decode_object(text)
    expected = f"JSON parse error [line: {line}, column: {column}]."
    assert fault.value.developer_message == expected


@pytest.mark.parametrize(
    "text",
    [
        b'{"a":' + b"9" * 5000 + b"}",
        b'{"a":1e99999999999999999999}',
        b'{"a":-1e-99999999999999999999}',
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"a":"\\ud800"}',
        b"\xff\xfe{}",
        b"{\x00}",
        b'"' * 9,
    ],
)
def test_no_text_is_a_fault_of_ours(text: bytes) -> None:
    """CT-8."""
    with pytest.raises(ApiError) as refused:
        decode_object(text)
    assert refused.value.status == 400


def test_digits_leave_as_they_came() -> None:
    assert encode({"a": Decimal("12.50"), "b": 12, "c": Decimal("0.10")}) == (
        b'{"a":12.50,"b":12,"c":0.10}'
    )
