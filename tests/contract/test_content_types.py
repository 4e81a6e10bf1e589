"""Bodies: media types, JSON and its faults, limits (errors.md 4 and 5)."""

import json
import socket
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from calling import Api, Bare, invalid, problem

PATH = "/v2.1/guests"
BODY = b'{"guestType":"visitor","firstName":"Jane"}'
MIB = 1 << 20


def bad_json(line: int, column: int) -> dict[str, Any]:
    message = f"JSON parse error [line: {line}, column: {column}]."
    return problem(400, "Unable to parse JSON string", message)


def post(bare: Bare, body: bytes, content_type: str | None = "application/json") -> Any:
    headers = {} if content_type is None else {"Content-Type": content_type}
    return bare(PATH, "POST", {**headers, "Content-Length": str(len(body))}, body)


# Media types


@pytest.mark.parametrize(
    "media_type",
    [
        "application/json",
        "application/json; charset=utf-8",
        "application/json;charset=UTF-8",
        'application/json; charset="utf-8"; profile=x',
        "Application/JSON",
        "application/merge-patch+json",
        "application/x-www-form-urlencoded",
        "application/x-www-form-urlencoded; charset=UTF-8",
        None,
        "",
    ],
)
def test_json_is_read_under_these_types(bare: Bare, media_type: str | None) -> None:
    """CT-1, CT-3: also under none and under the one curl adds by itself."""
    answer = post(bare, BODY, media_type)
    assert (answer.status_code, answer.json()["firstName"]) == (201, "Jane")
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    "media_type",
    [
        *("text/plain", "text/json", "application/xml", "multipart/form-data; boundary=x"),
        *("application/octet-stream", "json", "*/*", "application/jsonx", "é", "x" * 500),
        *("application/json; charset=utf-16", "application/json; charset=iso-8859-1"),
    ],
)
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
def test_other_types_are_415(api: Api, bare: Bare, method: str, media_type: str) -> None:
    """CT-3."""
    path = PATH if method == "POST" else f"{PATH}/{api.guest()['ref']}"
    headers = {"Content-Type": media_type}
    answer = bare(path, method, headers, BODY)
    assert answer.status_code == 415
    assert answer.json()["message"] == "The media type of the request is not supported."


@pytest.mark.parametrize("body", [b"a=b&c=d", b"[1]", b"", b"  x", b'"text"'])
def test_a_form_is_not_json(bare: Bare, body: bytes) -> None:
    """CT-3: with a form's type the body must begin like an object."""
    assert post(bare, body, "application/x-www-form-urlencoded").status_code == 415


@pytest.mark.parametrize("accept", ["application/json", "text/html", "*/*", "", "nonsense;;"])
def test_any_accept_is_served_json(bare: Bare, accept: str) -> None:
    """CT-2."""
    answer = bare(PATH, headers={"Accept": accept})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")


@pytest.mark.parametrize("method", ["GET", "DELETE", "HEAD"])
@pytest.mark.parametrize("media_type", ["application/json", "text/plain", "nonsense"])
def test_a_type_without_a_body_is_ignored(api: Api, method: str, media_type: str) -> None:
    """CT-5."""
    href = api.guest()["href"]
    answer = api.request(method, href, headers={"Content-Type": media_type})
    assert answer.status_code == (204 if method == "DELETE" else 200)


def test_a_body_of_a_get_is_ignored(api: Api) -> None:
    """CT-5: whatever it holds."""
    guest = api.guest()
    answer = api.request("GET", guest["href"], content=b"{", headers={"Content-Type": "x"})
    assert (answer.status_code, answer.json()) == (200, guest)
    assert api.request("DELETE", guest["href"], content=b"{").status_code == 204


# JSON


@pytest.mark.parametrize(
    ("body", "line", "column"),
    [
        (b"", 1, 1),
        (b"   ", 1, 4),
        (b"{", 1, 2),
        (b"x", 1, 1),
        (b'{"firstName":"Jane",}', 1, 21),
        (b'{\n  "firstName": "Jane",\n  "lastName": "Doe",\n}', 4, 1),
        (b'{"a" 1}', 1, 6),
        (b'{\r\n"a":1\r\n"b":2}', 3, 1),
        (b'{"a":1} x', 1, 9),
        (b'{"a":1}\n{"b":2}', 2, 1),
        ('{"é":"ü" x}'.encode(), 1, 10),
        (b"{'a':1}", 1, 2),
        (b'{"a":NaN}', 1, 6),
        (b'{"a":Infinity}', 1, 6),
        (b'{"a":01}', 1, 7),
        (b'{"a":"\xff"}', 1, 7),
        (b'{"a":"\xed\xa0\x80"}', 1, 7),
        (b'{\n"a":1,\n"b":"\xc3\xa9\xc3"}', 3, 7),
        (b"[1]", 1, 1),
        (b'\n "text"', 2, 2),
        (b"null", 1, 1),
        (b"12", 1, 1),
        (b"[" * 39_000, 1, 1),
        (b'{"a":' * 19_000, 1, 1),
    ],
)
@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_what_is_no_json_object_is_400_with_its_place(
    api: Api, method: str, body: bytes, line: int, column: int
) -> None:
    """CT-4, CT-6: trailing commas too; line and column count from 1, in characters."""
    path = PATH if method == "POST" else api.guest()["href"]
    headers = {"Content-Type": "application/json"}
    answer = api.request(method, path, content=body, headers=headers)
    assert (answer.status_code, answer.json()) == (400, bad_json(line, column))


@pytest.mark.parametrize("body", [b"[" * 200_000, b'{"a":' * 100_000], ids=["lists", "objects"])
def test_what_would_have_too_many_members_is_not_parsed(api: Api, body: bytes) -> None:
    """RL-4: whether or not it is JSON."""
    answer = api.post(PATH, content=body, headers={"Content-Type": "application/json"})
    refused = invalid("body", "must have at most 40000 members")
    assert (answer.status_code, answer.json()) == (400, refused)


@pytest.mark.parametrize(
    ("body", "name"),
    [
        (b'{"firstName":"Joe","firstName":"Jane"}', "Jane"),
        (b'{"firstName":"Jane","firstName":null}', None),
        (b'\xef\xbb\xbf{"firstName":"Jane"}', "Jane"),
        (b' \r\n\t{ "firstName" : "Jane" } \n', "Jane"),
        (b'{"first\\u004eame":"J\\u0061ne"}', "Jane"),
        (b'{"firstName":"\\ud83e\\udd8a"}', "🦊"),
        (b'{"firstName":"\xef\xbf\xbf\\u0001\\u007f"}', "\uffff\x01\x7f"),
    ],
)
def test_json_in_other_spellings(bare: Bare, body: bytes, name: str | None) -> None:
    """CT-1, CT-6: the last of twin keys wins; a byte order mark is skipped."""
    answer = post(bare, body)
    assert (answer.status_code, answer.json().get("firstName")) == (201, name)


@pytest.mark.parametrize(
    "escape", ["\\ud800", "\\udfff", "\\ud800\\ud800", "x\\udc00y", "\\udc00\\ud800"]
)
@pytest.mark.parametrize(
    "shape", ['{"firstName":"%s"}', '{"%s":1}', '{"subscriptions":[{"%s":1}]}']
)
def test_a_lone_surrogate_is_refused(bare: Bare, shape: str, escape: str) -> None:
    """CT-8: in a value, in a key, deep inside."""
    answer = post(bare, shape.replace("%s", escape).encode())
    assert answer.status_code == 400
    assert answer.json()["statusCode"] == 400


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ('{"firstName":"a\\u0000b"}', "firstName"),
        ('{"phoneNumbers":["1","\\u0000"]}', "phoneNumbers[1]"),
        ('{"identifiers":[{"provider":"\\u0000","id":"1"}]}', "identifiers[0].provider"),
        ('{"subscriptions":[{"a":["\\u0000"]}]}', "subscriptions[0]"),
        ('{"subscriptions":[{"\\u0000":1}]}', "subscriptions[0]"),
        ('{"email":"a\\u0000@b.co"}', "email"),
    ],
)
def test_a_nul_is_refused(bare: Bare, body: str, field: str) -> None:
    """CT-8: PostgreSQL cannot store it."""
    answer = post(bare, body.encode())
    expected = invalid(field, "must not contain U+0000 or unpaired surrogates")
    assert (answer.status_code, answer.json()) == (400, expected)


def test_a_nul_in_an_ignored_member_is_ignored(bare: Bare) -> None:
    """CT-8, C-10."""
    assert post(bare, b'{"shoe\\u0000Size":"\\u0000"}').status_code == 201


NUMBERS = [
    *("1e309", "-1e309", "1e400", "1e9999999", "1e99999999999999999999", "9" * 309),
    *(
        "9" * 5000,
        "1" + "0" * 400_000,
        "1e-9999999",
        "1e-99999999999999999999",
        "0." + "0" * 5000 + "1",
    ),
]


@pytest.mark.parametrize("number", NUMBERS, ids=lambda number: f"{number[:12]}({len(number)})")
@pytest.mark.parametrize("member", ["pair", "subscriptions", "ignored"])
def test_a_number_the_store_cannot_hold_is_no_fault(api: Api, member: str, number: str) -> None:
    """CT-8: 400 where it would be stored."""
    headers = {"Content-Type": "application/json"}
    if member == "pair":
        path, body = api.guest()["dataExtensions"]["href"], f'{{"name":"ext","pair":{number}}}'
    else:
        path, body = PATH, f'{{"{member}":[{number}]}}'
    answer = api.post(path, content=body, headers=headers)
    assert answer.status_code in ((201, 400) if member == "ignored" else (400,)), answer.text


@pytest.mark.parametrize("depth", [1, 50, 99, 100, 101, 300, 600, 900, 990, 2000, 100_000])
def test_deep_nesting_is_stored_or_refused(api: Api, depth: int) -> None:
    """CT-8: a limit of our own before the parser's, which is 400 as well."""
    body = b'{"subscriptions":[' + b"[" * depth + b"]" * depth + b"]}"
    answer = api.post(PATH, content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == (201 if depth <= 100 else 400)
    if depth <= 100:
        assert api.get(answer.json()["href"]).json() == answer.json()
        assert json.dumps(answer.json()["subscriptions"]).count("[") == depth + 1


def test_a_long_row_of_stops_is_refused(api: Api) -> None:
    """G-16: the obvious pattern of an address takes hours for these, and the client gives up."""
    for address in ("a@" + "." * 30_000 + "@", "@" * 30_000, "a@" + "a." * 15_000 + " "):
        assert api.post(PATH, json={"email": address}).status_code == 400


# Limits


def of_size(size: int) -> bytes:
    return BODY + b" " * (size - len(BODY))


def test_a_body_has_at_most_one_mib(bare: Bare) -> None:
    """RL-4: 413 with the error body."""
    assert post(bare, of_size(MIB)).status_code == 201
    answer = post(bare, of_size(MIB + 1))
    expected = problem(413, "The request body is too large.", "The limit is 1048576 bytes.")
    assert (answer.status_code, answer.json()) == (413, expected)


def test_a_body_without_a_length_has_that_limit_too(api: Api) -> None:
    """RL-4: chunked, refused while it still comes."""

    def chunks(count: int) -> Iterator[bytes]:
        yield BODY
        for _ in range(count):
            yield b" " * 65_536

    headers = {"Content-Type": "application/json"}
    assert api.post(PATH, content=chunks(15), headers=headers).status_code == 201
    answer = api.post(PATH, content=chunks(17), headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (413, 413)
    assert api.get(PATH).json()["totalCount"] == 1


def test_a_false_length_is_refused_before_the_body_comes(api: Api, bare: Bare) -> None:
    """RL-4: the length that is declared counts."""
    answer = bare(PATH, "POST", {"Content-Length": str(10**15)}, BODY)
    assert answer.status_code == 413
    assert bare(PATH, "POST", {"Content-Length": "-5"}, BODY).status_code == 400
    assert bare(PATH, "POST", {"Content-Length": "five"}, BODY).status_code == 400
    assert api.get(PATH).json()["totalCount"] == 0


def test_a_client_that_leaves_in_the_middle_leaves_nothing(api: Api, bare: Bare) -> None:
    """Half a body is no request."""
    parts = urlsplit(api.url)
    head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nAuthorization: {bare.authorization}\r\n"
    with socket.create_connection((parts.hostname, parts.port)) as connection:
        connection.sendall(f"{head}Content-Length: 100\r\n\r\n{{}}".encode())
        time.sleep(0.05)
    assert api.get(PATH).json()["totalCount"] == 0


@pytest.mark.parametrize("field", ["firstName", "city", "phone", "identityStatus"])
def test_a_text_has_at_most_32_kib(api: Api, field: str) -> None:
    """RL-4: counted in bytes of UTF-8."""
    for letter in ("x", "é", "🦊"):
        longest = letter * (32 * 1024 // len(letter.encode()))
        assert api.guest(**{field: longest})[field] == longest
        answer = api.post(PATH, json={field: longest + "x"})
        expected = invalid(field, "size must be between 0 and 32768 bytes")
        assert (answer.status_code, answer.json()) == (400, expected)


def test_long_keys_are_stored_and_found(api: Api) -> None:
    """RL-4: an index entry has less room than a value may take."""
    # What an address is looked for by has room in a query (8 KB).
    address, longest = "a@b." + "c" * 8000, "i" * (32 * 1024)
    ref = api.guest(email=address, identifiers=[{"provider": longest, "id": longest}])["ref"]
    assert api.get(f"{PATH}/{ref}").json()["identifiers"][0]["id"] == longest
    assert api.get(PATH, params={"email": address}).json()["totalCount"] == 1
