"""Payloads: every problem of a body at once, the schema of a declaration, and what is encoded."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
import pytest

from innkeeper.cli import main
from innkeeper.errors import Problem
from innkeeper.resources.kinds import ListOf, Text, Whole
from innkeeper.resources.payload_kinds import Checked, Label, MapOf, OneOrMany, Within, Word, one_of
from innkeeper.resources.payloads import (
    ABSENT,
    MOST_PROBLEMS,
    Absent,
    JsonOf,
    Payload,
    PayloadOf,
    decode,
    members_of,
)
from innkeeper.rules.scopes import EVERY_SCOPE
from innkeeper.wire.endpoint import EndpointRequest
from innkeeper.wire.payloads import Href, Items, Masked, encode_value
from innkeeper.wire.registry import DIALECTS

REF = "0e9c1a4e-6a5e-4f0e-9a36-3f6c1d2b7a11"


class _Line(Payload):
    label: Annotated[str, Label(5)]
    amounts: list[Annotated[int, Whole(1)]] = msgspec.field(default_factory=list)


class _Basket(Payload):
    guest_ref: UUID
    lines: list[_Line]
    colour: Annotated[str, one_of("red", "blue")] = "red"
    note: Annotated[str, Text(3), "A remark."] | None = None
    paid: bool | Absent = ABSENT

    @classmethod
    def check(cls, values: Mapping[str, Any]) -> Iterator[Problem]:
        labels = [line.label for line in values.get("lines", ())]
        if len({*labels}) < len(labels):
            yield Problem("lines", "must be unique")


def test_a_body_becomes_a_payload() -> None:
    body = {"guestRef": REF.upper(), "lines": [{"label": "a", "amounts": [2]}], "note": None}
    basket, problems = decode(_Basket, body)
    assert problems == []
    assert basket == _Basket(guest_ref=UUID(REF), lines=[_Line(label="a", amounts=[2])])


def test_every_problem_is_named_at_once_at_every_level() -> None:
    lines = [{"label": "  ", "amounts": [0, 1, "x"]}, {}, 7, {"label": "b"}, {"label": "b"}]
    body = {"guestRef": "x", "lines": lines, "colour": None, "note": "long", "paid": 1}
    basket, problems = decode(_Basket, body)
    assert basket is None
    assert [problem.message for problem in problems] == [
        "guestRef: not a valid value",
        "lines[0].label: size must be between 1 and 5",
        "lines[0].amounts[0]: must be greater than or equal to 1",
        "lines[0].amounts[2]: must be an integer",
        "lines[1].label: may not be null.",
        "lines[2]: must be an object",
        "colour: may not be null.",
        "note: size must be between 0 and 3",
        "paid: must be true or false",
        "lines: must be unique",
    ]


class _Shelf(Payload, kw_only=True):
    shelves: Annotated[dict[str, list[str]], MapOf(OneOrMany(Text(3)))]
    order: Annotated[str, Word(("UP", "DOWN"))] = "UP"
    pairs: Annotated[list[list[str]], ListOf(ListOf(Text(), 2, shortest=2))]
    height: Annotated[float, Within(9)] | Absent
    even: Annotated[int, Checked(Whole(), lambda n: "must be even" if n % 2 else None)] = 0
    line: Annotated[dict[str, Any] | Absent, JsonOf(_Line)]


def test_every_element_of_a_map_and_every_kind_says_what_is_wrong() -> None:
    body = {
        "shelves": {"a": "far too long", "b": ["ok", 7], "c": 7, "\0": "x", "d": "x"},
        "order": "left",
        "pairs": [["a"], ["a", "b"]],
        "height": 0,
        "even": 3,
        "line": {"label": 7},
    }
    shelf, problems = decode(_Shelf, body)
    assert shelf is None
    assert [problem.message for problem in problems] == [
        "shelves.a: size must be between 0 and 3, or an array of such",
        "shelves.b[1]: must be a string",
        "shelves.c: must be a string, or an array of such",
        "shelves.\0: must not contain U+0000 or unpaired surrogates",
        "order: value must be one of UP,DOWN",
        "pairs[0]: size must be between 2 and 2",
        "height: must be above 0 and at most 9",
        "even: must be even",
    ]


def test_words_in_any_case_one_value_alone_and_json_as_sent() -> None:
    body = {"shelves": {"a": "x"}, "order": " down ", "pairs": [], "line": {"label": 7}}
    assert decode(_Shelf, body) == (
        _Shelf(shelves={"a": ["x"]}, order="DOWN", pairs=[], height=ABSENT, line={"label": 7}),
        [],
    )
    line = PayloadOf(_Shelf).schema()["properties"]["line"]
    assert line == PayloadOf(_Line).schema()


def test_problems_are_bounded() -> None:
    _, problems = decode(_Basket, {"guestRef": REF, "lines": [7] * 10_000})
    assert len(problems) == MOST_PROBLEMS


def test_the_schema_is_that_of_the_declaration() -> None:
    line = {
        "type": "object",
        "properties": {
            "label": {"type": "string", "minLength": 1, "maxLength": 5},
            "amounts": {"type": "array", "items": {"type": "integer", "minimum": 1}},
        },
        "required": ["label"],
    }
    assert PayloadOf(_Basket).schema() == {
        "type": "object",
        "properties": {
            "guestRef": {"type": "string", "format": "uuid"},
            "lines": {"type": "array", "items": line},
            "colour": {"type": "string", "enum": ["red", "blue"], "default": "red"},
            "note": {
                "anyOf": [{"type": "string", "maxLength": 3}, {"type": "null"}],
                "description": "A remark.",
            },
            "paid": {"type": "boolean"},
        },
        "required": ["guestRef", "lines"],
    }


class _Receipt(Payload):
    href: Annotated[str, Href("/receipts/{number}")]
    number: str
    guest: UUID
    at: datetime
    note: str | None
    paid: bool | Absent


def request() -> EndpointRequest:
    return EndpointRequest({}, {}, None, "https://x", "open", EVERY_SCOPE, None)


def test_only_declared_members_of_a_record_are_encoded() -> None:
    at = datetime(2026, 1, 2, tzinfo=UTC)
    record = {"number": "a/1", "guest_ref": UUID(REF), "at": at, "secret": 1}
    assert encode_value(PayloadOf(Items[_Receipt]), {"items": [record]}, request()) == {
        "items": [
            {
                "href": "https://x/receipts/a%2F1",
                "number": "a/1",
                "guest": UUID(REF),
                "at": "2026-01-02T00:00:00.000Z",
                "note": None,
            }
        ]
    }


def test_a_record_without_a_required_member_is_an_error() -> None:
    with pytest.raises(LookupError, match="_Receipt has no number"):
        encode_value(PayloadOf(_Receipt), {"href": "x"}, request())


def payloads(base: type[Payload] = Payload) -> Iterator[type[Payload]]:
    for each in base.__subclasses__():
        yield each
        yield from payloads(each)


def test_s8_why_something_failed_is_masked_in_every_response() -> None:
    """S8: such a text may quote what was sent; keys without personal data read it too."""
    texts = {
        f"{each.__name__}.{member.name}": type(member.kind)
        for each in payloads()
        if each.__module__.startswith("innkeeper.wire") and not getattr(each, "__parameters__", ())
        for member in members_of(each)
        if member.name in ("error", "fault")
    }
    assert len(texts) > 8
    assert {name for name, kind in texts.items() if kind is not Masked} == set()


def test_endpoints_are_declared_by_payloads() -> None:
    """Only endpoints that send a file, or a response without content, declare no response."""
    endpoints = [each for dialect in DIALECTS for each in dialect.endpoints]
    assert len(endpoints) > 80
    undeclared = [each for each in endpoints if each.response is None]
    other = [each.name for each in undeclared if each.status != 204 and not each.other_media]
    assert other == []


def test_f15_the_command_reads_a_person_as_the_api_does(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """F15: every problem at once, before a database is opened."""
    words = ["innkeeper", "privacy", "release", "--identifier", "CRM:\x00", "--email", "nobody"]
    monkeypatch.setattr("sys.argv", words)
    with pytest.raises(SystemExit, match="1"):
        main()
    assert capsys.readouterr().err == (
        "innkeeper: identifiers[0].id: must not contain U+0000 or unpaired surrogates; "
        "email: not a well-formed email address\n"
    )
