"""The stream API's wire: stream-api.md sections 1 to 4, 7 and 9, row by row."""

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from calling import NOBODY, Api, Bare
from sites import Site
from streams import Page, types
from waiting import PATIENCE_SECONDS

from innkeeper.actions.admin import keys

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
MORE = "https://support.sitecore.com"


@pytest.fixture
def page(api: Api) -> Page:
    return Page(api)


@pytest.fixture
def web(api: Api) -> Iterator[Api]:
    """A page's requests: no credentials but what they carry themselves."""
    with Api(api.url) as anonymous:
        yield anonymous


@pytest.fixture(scope="session")
def context_id(site: Site, open_key_api: Api) -> str:
    """A context id that stands for the client key of `api` (section 1)."""
    site.control(lambda work: keys.set_alias(work, "ctx-test", open_key_api.client_key))
    return "ctx-test"


def failed(status: int, message: str, key: str) -> dict[str, Any]:
    """Section 9: the error body of browsers and events."""
    return {
        "status": "ERROR",
        "version": "1.2",
        "client_key": key,
        "error_code": status,
        "error_msg": message,
        "moreInfo": MORE,
    }


def unknown_browser(key: str) -> dict[str, Any]:
    """Section 4: the pair of status and message that legacy pages start over on."""
    return {
        "status": "NOT_FOUND",
        "version": "1.2",
        "client_key": key,
        "error_msg": "Invalid browser id/ref specified",
        "moreInfo": MORE,
    }


UNAUTHORIZED = (
    "Authentication credentials are required to access the resource. "
    "All requests must be authenticated."
)


# Section 2, rows 1 and 3: browser create


def test_browser_create(api: Api, web: Api) -> None:
    """Section 2 row 1, section 3, section 9 (201): a browser id and its visitor guest."""
    key = api.client_key
    # The engage SDK sends raw braces.
    answer = web.get(f"/v1.2/browser/create.json?client_key={key}&message={{}}")
    body = answer.json()
    assert answer.status_code == 201
    assert body == {
        "status": "OK",
        "version": "1.2",
        "client_key": key,
        "ref": body["ref"],
        "customer_ref": body["customer_ref"],
    }
    assert UUID.fullmatch(body["ref"])
    guest = api.get(f"/v2.1/guests/{body['customer_ref']}").json()
    assert guest["guestType"] == "visitor"
    assert api.get("/v2.1/guests").json()["totalCount"] == 1


@pytest.mark.parametrize("query", ["", "?client_key=", f"?client_key={'x' * 32}", "?client_key=ü"])
def test_browser_create_without_a_good_key(web: Api, query: str) -> None:
    """Section 4 row 401, section 9: a missing and a wrong client key are the same 401."""
    answer = web.get(f"/v1.2/browser/create.json{query}")
    assert answer.status_code == 401
    assert answer.json()["error_msg"] == UNAUTHORIZED
    assert answer.json()["error_code"] == 401
    # No browser is to ask its user for a password.
    assert "www-authenticate" not in answer.headers


def test_a_revoked_key_opens_nothing(site: Site, web: Api) -> None:
    """Section 1: the client key is a key's, and ends with it at once."""
    key = site.key().client_key
    assert web.get("/v1.2/browser/create.json", params={"client_key": key}).status_code == 201
    site.control(lambda work: keys.revoke(work, key))
    for _ in range(50):
        answer = web.get("/v1.2/browser/create.json", params={"client_key": key})
        if answer.status_code == 401:
            return
    raise AssertionError("still open")


def test_keys_open_their_own_workspace_only(page: Page, stranger: Api) -> None:
    """Section 1: the workspace is that of the client key; its browsers are unknown elsewhere."""
    answer = page.send("VIEW", client_key=stranger.client_key)
    assert (answer.status_code, answer.json()) == (404, unknown_browser(stranger.client_key))


# Section 2, row 4: browser show


def test_browser_show(page: Page, web: Api) -> None:
    """Section 2 row 4, section 3: the SDK sends the client key as api_token as well."""
    key = page.api.client_key
    path = f"/v1.2/browser/{page.browser}/show.json"
    answer = web.get(path, params={"client_key": key, "api_token": key})
    assert answer.status_code == 200
    assert answer.json() == {
        "status": "OK",
        "version": "1.2",
        "client_key": key,
        "ref": page.browser,
        "customer": {"ref": page.guest},
    }


@pytest.mark.parametrize("browser", [NOBODY, "nonsense", NOBODY[:-1] + "x"])
def test_browser_show_of_an_unknown_one(api: Api, web: Api, browser: str) -> None:
    """Section 4 row 404: show answers the same as an event."""
    key = api.client_key
    answer = web.get(f"/v1.2/browser/{browser}/show.json", params={"client_key": key})
    assert (answer.status_code, answer.json()) == (404, unknown_browser(key))


# Section 2, rows 2 and 3: events


def test_event_by_post(page: Page) -> None:
    """Section 2 row 3, section 4 success: 201 with the event's ref and the current guest."""
    answer = page.send("VIEW")
    body = answer.json()
    assert answer.status_code == 201
    assert body == {
        "status": "OK",
        "version": "1.2",
        "client_key": page.api.client_key,
        "ref": body["ref"],
        "customer_ref": page.guest,
    }
    assert page.session["events"][0]["ref"] == body["ref"]


@pytest.mark.parametrize("path", ["/v1.2/event/create.json", "/v1.2/events"])
def test_event_by_get(page: Page, web: Api, path: str) -> None:
    """Section 2 row 2; section 9: both paths take both methods."""
    message = {"browser_id": page.browser, "type": "VIEW", "page": "a + b & c", **page.always}
    query = {"client_key": page.api.client_key, "message": json.dumps(message)}
    answer = web.get(path, params=query)
    assert answer.status_code == 201, answer.text
    assert page.session["events"][0]["page"] == "a + b & c"


def test_event_by_post_on_the_older_path(page: Page, web: Api) -> None:
    """Section 9: POST on /v1.2/event/create.json."""
    message = {"client_key": page.api.client_key, "browser_id": page.browser, "type": "VIEW"}
    assert web.post("/v1.2/event/create.json", json=message).status_code == 201


@pytest.mark.parametrize(
    "spelt",
    [
        '{"browser_id":"%s","type":"VIEW","page":"Home Page"}',
        '{ "browser_id": "%s", "type": "VIEW", "page": "Home Page" }',
        '{"browser_id":"%s","type":"VIEW","page":"Home%%20Page"}',
    ],
)
def test_event_in_a_message_as_it_is(page: Page, api: Api, spelt: str) -> None:
    """Section 2, title of the issue: `message=` unencoded, braces, quotes and spaces raw."""
    bare = Bare(api.url, "")
    target = f"/v1.2/event/create.json?client_key={api.client_key}&message={spelt % page.browser}"
    answer = bare(target)
    assert answer.status_code == 201, answer.text
    assert page.session["events"][0]["page"] == "Home Page"


@pytest.mark.parametrize(
    "payload", ["a & b=c", "+353 1", "50% off", "Größe #4 日本", "?x=1&callback=no", "{}"]
)
def test_unencoded_messages_hold_anything(page: Page, api: Api, payload: str) -> None:
    """Section 2: what a query would divide, or decode, stays whole in an unencoded message."""
    bare = Bare(api.url, "")
    message = json.dumps(
        {"browser_id": page.browser, "type": "VIEW", "page": payload}, ensure_ascii=False
    )
    answer = bare(f"/v1.2/event/create.json?message={message}&client_key={api.client_key}")
    assert answer.status_code == 201, answer.text
    assert page.session["events"][0]["page"] == payload


def test_an_unencoded_line_may_come_in_pieces(page: Page, api: Api) -> None:
    """Section 2: a network divides long lines where it likes."""
    import socket
    from urllib.parse import urlsplit

    message = json.dumps({"browser_id": page.browser, "type": "VIEW", "page": "x y " * 500})
    line = f"GET /v1.2/events?client_key={api.client_key}&message={message} HTTP/1.1\r\n"
    parts = urlsplit(api.url)
    with socket.create_connection(
        (parts.hostname, parts.port), timeout=PATIENCE_SECONDS
    ) as connection:
        raw = (line + "Host: x\r\nConnection: close\r\n\r\n").encode()
        for start in range(0, len(raw), 500):
            connection.sendall(raw[start : start + 500])
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    assert answer.startswith(b"HTTP/1.1 201"), answer
    assert page.session["events"][0]["page"] == "x y " * 500


def test_encoded_with_plus_for_space(page: Page, api: Api, web: Api) -> None:
    """Section 2: form encoding and percent encoding mean the same."""
    message = json.dumps({"browser_id": page.browser, "type": "VIEW", "page": "a b"})
    encoded = quote(message, safe=" ").replace(" ", "+")
    answer = web.get(f"/v1.2/events?client_key={api.client_key}&message={encoded}")
    assert answer.status_code == 201, answer.text
    assert page.session["events"][0]["page"] == "a b"


# Section 4: what is wrong with an event


@pytest.mark.parametrize("name", ["browser_id", "type"])
@pytest.mark.parametrize("value", [None, "", "  ", 7, {}])
def test_event_without_what_it_needs(page: Page, name: str, value: Any) -> None:
    """Section 4 row 400: `browser_id` or `type` absent."""
    key = page.api.client_key
    answer = page.post(
        "/v1.2/events",
        json={"client_key": key, "browser_id": page.browser, "type": "VIEW"} | {name: value},
    )
    assert (answer.status_code, answer.json()) == (400, failed(400, f"{name} is required", key))


@pytest.mark.parametrize("browser", [NOBODY, "0", "x" * 1000])
def test_event_of_an_unknown_browser(api: Api, page: Page, browser: str) -> None:
    """Section 4 row 404."""
    answer = page.send("VIEW", browser_id=browser)
    assert (answer.status_code, answer.json()) == (404, unknown_browser(api.client_key))


@pytest.mark.parametrize("raw", [b"", b"[]", b"nonsense", b'{"a":1', b'"\xff"'])
def test_event_that_is_no_object(api: Api, web: Api, raw: bytes) -> None:
    """Section 9: always JSON. A body that cannot be read cannot tell a key either."""
    answer = web.post("/v1.2/events", content=raw)
    assert (answer.status_code, answer.json()["status"]) == (400, "ERROR")
    answer = web.post("/v1/events/v1.2/events?sitecoreContextId=no", content=raw)
    assert (answer.status_code, answer.json()["status"]) == (401, "ERROR")
    answer = web.get("/v1.2/events", params={"client_key": api.client_key, "message": raw})
    assert answer.status_code == 400
    assert answer.json()["error_code"] == 400
    assert answer.json()["client_key"] == api.client_key


def test_event_with_a_wrong_key(page: Page) -> None:
    """Section 4 row 401."""
    answer = page.send("VIEW", client_key="y" * 32)
    assert (answer.status_code, answer.json()) == (401, failed(401, UNAUTHORIZED, "y" * 32))


@pytest.mark.parametrize("text", ["a\x00b", "\ud800"])
def test_what_cannot_be_stored(page: Page, text: str) -> None:
    """errors.md CT-8: never 500."""
    raw = json.dumps(
        {
            "client_key": page.api.client_key,
            "browser_id": page.browser,
            "type": "VIEW",
            "ext": {"a": text},
        }
    )
    answer = page.post("/v1.2/events", content=raw)
    assert answer.status_code == 400, answer.text


def test_any_media_type(page: Page) -> None:
    """Section 2: pages send beacons as text, to spare themselves a preflight."""
    raw = json.dumps(
        {"client_key": page.api.client_key, "browser_id": page.browser, "type": "VIEW"}
    )
    for media in ("text/plain;charset=UTF-8", "application/json", None):
        headers = {"content-type": media} if media else {}
        assert page.post("/v1.2/events", content=raw, headers=headers).status_code == 201


def test_too_large(page: Page) -> None:
    """errors.md RL-4, in the body of section 9."""
    answer = page.send("VIEW", ext={"a": "x" * 1_100_000})
    assert (answer.status_code, answer.json()["error_code"]) == (413, 413)


# Section 4: JSONP


def script(answer: Any, name: str) -> dict[str, Any]:
    """What a JSONP answer hands to the function."""
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/javascript"
    assert answer.text.startswith(f"{name}(")
    assert answer.text.endswith(");")
    return json.loads(answer.text[len(name) + 1 : -2])


@pytest.mark.parametrize("name", ["cb", "$", "_a.b.c", "jQuery123_456", "a" * 128])
def test_jsonp(page: Page, api: Api, web: Api, name: str) -> None:
    """Section 4 row callback: `NAME(<JSON>);` as application/javascript, on any GET."""
    key, message = api.client_key, json.dumps({"browser_id": page.browser, "type": "VIEW"})
    browser = web.get("/v1.2/browser/create.json", params={"client_key": key, "callback": name})
    assert script(browser, name)["status"] == "OK"
    response = web.get(
        f"/v1.2/browser/{page.browser}/show.json", params={"client_key": key, "callback": name}
    )
    assert script(response, name)["customer"]["ref"] == page.guest
    answer = web.get(
        "/v1.2/event/create.json", params={"client_key": key, "message": message, "callback": name}
    )
    assert script(answer, name)["status"] == "OK"
    flows = web.get(
        "/v2/callFlows",
        params={"message": json.dumps({"clientKey": key, "friendlyId": "f"}), "callback": name},
    )
    assert script(flows, name) == {}


def test_jsonp_of_errors(api: Api, web: Api) -> None:
    """Section 4 row callback: always 200, errors too."""
    key = api.client_key
    message = json.dumps({"browser_id": NOBODY, "type": "VIEW"})
    answer = web.get(
        "/v1.2/event/create.json", params={"client_key": key, "message": message, "callback": "cb"}
    )
    assert script(answer, "cb") == unknown_browser(key)
    answer = web.get("/v1.2/browser/create.json", params={"client_key": "no", "callback": "cb"})
    assert script(answer, "cb")["error_code"] == 401
    answer = web.get("/v1.2/nothing", params={"callback": "cb"})
    assert script(answer, "cb")["error_code"] == 404


@pytest.mark.parametrize("name", ["", "1a", "a b", "a(", "a;alert(1)//", "a-b", "a" * 129, "é"])
def test_jsonp_with_a_bad_name(api: Api, web: Api, name: str) -> None:
    """Section 4 row callback: else 400 in JSON."""
    answer = web.get(
        "/v1.2/browser/create.json", params={"client_key": api.client_key, "callback": name}
    )
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["status"] == "ERROR"


def test_jsonp_is_a_script_whatever_it_holds(api: Api, web: Api) -> None:
    """Section 4 row callback: JSON's line separators are none of a script's."""
    answer = web.get(
        "/v1.2/browser/create.json", params={"client_key": "a\u2028b", "callback": "cb"}
    )
    assert "\u2028" not in answer.text
    assert script(answer, "cb")["error_code"] == 401


# Section 2, rows 6 to 11: the edge paths


@pytest.mark.parametrize("where", ["query", "header", "key"])
def test_edge_browser_and_event(api: Api, web: Api, context_id: str, where: str) -> None:
    """Section 2 rows 6 to 8 and 11, section 1: the credential is a context id."""
    context = api.client_key if where == "key" else context_id
    query = {"client_key": ""} | ({} if where == "header" else {"sitecoreContextId": context})
    headers = {"x-sitecore-contextid": context} if where == "header" else {}
    response = web.get("/v1/events/v1.2/browser/create.json", params=query, headers=headers)
    assert response.status_code == 201, response.text
    assert response.json()["client_key"] == api.client_key
    browser = response.json()["ref"]
    answer = web.post(
        "/v1/events/v1.2/events",
        params={**query, "siteId": "default"},
        headers={"X-Client-Software-ID": "events 0.6.1", **headers},
        json={"browser_id": browser, "client_key": "", "pos": "", "channel": "WEB", "type": "VIEW"},
    )
    assert answer.status_code == 201, answer.text
    record = web.get(
        f"/v1/events/v1.2/browser/{browser}/show.json",
        params={**query, "api_token": ""},
        headers=headers,
    )
    assert record.json()["customer"]["ref"] == answer.json()["customer_ref"]


def test_an_unknown_context(web: Api) -> None:
    """Section 1: a context id that stands for nothing."""
    answer = web.get("/v1/events/v1.2/browser/create.json?sitecoreContextId=nope&client_key=")
    assert (answer.status_code, answer.json()["error_code"]) == (401, 401)


def test_i13_an_alias_is_a_client_key_on_the_direct_paths_too(web: Api, context_id: str) -> None:
    """Section 6: cookies are named after the client key, so a website has to keep its own."""
    answer = web.get("/v1.2/browser/create.json", params={"client_key": context_id})
    assert answer.status_code == 201


def test_an_alias_ends_at_once(site: Site, api: Api, web: Api) -> None:
    """Section 1: aliases are configuration, effective at once."""
    site.control(lambda work: keys.set_alias(work, "ctx-short", api.client_key))
    path = "/v1/events/v1.2/browser/create.json?sitecoreContextId=ctx-short"
    assert web.get(path).status_code == 201
    site.control(lambda work: keys.delete_alias(work, "ctx-short"))
    assert any(web.get(path).status_code == 401 for _ in range(50))


# Section 7: callFlows, and rows 5, 9, 10, 12 of section 2

FLOW = {"channel": "WEB", "friendlyId": "f", "browserId": NOBODY, "pointOfSale": "default"}


def test_call_flows(api: Api, web: Api) -> None:
    """Section 2 row 5, section 7: the empty decision, in the wire format."""
    answer = web.post("/v2/callFlows", json={**FLOW, "clientKey": api.client_key})
    assert (answer.status_code, answer.json()) == (200, {})


@pytest.mark.parametrize(
    "who",
    [{"browserId": NOBODY}, {"email": "a@b.co"}, {"identifiers": {"id": "1", "provider": "crm"}}],
)
def test_call_flows_for_anybody(api: Api, web: Api, who: dict[str, Any]) -> None:
    """Section 7: `identifiers` is one object; none of the three is looked up."""
    body = {"clientKey": api.client_key, "friendlyId": "f", "params": {"a": {"b": 1}}, **who}
    assert web.post("/v2/callFlows", json=body).json() == {}


def test_call_flows_leave_no_trace(api: Api) -> None:
    """Section 7 row side effect: no flow runs here, so no TRACKING event and no session is made."""
    page = Page(api)
    page("VIEW")
    for who in ({"browserId": page.browser}, {"email": "jane@example.com"}):
        body = {"clientKey": api.client_key, "friendlyId": "f", **who}
        assert page.post("/v2/callFlows", json=body).status_code == 200
    assert types(page.session) == ["VIEW"]
    assert api.get("/v2.1/guests").json()["totalCount"] == 1


def test_no_cookie_is_set(api: Api, web: Api, context_id: str) -> None:
    """Section 6: clients write their own; the API sets none."""
    page = Page(api)
    key = {"client_key": api.client_key}
    answers = [
        page.get("/v1.2/browser/create.json", {**key, "message": "{}"}),
        page.get(f"/v1.2/browser/{page.browser}/show.json", key),
        page.send("VIEW"),
        web.post("/v2/callFlows", json={**FLOW, "clientKey": api.client_key}),
        web.get("/v1/events/v1.2/browser/create.json", params={"sitecoreContextId": context_id}),
    ]
    assert [answer.is_success for answer in answers] == [True] * 5
    assert [answer.headers.get("set-cookie") for answer in answers] == [None] * 5


def test_call_flows_failures(api: Api, web: Api) -> None:
    """Section 7 row failure body."""
    answer = web.post("/v2/callFlows", json={"clientKey": api.client_key})
    assert answer.status_code == 400
    assert answer.json() == {
        "status": 400,
        "code": 400,
        "message": "friendlyId: may not be null.",
        "developerMessage": "friendlyId: may not be null.",
        "moreInfoUrl": MORE,
    }
    answer = web.post("/v2/callFlows", json=FLOW)
    assert answer.status_code == 401
    assert set(answer.json()) == {"status", "code", "message", "developerMessage", "moreInfoUrl"}


def test_call_flows_is_no_rest_resource(api: Api) -> None:
    """Section 7: the same path beside REST v2, in whatever case; nothing else of v2 moved."""
    assert api.post("/v2/callflows", json={**FLOW, "clientKey": api.client_key}).json() == {}
    assert api.get("/v2/guests").status_code == 200


def test_personalize_at_the_edge(api: Api, web: Api, context_id: str) -> None:
    """Section 2 rows 9 and 11: context id in the query or in a header."""
    body = {**FLOW, "clientKey": "", "pointOfSale": "", "variants": ["a"], "guestRef": NOBODY}
    for query, more in (
        ({"sitecoreContextId": context_id, "siteId": "x"}, {}),
        ({"siteId": "x"}, {"x-sitecore-contextid": context_id}),
    ):
        headers = {"x-sc-correlation-id": "0" * 32, **more}
        answer = web.post("/v1/personalize", params=query, headers=headers, json=body)
        assert (answer.status_code, answer.json()) == (200, {})


def test_web_personalization(api: Api, web: Api, context_id: str) -> None:
    """Section 2 rows 10 and 12: plain text with the address of a script that does nothing."""
    response = web.get(
        "/v1/personalize/cdn-url", params={"sitecoreContextId": context_id, "client_key": ""}
    )
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/plain")
    assert response.text == f"{api.url}/web-flow-libs/{api.client_key}/web-version.min.js"
    script = web.get(response.text)
    assert script.status_code == 200
    assert script.headers["content-type"] == "application/javascript"
    assert web.get("/v1/personalize/cdn-url").status_code == 401


# Section 2: CORS

REQUEST_HEADERS = (
    "content-type",
    "x-library-version",
    "x-client-software-id",
    "x-sc-correlation-id",
    "x-sitecore-contextid",
)


@pytest.mark.parametrize(
    "path",
    [
        "/v1.2/events",
        "/v1.2/browser/create.json",
        "/v1.2/event/create.json",
        "/v2/callFlows",
        "/v1/events/v1.2/events",
        "/v1/personalize",
        "/v1/personalize/cdn-url",
    ],
)
def test_preflight(web: Api, path: str) -> None:
    """Section 2, last paragraph: every header that the clients send, without credentials."""
    answer = web.options(
        path,
        headers={
            "Origin": "https://shop.example",
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": ", ".join(REQUEST_HEADERS),
        },
    )
    assert answer.status_code == 204
    assert answer.headers["access-control-allow-origin"] == "*"
    allowed = answer.headers["access-control-allow-headers"].lower().replace(" ", "").split(",")
    assert set(REQUEST_HEADERS) <= set(allowed)


def test_answers_may_be_read_from_anywhere(page: Page) -> None:
    """Section 1: called cross-origin; errors too."""
    for type_ in ("VIEW", ""):
        answer = page.post(
            "/v1.2/events",
            json={"client_key": page.api.client_key, "browser_id": page.browser, "type": type_},
            headers={"Origin": "https://shop.example", "X-Library-Version": "1.4.3"},
        )
        assert answer.headers["access-control-allow-origin"] == "*"
        assert "set-cookie" not in answer.headers  # section 6


# Methods and paths


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("PUT", "/v1.2/events", 405),
        ("POST", "/v1.2/browser/create.json", 405),
        ("DELETE", "/v1/events/v1.2/events", 405),
        ("GET", "/v1.2/nothing", 404),
        ("GET", "/v1/events/v2/guests", 404),
    ],
)
def test_errors_of_paths(web: Api, method: str, path: str, status: int) -> None:
    """Section 9: always JSON, in the body of the family."""
    answer = web.request(method, path)
    assert answer.status_code == status
    assert answer.json()["status"] == "ERROR"
    assert answer.json()["error_code"] == status


def test_errors_of_flow_paths(web: Api) -> None:
    """Section 7 row failure body."""
    for method, path, status in (("PUT", "/v2/callFlows", 405), ("GET", "/v1/personalize/x", 404)):
        answer = web.request(method, path)
        assert (answer.status_code, answer.json()["code"]) == (status, status)


def test_options_and_head(page: Page, web: Api) -> None:
    assert web.options("/v1.2/events").headers["allow"] == "GET, POST, HEAD, OPTIONS"
    key = page.api.client_key
    head = web.head(f"/v1.2/browser/{page.browser}/show.json", params={"client_key": key})
    assert head.status_code == 200


def test_paths_in_any_case_and_with_a_doubled_slash(page: Page, web: Api) -> None:
    """Section 8: base URLs that end in a slash."""
    body = {"client_key": page.api.client_key, "browser_id": page.browser, "type": "VIEW"}
    for path in ("/V1.2/Events", "//v1.2//events/", "/v1.2/events/"):
        assert page.post(page.api.url + path, json=body).status_code == 201, path
