"""Errors: one body for every error of every route, and requests that no client should send."""

import re
from typing import Any

import psycopg
import pytest
from calling import NOBODY, Api, Bare, absent, invalid, no_guest, problem, run_server

from innkeeper.settings import Settings
from innkeeper.web.app import create_app

NOT_HERE = problem(404, "The specified resource does not exist.")
EXTENSION = f"/v2.1/guests/{NOBODY}/extensions/ext"


def is_error(body: dict[str, Any], status: int) -> bool:
    """ER-1, ER-3: the members, in their order, and how they hang together."""
    members = ["status", "code", "message", "developerMessage", "moreInfoUrl", "statusCode"]
    if status == 401:
        members.remove("developerMessage")
    return (
        list(body) == [*members, "errors"]
        and body["code"] == body["statusCode"] == status
        and body["status"] == ("UNAUTHORIZED" if status == 401 else status)
        and body["errors"][0] == body["message"]
        and body["moreInfoUrl"] == "https://support.sitecore.com"
        and isinstance(body.get("developerMessage", ""), str)
    )


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/v2.1/guests", b'{"country":"ZZ"}', 400),
        ("POST", "/v2.1/guests", b"{", 400),
        ("GET", "/v2.1/guests?limit=0", b"", 400),
        ("GET", f"/v2.1/guests/{NOBODY}", b"", 404),
        ("GET", EXTENSION, b"", 404),
        ("GET", "/v2.1/nothing", b"", 404),
        ("GET", "/v2.1/", b"", 404),
        ("GET", f"/v2.1/guests/{NOBODY}/nothing", b"", 404),
        ("GET", "/v2.1/guests//extensions", b"", 404),
        ("GET", "/nothing", b"", 404),
        ("GET", "/v2.1", b"", 404),
        ("GET", "/healthz/", b"", 404),
        ("POST", "/healthz", b"{}", 405),
        ("DELETE", "/v2.1/guests", b"", 405),
        ("POST", f"/v2.1/guests/{NOBODY}", b"{}", 405),
        ("POST", "/v2.1/guests", b" " * (1 << 20) + b"{}", 413),
    ],
)
def test_every_error_has_one_body(
    api: Api, method: str, path: str, body: bytes, status: int
) -> None:
    """ER-1, ER-3, ER-4, N-15: on every route, including unknown paths and 405."""
    headers = {"Content-Type": "application/json"} if body else {}
    answer = api.request(method, path, content=body, headers=headers)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/json"
    assert is_error(answer.json(), status), answer.text


def test_an_unknown_path_is_404(api: Api) -> None:
    """ER-4."""
    assert api.get("/v2.1/nothing").json() == NOT_HERE


def test_more_info_url_is_a_setting(dsn: str) -> None:
    """ER-5: in the API, outside it and where HTTP itself is broken."""
    settings = Settings(database=dsn, log_level="error", more_info_url="https://help.example/")
    with run_server(create_app(settings)) as url, Api(url) as anyone:
        for path in ("/v2.1/guests", "/nothing"):
            assert anyone.get(path).json()["moreInfoUrl"] == "https://help.example/"


def test_an_internal_error_reveals_nothing(dsn: str) -> None:
    """ER-4: 500 with the body, an id to find it in the log, and no detail of the cause."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("ALTER TABLE innkeeper.api_keys RENAME TO hidden")
    settings = Settings(database=dsn, log_level="error")
    with run_server(create_app(settings)) as url, Api(url, "k" * 32, "x") as api:
        answer = api.get("/v2.1/guests", headers={"x-correlation-id": "find-me"})
    assert (answer.status_code, answer.headers["x-correlation-id"]) == (500, "find-me")
    message = "The request id names the entry in the log."
    assert answer.json() == problem(500, "Internal server error.", message)


def test_our_own_fault_beside_the_api_has_that_body_too(
    anonymous: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ER-4: here of a folder that is not there."""
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", "/nowhere/at/all")
    answer = anonymous.get("/metrics")
    assert (answer.status_code, answer.headers["content-type"]) == (500, "application/json")
    assert answer.json()["message"] == "Internal server error."


@pytest.mark.parametrize("payload", [None, "", "a b", "x" * 129, "é", "a\tb"])
def test_an_id_that_is_no_word_is_replaced(bare: Bare, payload: str | None) -> None:
    headers = {} if payload is None else {"X-Correlation-Id": payload}
    answer = bare("/v2.1/guests", headers=headers)
    assert re.fullmatch("[0-9a-f]{32}", answer.headers["x-correlation-id"])


def test_every_answer_carries_the_callers_id(api: Api, anonymous: Api) -> None:
    for caller, path in ((api, "/v2.1/guests"), (api, "/v2.1/x"), (anonymous, "/v2.1/guests")):
        answer = caller.get(path, headers={"X-Correlation-Id": "trace:1.2_3-4"})
        assert answer.headers["x-correlation-id"] == "trace:1.2_3-4"


# Texts


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"guestType": "retired"}, invalid("guestType", "not a valid value")),
        ({}, absent("guestType")),
        (
            {"guestType": "visitor", "firstName": 1, "lastName": []},
            invalid("firstName", "must be a string", "lastName: must be a string"),
        ),
    ],
)
def test_the_documented_texts_of_400(official: Api, body: Any, expected: Any) -> None:
    """ER-3: message, developer message and the list, whole."""
    answer = official.post("/v2.1/guests", json=body)
    assert (answer.status_code, answer.json()) == (400, expected)


def test_a_problem_has_the_callers_spelling(api: Api) -> None:
    """ER-3: fields as they are on the wire."""
    answer = api.post("/v2.1/guests", json={"dateOfBirth": 5, "postCode": 5, "phoneNumbers": [5]})
    assert sorted(answer.json()["errors"]) == [
        "dateOfBirth: must be an ISO 8601 date-time",
        "phoneNumbers[0]: must be a string",
        "postCode: must be a string",
    ]


# Requests that break something


LONG = "x" * 30_000
HOSTILE: dict[str, tuple[str | bytes, int]] = {
    "a percent sign alone": ("/v2.1/guests/%", 404),
    "half an escape": ("/v2.1/guests/%4", 404),
    "no escape": ("/v2.1/guests/%zz", 404),
    "an escaped NUL": ("/v2.1/guests/%00", 404),
    "bytes that are no UTF-8": ("/v2.1/guests/%FF%FE", 404),
    "a surrogate in UTF-8": ("/v2.1/guests/%ED%A0%80", 404),
    "a NUL in a name": (f"{EXTENSION}%00", 404),
    "no UTF-8 in a name": (f"{EXTENSION}%FF", 404),
    "a long ref": (f"/v2.1/guests/{LONG}", 414),
    "a long path": ("/v2.1/guests" + "/x" * 15_000, 414),
    "many slashes": ("/v2.1" + "/" * 15_000, 414),
    "dots": ("/v2.1/guests/../guests", 404),
    "escaped dots": ("/v2.1/guests/%2e%2e", 404),
    "an escaped slash": (f"/v2.1/guests%2F{NOBODY}", 404),
    "digits of other alphabets": ("/v2.1/guests/" + "%D9%A1" * 8, 404),
    "a NUL in a filter": ("/v2.1/guests?email=%00", 200),
    "no UTF-8 in a filter": ("/v2.1/guests?email=%FF%FE&firstName=%ED%A0%80", 200),
    "escapes that are none": ("/v2.1/guests?email=%&city=%zz&%=%", 200),
    "no names": ("/v2.1/guests?&&&=&=x&", 200),
    "a long query": (f"/v2.1/guests?email={LONG}", 414),
    "a long filter": (
        f"/v2.1/guests?firstName={LONG}&identifiers.provider=a&identifiers.id={LONG}",
        414,
    ),
    "a long sort": ("/v2.1/guests?sort=" + "createdAt::ASC|" * 2000, 414),
    "many parameters": ("/v2.1/guests?" + "a=1&" * 8000, 414),
    "a question in the query": ("/v2.1/guests?a?b", 200),
    "an absolute target": ("http://elsewhere.test/v2.1/guests", 200),
    "an asterisk": ("*", 404),
    "no slash": ("v2.1/guests", 400),
    "a space": ("/v2.1/guests/a b", 400),
    "raw Latin": (b"/v2.1/guests/\xe9", 400),
    "raw UTF-8 in a query": ("/v2.1/guests?email=é", 400),
    "too long a line": ("/v2.1/guests?" + "x" * 70_000, 431),
}


@pytest.mark.parametrize(("target", "status"), HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_a_strange_target_gets_an_answer(
    bare: Bare, method: str, target: str | bytes, status: int
) -> None:
    """CT-8, ER-4: JSON, and never a fault of ours."""
    answer = bare(target, method)
    if status == 200 and method == "DELETE":
        status = 405
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/json")
    if status != 200:
        assert is_error(answer.json(), status), answer.text


def test_a_ref_of_invalid_bytes_is_named_with_replacement_marks(api: Api, bare: Bare) -> None:
    """CT-8: what is no text cannot be repeated."""
    answer = bare("/v2.1/guests/a%FFb")
    assert (answer.status_code, answer.json()) == (404, no_guest(api, "a?b"))


@pytest.mark.parametrize("host", ["", "a b", "<script>", "é", "x" * 300, "a,b", "..", "host:99999"])
def test_a_garbage_host_is_no_fault(bare: Bare, host: str) -> None:
    """C-6: what cannot be a host does not get into links."""
    answer = bare("/v2.1/guests", headers={"Host": host})
    assert answer.status_code in (200, 400)
    if answer.status_code == 200:
        href = answer.json()["href"]
        assert re.fullmatch(r"http://[A-Za-z0-9.:_-]+/v2\.1/guests\?offset=0&limit=10", href)


@pytest.mark.parametrize(
    "host",
    [
        "api-engage-ap.sitecorecloud.io",
        "api-engage-eu.sitecorecloud.io",
        "api-engage-jpe.sitecorecloud.io",
        "api-engage-us.sitecorecloud.io",
        "cdp.example:8443",
        "[::1]:8420",
    ],
)
def test_links_are_built_on_the_callers_host(bare: Bare, host: str) -> None:
    """C-1, C-6: a client that was pointed here by name stays here."""
    created = bare("/v2.1/guests", "POST", {"Host": host}, b'{"guestType":"visitor"}')
    assert created.json()["href"] == f"http://{host}/v2.1/guests/{created.json()['ref']}"
    assert bare("/v2.1/guests", headers={"Host": host}).json()["href"].startswith(f"http://{host}/")


def test_a_public_url_overrides_the_host(dsn: str, anonymous: Api) -> None:
    """C-6: in the API description as well."""
    settings = Settings(database=dsn, log_level="error", public_url="https://cdp.example/")
    with run_server(create_app(settings)) as url, Api(url) as anyone:
        servers = anyone.get("/openapi.json").json()["servers"]
    assert servers == [{"url": "https://cdp.example"}]
    assert anonymous.get("/openapi.json").json()["servers"] == [{"url": anonymous.url}]
