"""Whatever is sent: no fault of ours, and what was accepted comes back."""

import json
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from calling import NOBODY, Api, Bare
from hypothesis import assume, example, given
from hypothesis import strategies as st

from innkeeper.errors import ApiError
from innkeeper.resources.base import Field
from innkeeper.resources.codes import COUNTRIES, LANGUAGES
from innkeeper.resources.guests import Guest
from innkeeper.resources.kinds import (
    Code,
    Day,
    Instant,
    Kind,
    ListOf,
    ObjectOf,
    OneOf,
    Opaque,
    Pattern,
    Text,
)
from innkeeper.wire.decode import decode, wire_name
from innkeeper.wire.dialects.nested import OPEN_GUEST
from innkeeper.wire.dialects.official import GUEST
from innkeeper.wire.encode import encoder
from innkeeper.wire.json_text import decode_object
from innkeeper.wire.views import Verb, View

PATH = "/v2.1/guests"
JSON = {"Content-Type": "application/json"}
VIEWS = pytest.mark.parametrize("view", [OPEN_GUEST, GUEST], ids=["open", "official"])

# Values that are right, in the form that they are shown in: what comes back is what was sent.

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=30)
WORD = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=10)
ADDRESS = st.builds("{}@{}.{}".format, WORD, WORD, WORD)
INSTANT = st.datetimes().map(lambda at: f"{at.isoformat(timespec='milliseconds')}Z")
DAY = st.dates(max_value=date(2020, 1, 1)).map(str)
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**30), 10**30) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


def right(kind: Kind) -> st.SearchStrategy[Any]:
    """Values of a kind."""
    if isinstance(kind, Code) and kind.region:
        regions = st.sampled_from(["", "-IE", "_419", "-Latn"])
        return st.builds(str.__add__, st.sampled_from(sorted(LANGUAGES)), regions)
    if isinstance(kind, Code):
        codes = st.sampled_from(sorted(COUNTRIES))
        return codes | codes.map(str.lower)
    if isinstance(kind, OneOf):
        return st.sampled_from(kind.words)
    if isinstance(kind, ListOf):
        return st.lists(right(kind.element), max_size=3)
    if isinstance(kind, ObjectOf):
        parts = {name: right(member) for name, member in kind.members.items()}
        required = {name: parts.pop(name) for name in sorted(kind.required)}
        return st.fixed_dictionaries(required, optional=parts)
    simple = {Text: TEXT, Pattern: ADDRESS, Instant: INSTANT, Day: DAY, Opaque: PLAIN}
    return simple[type(kind)]


def bodies(view: View) -> st.SearchStrategy[dict[str, Any]]:
    """Guests that can be created, as `view` spells them."""

    def member(name: str, field: Field) -> st.SearchStrategy[Any]:
        return right(view.accept.get(name, field.kind))

    members = {
        wire_name(view, name): member(name, field)
        for name, field in Guest.fields.items()
        if not field.owned
    }
    return st.fixed_dictionaries({"guestType": members.pop("guestType")}, optional=members)


def shown_born(view: View, body: dict[str, Any]) -> dict[str, Any]:
    """The body as N-8 shows its day of birth."""
    if view is GUEST and "dateOfBirth" in body:
        return {**body, "dateOfBirth": body["dateOfBirth"] + "T00:00:00.000Z"}
    return body


def mirrored(body: dict[str, Any]) -> dict[str, Any]:
    """The body as G-2 completes it."""
    email, emails = body.get("email"), body.get("emails")
    if email is not None and emails is None:
        return {**body, "emails": [email]}
    if email is None and emails:
        return {**body, "email": emails[0]}
    if email is not None and email not in emails:
        return {**body, "emails": [email, *emails]}
    return body


# Values of every kind

ANY_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4)
    ),
    max_leaves=20,
)
NAMES = st.sampled_from([wire_name(GUEST, name) for name in Guest.fields]) | st.text(max_size=10)
ANY_BODY = st.dictionaries(NAMES, ANY_JSON, max_size=8)


def refusal(act: Callable[[], Any]) -> ApiError | None:
    """Why it was refused, if it was; another error than ours fails the test."""
    try:
        act()
    except ApiError as refused:
        return refused
    return None


# Decode and encode alone


@VIEWS
@given(data=st.data())
def test_decoding_what_is_shown_gives_the_record(view: View, data: st.DataObject) -> None:
    """Encode and decode are each other's inverse on stored fields, for each compatibility."""
    body = data.draw(bodies(view))
    stored = decode(view, Verb.CREATE, body)
    record = encoder(view)({**stored, "ref": NOBODY}, "https://h")
    assert decode(view, Verb.CREATE, record) == stored
    assert {name: record[name] for name in body} == shown_born(view, body)


@VIEWS
@given(body=ANY_BODY, verb=st.sampled_from([Verb.CREATE, Verb.REPLACE, Verb.PATCH]))
def test_any_object_is_decoded_or_refused(view: View, body: dict[str, Any], verb: Verb) -> None:
    """ER-3: a refusal is one of ours, and names at least one problem."""
    refused = refusal(lambda: decode(view, verb, body))
    assert refused is None or (refused.status, refused.errors[0]) == (400, refused.message)


@given(text=st.binary(max_size=60) | st.text(st.characters(codec="utf-8")).map(str.encode))
@example(b'{"a":1e99999999999999999999}')
@example(b'{"\\ud800":0}')
def test_any_bytes_are_an_object_or_bad_json(text: bytes) -> None:
    """CT-4, CT-6, CT-8."""
    refused = refusal(lambda: decode_object(text).keys())
    assert refused is None or refused.status == 400


@given(value=st.dictionaries(st.text(max_size=10), ANY_JSON, max_size=5))
def test_json_is_read_as_others_read_it(value: dict[str, Any]) -> None:
    """CT-1, against Python's own parser."""
    text = json.dumps(value, ensure_ascii=False)
    try:
        encoded = text.encode()
    except UnicodeEncodeError:
        assume(False)
    assert decode_object(encoded) == json.loads(text, parse_float=Decimal)


# Over HTTP


@VIEWS
@given(data=st.data())
def test_an_accepted_guest_comes_back(
    view: View, data: st.DataObject, open_key_api: Api, official_key_api: Api
) -> None:
    """G-2, C-8, N-8: what is answered is what is stored, and what was sent."""
    api = official_key_api if view is GUEST else open_key_api
    body = data.draw(bodies(view))
    response = api.post(PATH, content=json.dumps(body), headers=JSON)
    assert response.status_code == 201, response.text
    assert api.get(response.headers["location"]).json() == response.json()
    expected = mirrored(shown_born(view, body))
    assert {name: response.json().get(name) for name in expected} == expected


@given(
    pairs=st.dictionaries(
        st.from_regex(r"\A[a-z][A-Za-z0-9]{0,12}\Z").filter(
            lambda key: key not in ("name", "key", "ref", "href", "guest", "order", "value")
        ),
        st.booleans().map(json.dumps)
        | TEXT.map(json.dumps)
        | st.from_regex(r"\A-?(0|[1-9][0-9]{0,30})(\.[0-9]{1,30})?\Z")
        | st.from_regex(r"\A-?(0|[1-9][0-9]{0,9})(\.[0-9]{1,9})?[eE][+-]?[0-9]{1,2}\Z"),
        max_size=6,
    )
)
def test_accepted_pairs_come_back_digit_by_digit(pairs: dict[str, str], open_key_api: Api) -> None:
    """X-4, X-10: 12 is not 12.0; only an exponent is written out, and zero has no sign."""
    collection = open_key_api.guest()["dataExtensions"]["href"]
    body = ",".join(['"name":"ext"', *(f'"{key}":{text}' for key, text in pairs.items())])
    response = open_key_api.post(collection, content=f"{{{body}}}".encode(), headers=JSON)
    assert response.status_code == 201, response.text
    for answer in (response, open_key_api.get(f"{collection}/ext")):
        record = json.loads(answer.text, parse_float=Decimal, parse_int=Decimal)
        for key, text in pairs.items():
            payload = json.loads(text, parse_float=Decimal, parse_int=Decimal)
            assert record[key] == payload
            if isinstance(payload, Decimal) and "e" not in text.lower() and payload:
                assert record[key].as_tuple() == payload.as_tuple()


@given(body=ANY_BODY)
def test_any_object_is_created_or_refused(body: dict[str, Any], open_key_api: Api) -> None:
    """CT-8: 201 or 400, whatever the object."""
    answer = open_key_api.post(PATH, content=json.dumps(body), headers=JSON)
    assert answer.status_code in (201, 400), answer.text
    assert answer.headers["content-type"] == "application/json"
    if answer.status_code == 201:
        href = answer.headers["location"]
        assert open_key_api.get(href).json() == answer.json()
        patched = open_key_api.patch(href, content=json.dumps(body), headers=JSON)
        assert patched.status_code == 200


@pytest.mark.parametrize("key", ["open", "official"])
@given(body=ANY_BODY, name=st.text(max_size=12))
def test_any_extension_is_created_or_refused(
    key: str, body: dict[str, Any], name: str, open_key_api: Api, official_key_api: Api
) -> None:
    """CT-8, X-4, X-6: and an accepted one is found under its link."""
    api = {"open": open_key_api, "official": official_key_api}[key]
    collection = api.guest()["dataExtensions"]["href"]
    for each in (body, {**body, "name": name}, {"key": name, "value": name}):
        answer = api.post(collection, content=json.dumps(each), headers=JSON)
        assert answer.status_code in (201, 400, 409), answer.text
        if answer.status_code == 201:
            assert api.get(answer.headers["location"]).json() == answer.json()


@given(body=st.binary(max_size=100), media_type=st.none() | st.text("abc/+;= jsonpli", max_size=20))
def test_any_bytes_get_an_answer(body: bytes, media_type: str | None, open_key_api: Api) -> None:
    """CT-3, CT-8."""
    headers = {} if media_type is None else {"Content-Type": media_type.strip()}
    answer = open_key_api.post(PATH, content=body, headers=headers)
    assert answer.status_code in (201, 400, 415), answer.text
    assert answer.headers["content-type"] == "application/json"


PARAMETERS = st.sampled_from(
    [*GUEST.filters, "identifiers.provider", "identifiers.id", "offset", "limit", "sort", "expand"]
)
VALUES = (
    st.text(max_size=20)
    | st.integers().map(str)
    | st.sampled_from(["true", "createdAt::DESC", "dataExtensions", "1990-01-01", "\x00"])
)


@given(query=st.lists(st.tuples(PARAMETERS | st.text(max_size=8), VALUES), max_size=6))
def test_any_query_gets_a_page_or_a_reason(query: list[tuple[str, str]], open_key_api: Api) -> None:
    """L-3, L-6, L-11, G-11, CT-8: and the links of a page lead somewhere."""
    text = urlencode(query, errors="surrogatepass")
    answer = open_key_api.get(f"{PATH}?{text}")
    assert answer.status_code in (200, 400), answer.text
    if answer.status_code == 200:
        page = answer.json()
        assert page["limit"] <= 100
        for link in ("first", "last", "next", "prev"):
            if link in page:
                assert open_key_api.get(page[link]["href"]).status_code == 200


@given(
    path=st.lists(
        st.sampled_from(["guests", "extensions", "fields", NOBODY, "%", "%00", ".."])
        | st.text(max_size=8).map(lambda text: quote(text, safe="", errors="surrogatepass"))
        | st.binary(max_size=6).map(quote),
        max_size=6,
    ),
    method=st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]),
    query=st.binary(max_size=10).map(quote),
)
def test_any_path_gets_an_answer(
    path: list[str], method: str, query: str, open_key_api: Api
) -> None:
    """CT-8, ER-4: JSON or nothing, below 500."""
    send = Bare.of(open_key_api)
    answer = send(f"/v2.1/{'/'.join(path)}?{query}", method, body=b"{}")
    assert answer.status_code < 500, answer.text
    if answer.status_code != 204:
        assert answer.headers["content-type"] == "application/json"
