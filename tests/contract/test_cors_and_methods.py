"""Methods and paths: 405, HEAD, OPTIONS, CORS, spellings of a path; the pages beside the API."""

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from calling import NOBODY, Api, Bare, problem, run_server
from openapi_spec_validator import validate
from profiles import each_day
from sites import Site

from innkeeper.actions.admin import background
from innkeeper.settings import Settings
from innkeeper.web.app import create_app
from innkeeper.web.observability import RequestTimes

GUEST = f"/v2.1/guests/{NOBODY}"
ALLOWED = {
    "/v2.1/guests": "GET, POST, HEAD, OPTIONS",
    GUEST: "DELETE, GET, PATCH, PUT, HEAD, OPTIONS",
    f"{GUEST}/extensions": "GET, POST, HEAD, OPTIONS",
    f"{GUEST}/extensions/ext": "DELETE, GET, PATCH, PUT, HEAD, OPTIONS",
    f"{GUEST}/extensions/ext/fields": "DELETE, OPTIONS",
}
SHOP = "https://shop.example"


def words(header: str) -> set[str]:
    return {word.strip() for word in header.split(",")}


# Methods


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "PROPFIND"])
@pytest.mark.parametrize("path", ALLOWED)
def test_a_method_that_is_not_there_is_405(bare: Bare, method: str, path: str) -> None:
    """ER-4, errors.md 1: with Allow, before the body is looked at."""
    if method in words(ALLOWED[path]):
        return
    answer = bare(path, method, body=b"{")
    assert (answer.status_code, answer.headers["allow"]) == (405, ALLOWED[path])
    expected = problem(
        405,
        f"Method {method} is not allowed on this resource.",
        f"Allowed methods: {ALLOWED[path]}.",
    )
    assert answer.json() == expected


@pytest.mark.parametrize("path", ALLOWED)
def test_options_lists_the_methods(api: Api, path: str) -> None:
    answer = api.options(path)
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["allow"] == ALLOWED[path]


def test_options_of_an_unknown_path_is_404(api: Api) -> None:
    assert api.options("/v2.1/nothing").status_code == 404


def test_head_is_get_without_a_body(api: Api) -> None:
    guest = api.guest()
    api.extension(guest, name="ext", a=1)
    for path in ("/v2.1/guests", guest["href"], f"{guest['href']}/extensions/ext", GUEST):
        response, head = api.get(path), api.head(path)
        assert (head.status_code, head.content) == (response.status_code, b"")
        for name in ("content-type", "content-length"):
            assert head.headers[name] == response.headers[name]


def test_a_method_in_small_letters_is_no_method(bare: Bare) -> None:
    """HTTP's methods have a case."""
    answer = bare("/v2.1/guests", "get")
    assert answer.status_code in (400, 405)
    assert answer.headers["content-type"] == "application/json"


# Spellings of a path


@pytest.mark.parametrize(
    "path", ["/v2.1/guests/", "/v2.1/GUESTS", "/v2.1/Guests/", "/2.1/guests", "/2.1/gueSTS/"]
)
def test_a_path_in_other_spellings(api: Api, path: str) -> None:
    """C-7: segments in any case, a slash at the end, `/2.1/` of one client; links are canonical."""
    guest = api.guest()
    answer = api.get(path)
    assert answer.status_code == 200
    assert answer.json()["href"] == f"{api.url}/v2.1/guests?offset=0&limit=10"
    assert answer.json()["items"] == [guest]
    response = api.post(path, json={"guestType": "visitor"})
    assert response.headers["location"] == f"{api.url}/v2.1/guests/{response.json()['ref']}"


@pytest.mark.parametrize(
    ("doubled", "path"),
    [
        ("//v2.1/guests", "/v2.1/guests"),
        ("///v2.1//guests/", "/v2.1/guests"),
        ("//2.1//guests", "/v2.1/guests"),
        ("//v2/orders", "/v2/orders"),
        ("//v2//tenants//points-of-sale", None),
        ("/v2//tenants/points-of-sale", "/v2/tenants/points-of-sale"),
        ("//v4/segmentDefinitions", "/v4/segmentDefinitions"),
        ("//innkeeper/v1/segments", "/innkeeper/v1/segments"),
        ("//innkeeper//v1//segments", "/innkeeper/v1/segments"),
    ],
)
def test_f14_a_base_url_that_ends_in_a_slash(api: Api, doubled: str, path: str | None) -> None:
    """F14: `//v2.1/guests` is `/v2.1/guests`, in every dialect; links are canonical."""
    answer = api.get(api.url + doubled)
    if path is None:
        # What follows the base keeps its slashes.
        assert answer.status_code == 404
        return
    expected = api.get(path)
    assert (answer.status_code, answer.text) == (expected.status_code, expected.text)
    assert answer.status_code != 404


@pytest.mark.parametrize("path", ["//healthz", "//openapi.json", "//docs", "//login", "///login"])
def test_f14_pages_beside_the_api(anonymous: Api, path: str) -> None:
    """F14: screens and pages for machines likewise."""
    assert anonymous.get(anonymous.url + path).status_code == 200


@pytest.mark.parametrize("path", ["//w/live/guests", "//w/live/"])
def test_f14_a_screen_redirects_to_the_login_and_back(anonymous: Api, path: str) -> None:
    """F14: never to another host."""
    answer = anonymous.get(anonymous.url + path)
    expected = path[1:].replace("/", "%2F")
    assert (answer.status_code, answer.headers["location"]) == (303, f"/login?next={expected}")


@pytest.mark.parametrize("path", ["//oauth/token", "//v2/oauth/token", "/v2//oauth/token"])
def test_f14_tokens(anonymous: Api, path: str) -> None:
    answer = anonymous.post(anonymous.url + path, data={"grant_type": "password"})
    assert (answer.status_code, answer.json()) == (400, {"error": "unsupported_grant_type"})


def test_f14_an_empty_name_addresses_nothing_else(api: Api) -> None:
    """F14: a client whose variable was empty must not delete what happens to follow."""
    guest = api.guest()
    extension = api.extension(guest, name="fields", a=1)
    assert api.delete(f"{guest['href']}/extensions//fields").status_code == 404
    assert api.get(f"{guest['href']}/extensions/fields").json() == extension


@pytest.mark.parametrize("tail", ["/Extensions/ext/", "/EXTENSIONS/ext", "/extensions/ext//"])
def test_a_path_below_a_guest_in_other_spellings(api: Api, tail: str) -> None:
    """C-7: one slash at the end, not two."""
    guest = api.guest()
    extension = api.extension(guest, name="ext", a=1)
    answer = api.get(guest["href"] + tail)
    assert answer.status_code == (404 if tail.endswith("//") else 200)
    if answer.status_code == 200:
        assert answer.json() == extension
        assert api.delete(guest["href"] + tail.rstrip("/") + "/Fields/").status_code == 200


def test_a_segment_may_be_escaped(bare: Bare) -> None:
    """C-7: `%67` is a g."""
    assert bare("/v2.1/%67uests").status_code == 200
    assert bare("/v2%2E1/guests").status_code == 200


# CORS


def test_a_browser_may_ask_before_it_calls(anonymous: Api) -> None:
    """AU-5: the preflight tells methods and headers."""
    payload = {
        "Origin": SHOP,
        "Access-Control-Request-Method": "PATCH",
        "Access-Control-Request-Headers": "authorization, content-type, idempotency-key",
    }
    answer = anonymous.options(GUEST, headers=payload)
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["access-control-allow-origin"] == "*"
    assert words(answer.headers["access-control-allow-methods"]) >= {
        "GET",
        "PUT",
        "PATCH",
        "DELETE",
    }
    allowed = {word.lower() for word in words(answer.headers["access-control-allow-headers"])}
    assert allowed >= {"authorization", "content-type", "idempotency-key", "x-correlation-id"}
    assert int(answer.headers["access-control-max-age"]) > 0
    assert "access-control-allow-credentials" not in answer.headers


TRACING = ("baggage", "traceparent", "sentry-trace", "x-datadog-trace-id", "B3", "x!#$%&'*+.^_`|~")


@pytest.mark.parametrize("path", [GUEST, "/v2/orders", "/innkeeper/v1/segments", "/v1.2/events"])
def test_f11_tracing_headers_are_allowed(anonymous: Api, path: str) -> None:
    """F11: a preflight is answered with the names it asks for, whatever adds them."""
    payload = {
        "Origin": SHOP,
        "Access-Control-Request-Method": "GET",
        "Access-Control-Request-Headers": ",".join(TRACING),
    }
    answer = anonymous.options(path, headers=payload)
    assert answer.status_code == 204
    assert words(answer.headers["access-control-allow-headers"]) >= set(TRACING)
    assert answer.headers["vary"] == "access-control-request-headers"


def test_f11_what_is_no_name_of_a_header_is_left_out(bare: Bare) -> None:
    """F11, RFC 9110 5.1: a name is a token."""
    answer = bare(
        GUEST,
        "OPTIONS",
        {
            "Origin": SHOP,
            "Access-Control-Request-Method": "GET",
            "Access-Control-Request-Headers": b"ok, a b, c:d, , \xe9, (e), <f>",
        },
    )
    allowed = words(answer.headers["access-control-allow-headers"])
    assert "ok" in allowed
    assert not allowed & {"a b", "c:d", "", "\xe9", "(e)", "<f>"}


def test_a_browser_may_read_every_answer(api: Api, anonymous: Api) -> None:
    """Errors too, or a page could not tell why it failed."""
    for caller, path in ((api, "/v2.1/guests"), (api, GUEST), (anonymous, "/v2.1/guests")):
        answer = caller.get(path, headers={"Origin": SHOP})
        assert answer.headers["access-control-allow-origin"] == "*"
        exposed = {word.lower() for word in words(answer.headers["access-control-expose-headers"])}
        assert {"location", "x-correlation-id", "idempotent-replayed", "retry-after"} <= exposed
    assert "access-control-allow-origin" not in api.get("/v2.1/guests").headers


def test_origins_can_be_listed(dsn: str) -> None:
    settings = Settings(database=dsn, log_level="error", cors_origins=f"{SHOP}, https://b.example")
    payload = {"Access-Control-Request-Method": "GET"}
    with run_server(create_app(settings)) as url, Api(url) as anyone:
        for origin in (SHOP, "https://b.example"):
            answer = anyone.options("/v2.1/guests", headers={**payload, "Origin": origin})
            assert answer.headers["access-control-allow-origin"] == origin
            assert "origin" in answer.headers["vary"]
        for origin in ("https://evil.example", f"{SHOP}.evil.example", "null"):
            answer = anyone.options("/v2.1/guests", headers={**payload, "Origin": origin})
            assert "access-control-allow-origin" not in answer.headers


def test_cors_can_be_off(dsn: str) -> None:
    settings = Settings(database=dsn, log_level="error", cors_origins="")
    with run_server(create_app(settings)) as url, Api(url) as anyone:
        answer = anyone.get("/v2.1/guests", headers={"Origin": SHOP})
        assert "access-control-allow-origin" not in answer.headers


# Answers carry


def test_answers_are_not_cached_nor_guessed(api: Api, anonymous: Api) -> None:
    """They are personal data."""
    for caller in (api, anonymous):
        answer = caller.get("/v2.1/guests")
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "server" not in answer.headers


# Beside the API


@pytest.mark.parametrize("compatibility", each_day(("open", "official"), "open"))
def test_the_description_is_valid(anonymous: Api, compatibility: str) -> None:
    """F18: OpenAPI 3.1, by an independent validator."""
    answer = anonymous.get(f"/openapi.json?compatibility={compatibility}")
    assert answer.headers["content-type"] == "application/json"
    document: dict[str, Any] = answer.json()
    assert document["openapi"].startswith("3.1")
    validate(document)
    for path, methods in {
        "/v2.1/guests": {"get", "post"},
        "/v2.1/guests/{guestRef}": {"get", "put", "patch", "delete"},
        "/v2.1/guests/{guestRef}/extensions": {"get", "post"},
        "/v2.1/guests/{guestRef}/extensions/{dataExtensionName}": {"get", "put", "patch", "delete"},
        "/v2.1/guests/{guestRef}/extensions/{dataExtensionName}/fields": {"delete"},
    }.items():
        assert set(document["paths"][path]) == methods
    deleted = document["paths"]["/v2.1/guests/{guestRef}"]["delete"]["responses"]
    assert {"204", "200"} & set(deleted) == ({"204"} if compatibility == "open" else {"200"})


def test_an_unknown_compatibility_is_described_as_open(anonymous: Api) -> None:
    plain = anonymous.get("/openapi.json").json()
    assert anonymous.get("/openapi.json?compatibility=other").json() == plain


def test_the_reference_works_offline(anonymous: Api) -> None:
    """It shows declared members of requests and responses. Nothing is fetched from elsewhere."""
    page = anonymous.get("/docs")
    assert "array of IdentityRuleRequest" in page.text
    assert "Shown once, when a webhook is set." in page.text
    assert page.headers["content-type"].startswith("text/html")
    assert "/v2.1/guests/GUESTREF/extensions" in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]
    for outside in ('src="http', 'href="http', "@import", "//cdn"):
        assert outside not in page.text
    for example in ("curl -X POST", "httpx.request(", "await fetch("):
        assert page.text.count(example) > 100 or example.startswith("curl")
    assert '<section id="guest-v2-1">' in page.text
    assert '<a href="#guest-v2-1">Guest<span>6</span></a>' in page.text
    assert ' data-method="POST" data-path="/v2.1/guests" data-body="{' in page.text
    files = re.findall(r'="(/ui/static/[^"]+)"', page.text)
    response = [anonymous.get(path) for path in files]
    kinds = [each.headers["content-type"].partition(";")[0] for each in response]
    assert kinds == ["text/css"] * 2 + ["text/javascript"] * 2
    assert {each.status_code for each in response} == {200}


def test_health(anonymous: Api) -> None:
    assert anonymous.get("/healthz").json() == {"status": "ok"}
    assert anonymous.get("/readyz").json() == {"status": "ready"}
    assert anonymous.head("/healthz").status_code == 200


def test_metrics_count_requests_by_route(api: Api, anonymous: Api) -> None:
    """By its template, never with a ref in it."""
    guest = api.guest()
    api.get(guest["href"])
    text = anonymous.get("/metrics").text
    assert guest["ref"] not in text
    assert (
        'innkeeper_request_seconds_count{method="POST",route="/v2.1/guests",status="201"}' in text
    )


def test_metrics_are_histograms_of_seconds() -> None:
    times = RequestTimes()
    for seconds in (0.0005, 0.001, 0.3, 11.0):
        times.observe("GET", "/v2.1/guests", 200, seconds)
    times.observe("BREW", "/coffee", 418, 0.2)
    times.observe("BOIL", "/coffee", 418, 0.2)
    (family,) = times.collect()
    samples = {(each.name[25:], *each.labels.values()): each.value for each in family.samples}
    labels = ("GET", "/v2.1/guests", "200")
    assert samples["_bucket", *labels, "0.001"] == samples["_bucket", *labels, "0.25"] == 2
    assert samples["_bucket", *labels, "0.5"] == samples["_bucket", *labels, "10.0"] == 3
    assert samples["_bucket", *labels, "+Inf"] == samples["_count", *labels] == 4
    assert samples["_sum", *labels] == pytest.approx(11.3015)
    assert samples["_count", "other", "/coffee", "418"] == 2


def test_metrics_count_jobs(site: Site, anonymous: Api) -> None:
    """One whose time has not come does not wait yet."""
    with psycopg.connect(site.dsn, autocommit=True) as connection:
        # Those of other tests, whose time may come while this one counts.
        connection.execute("DELETE FROM jobs.procrastinate_jobs WHERE status = 'todo'")

    def due() -> float:
        text = anonymous.get("/metrics").text
        match = re.search(r'^innkeeper_jobs\{status="due"\} (\S+)$', text, re.MULTILINE)
        assert match is not None
        return float(match[1])

    before = due()
    later = datetime.now(UTC) + timedelta(days=1)
    site.control(lambda work: background.defer(work, "lake.compact"))
    site.control(lambda work: background.defer(work, "lake.compact", at=later))
    assert due() == before + 1


def test_names_of_operations_are_unique(anonymous: Api) -> None:
    paths = anonymous.get("/openapi.json").json()["paths"]
    names = [operation["operationId"] for item in paths.values() for operation in item.values()]
    assert len(names) == len(set(names))
    assert json.dumps(names).isascii()
