"""Bodies to changes, and records to what is shown, view by view."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from innkeeper.errors import Invalid
from innkeeper.wire.decode import decode
from innkeeper.wire.dialects.nested import OPEN_GUEST, OPEN_GUEST_EXTENSION
from innkeeper.wire.dialects.official import GUEST, GUEST_EXTENSION
from innkeeper.wire.encode import encoder
from innkeeper.wire.views import Verb, View

REF = UUID("f7aabbca-1c1b-4fc2-be72-3e16294a4f03")
AT = datetime(2024, 1, 1, 16, 17, 16, 5000, tzinfo=UTC)


def problems(view: View, verb: Verb, body: dict[str, Any], name: str | None = None) -> list[str]:
    with pytest.raises(Invalid) as invalid:
        decode(view, verb, body, name)
    return invalid.value.errors


def test_absent_means_unchanged_and_null_means_clear() -> None:
    """G-5, C-9, C-10."""
    body = {"firstName": "Jane", "city": None, "guestType": None, "ref": "x", "shoeSize": 44}
    assert decode(GUEST, Verb.PATCH, body) == {"first_name": "Jane", "city": None}


@pytest.mark.parametrize(
    ("view", "verb", "changes"),
    [
        (OPEN_GUEST, Verb.CREATE, {"guest_type": "visitor"}),
        (OPEN_GUEST, Verb.REPLACE, {}),
        (OPEN_GUEST, Verb.PATCH, {}),
        (GUEST, Verb.REPLACE, {}),
        (GUEST, Verb.PATCH, {}),
    ],
)
def test_an_empty_body(view: View, verb: Verb, changes: dict[str, Any]) -> None:
    """G-3, G-4, N-4."""
    assert decode(view, verb, {}) == changes


def test_what_an_official_create_must_send() -> None:
    """G-3, N-4."""
    assert problems(GUEST, Verb.CREATE, {}) == ["guestType: may not be null."]


def test_gender_by_compatibility() -> None:
    """N-7."""
    assert decode(GUEST, Verb.PATCH, {"gender": "any"}) == {"gender": "any"}
    assert decode(OPEN_GUEST, Verb.PATCH, {"gender": "MALE"}) == {"gender": "MALE"}
    assert problems(OPEN_GUEST, Verb.PATCH, {"gender": "any"}) == ["gender: not a valid value"]


@pytest.mark.parametrize(
    ("view", "verb", "name", "body", "changes"),
    [
        (GUEST_EXTENSION, Verb.CREATE, None, {"name": "ext", "a": 1}, ("ext", {"a": 1}, False)),
        (GUEST_EXTENSION, Verb.PATCH, "ext", {"name": "x", "a": 1}, ("ext", {"a": 1}, False)),
        (
            GUEST_EXTENSION,
            Verb.CREATE,
            None,
            {"name": "ext", "key": "k", "value": 1},
            ("ext", {"value": 1}, False),
        ),
        (OPEN_GUEST_EXTENSION, Verb.CREATE, None, {"a": 1}, ("ext", {"a": 1}, False)),
        (
            OPEN_GUEST_EXTENSION,
            Verb.CREATE,
            None,
            {"name": "any", "key": "k", "value": "v"},
            ("any", {"k": "v"}, True),
        ),
        (
            OPEN_GUEST_EXTENSION,
            Verb.CREATE,
            None,
            {"key": "k", "value": "v", "a": 1},
            ("ext", {"k": "v", "a": 1}, False),
        ),
        (
            OPEN_GUEST_EXTENSION,
            Verb.PATCH,
            "x",
            {"key": "k", "value": "v"},
            ("x", {"k": "v"}, True),
        ),
        (
            OPEN_GUEST_EXTENSION,
            Verb.CREATE,
            None,
            {"key": "default", "value": "v"},
            ("ext", {"value": "v"}, False),
        ),
        (OPEN_GUEST_EXTENSION, Verb.CREATE, None, {"key": "k", "a": 1}, ("ext", {"a": 1}, False)),
    ],
)
def test_pairs_of_an_extension(
    view: View, verb: Verb, name: str | None, body: dict[str, Any], changes: tuple[Any, ...]
) -> None:
    """X-2, X-8, N-12, N-13, NU-4, NU-5."""
    decoded = decode(view, verb, body, name)
    assert (decoded["name"], decoded["pairs"], decoded["single"]) == changes


def test_every_problem_of_an_extension() -> None:
    """X-1, X-4, X-6, ER-3."""
    body = {"name": "e", "UP": 1, "none": None, "list": []}
    assert sorted(problems(GUEST_EXTENSION, Verb.CREATE, body)) == [
        "UP: must be alphanumeric and in camel case",
        "list: value must be a string, boolean or number",
        "name: value must be one of ext,ext1,ext2,ext3,ext4,ext5",
        "none: value must be a string, boolean or number",
    ]


RECORD: dict[str, Any] = {
    "first_name": "Jane",
    "gender": "female",
    "date_of_birth": "1990-01-01",
    "passport_expiry": "2031-01-01T00:00:00.000Z",
    "ref": REF,
    "guest_type": "visitor",
    "created_at": AT,
    "modified_at": AT,
    "first_seen": AT,
    "last_seen": AT,
}


@pytest.mark.parametrize(
    ("view", "gender", "born"),
    [(GUEST, "female", "1990-01-01T00:00:00.000Z"), (OPEN_GUEST, "Female", "1990-01-01")],
)
def test_a_guest_is_shown(view: View, gender: str, born: str) -> None:
    """C-6, C-8, N-5, N-7, N-8, G-15."""
    href = f"https://h/v2.1/guests/{REF}"
    at = "2024-01-01T16:17:16.005Z"
    assert encoder(view)(dict(RECORD), "https://h") == {
        "href": href,
        "firstName": "Jane",
        "gender": gender,
        "dateOfBirth": born,
        "passportExpiry": "2031-01-01T00:00:00.000Z",
        "ref": REF,
        "guestType": "visitor",
        "createdAt": at,
        "modifiedAt": at,
        "firstSeen": at,
        "lastSeen": at,
        "guestRef": REF,
        "dataExtensions": {"href": f"{href}/extensions"},
    }


@pytest.mark.parametrize(
    ("view", "expected"),
    [
        (GUEST_EXTENSION, ("default", {"k": "v"})),
        (OPEN_GUEST_EXTENSION, ("k", {"k": "v", "value": "v"})),
    ],
)
def test_a_single_pair_is_shown(view: View, expected: tuple[str, dict[str, str]]) -> None:
    """N-12, X-10, X-11."""
    record = {
        "guest_ref": REF,
        "name": "Größe 1/2",
        "key": "default",
        "ref": REF,
        "pairs": {"k": "v"},
        "single": True,
        "created_at": AT,
        "modified_at": AT,
    }
    key, pairs = expected
    assert encoder(view)(record, "https://h") == {
        "name": "Größe 1/2",
        "href": f"https://h/v2.1/guests/{REF}/extensions/Gr%C3%B6%C3%9Fe%201%2F2",
        "ref": REF,
        "key": key,
        "createdAt": "2024-01-01T16:17:16.005Z",
        "modifiedAt": "2024-01-01T16:17:16.005Z",
        **pairs,
        "guest": {"href": f"https://h/v2.1/guests/{REF}"},
    }
