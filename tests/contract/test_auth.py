"""Who may call: Basic credentials, tenants, revocation (errors.md 3)."""

import base64
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from calling import NOBODY, Api, Bare, no_guest, problem, run_server
from sites import Site
from waiting import until

from innkeeper.actions.admin import keys
from innkeeper.web.app import create_app

REFUSED = problem(
    401,
    "Authentication credentials are required to access the resource. "
    "All requests must be authenticated.",
)
UNKNOWN_KEY = "A" * 32


def basic(text: str | bytes) -> str:
    raw = text if isinstance(text, bytes) else text.encode()
    return "Basic " + base64.b64encode(raw).decode()


@pytest.fixture
def twin(site: Site) -> Iterator[str]:
    """The URL of a second server on the same database."""
    with run_server(create_app(site.settings)) as url:
        yield url


def test_client_key_and_token_are_user_and_password(api: Api) -> None:
    """AU-1, AU-2, C-3: on every request; plain HTTP is fine on loopback."""
    assert api.url.startswith("http://127.0.0.1:")
    for _ in range(2):
        answer = api.get("/v2.1/guests")
        assert answer.status_code == 200
        assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Basic",
        "Basic ",
        "Basic !!!",
        "Basic =",
        "Bearer KEY:TOKEN",
        "Bearer eyJhbGciOiJub25lIn0.e30.",
        "KEY:TOKEN",
        basic(""),
        basic(":"),
        basic("KEY"),
        basic("KEY:"),
        basic("KEY:wrong"),
        basic("KEY:TOKENx"),
        basic(f"{UNKNOWN_KEY}:TOKEN"),
        basic("TOKEN:KEY"),
        basic(" KEY:TOKEN"),
        basic("KEY:TOKEN\n"),
        basic("KEY\x00:TOKEN"),
        basic("ключ:TOKEN"),
        basic(b"\xff\xfe:\xff"),
        basic("KEY:" + "x" * 20_000),
        "Basic \u00e9".encode("latin-1").decode("latin-1"),
        "Digest username=KEY",
    ],
)
def test_bad_credentials_are_all_refused_alike(api: Api, bare: Bare, header: str | None) -> None:
    """AU-4, N-26, EU-2, AU-6, AU-7: one 401, with a text status and no developer message."""
    if header is not None and header.startswith("Basic ") and len(header) > 12:
        try:
            text = base64.b64decode(header[6:]).replace(b"KEY", api.client_key.encode())
            header = basic(text.replace(b"TOKEN", api.token.encode()))
        except ValueError:
            pass
    headers = {"Authorization": "" if header is None else header}
    answer = bare("/v2.1/guests", headers=headers)
    assert (answer.status_code, answer.json()) == (401, REFUSED)
    assert answer.headers["www-authenticate"] == 'Basic realm="cdp"'
    assert answer.headers["content-type"] == "application/json"


def test_no_header_at_all_is_refused(anonymous: Api) -> None:
    """AU-4."""
    answer = anonymous.get("/v2.1/guests")
    assert (answer.status_code, answer.json()) == (401, REFUSED)


@pytest.mark.parametrize("scheme", ["basic", "BASIC", "Basic  "])
def test_the_scheme_has_no_case(api: Api, bare: Bare, scheme: str) -> None:
    """AU-1: as RFC 9110 has it."""
    encoded = basic(f"{api.client_key}:{api.token}").removeprefix("Basic ")
    assert bare("/v2.1/guests", headers={"Authorization": f"{scheme} {encoded}"}).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/v2.1/guests", b""),
        ("GET", f"/v2.1/guests/{NOBODY}", b""),
        ("GET", "/v2.1/guests/not-a-ref", b""),
        ("GET", "/v2.1/nothing", b""),
        ("GET", "/v2.1/guests?limit=0", b""),
        ("DELETE", "/v2.1/guests", b""),
        ("OPTIONS", "/v2.1/guests", b""),
        ("HEAD", "/v2.1/guests", b""),
        ("POST", "/v2.1/guests", b"{"),
        ("POST", "/v2.1/guests", b"x" * (1 << 21)),
        ("PUT", f"/v2.1/guests/{NOBODY}/extensions/ext", b"[]"),
        ("DELETE", f"/v2.1/guests/{NOBODY}/extensions/ext/fields", b""),
    ],
)
def test_authentication_comes_first(anonymous: Api, method: str, path: str, body: bytes) -> None:
    """AU-5: before routing details, parsing and existence."""
    answer = anonymous.request(method, path, content=body)
    assert answer.status_code == 401
    if method != "HEAD":
        assert answer.json() == REFUSED


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics", "/openapi.json", "/docs"])
def test_health_and_description_need_no_credentials(anonymous: Api, path: str) -> None:
    """AU-5."""
    assert anonymous.get(path).status_code == 200


def test_preflight_needs_no_credentials(anonymous: Api) -> None:
    """AU-5: a browser never sends them there."""
    headers = {"Origin": "https://shop.example", "Access-Control-Request-Method": "POST"}
    answer = anonymous.options("/v2.1/guests", headers=headers)
    assert answer.status_code == 204


# Tenants


@pytest.mark.parametrize(
    ("method", "suffix", "body"),
    [
        ("GET", "", None),
        ("PUT", "", {"firstName": "Eve"}),
        ("PATCH", "", {"firstName": "Eve"}),
        ("DELETE", "", None),
        ("GET", "/extensions", None),
        ("POST", "/extensions", {"name": "ext1", "a": 1}),
        ("GET", "/extensions/ext", None),
        ("PUT", "/extensions/ext", {"a": 2}),
        ("PATCH", "/extensions/ext", {"a": 2}),
        ("DELETE", "/extensions/ext", None),
        ("DELETE", "/extensions/ext/fields", None),
    ],
)
def test_refs_of_another_tenant_are_404(
    api: Api, stranger: Api, method: str, suffix: str, body: dict[str, object] | None
) -> None:
    """AU-3: exactly as if they did not exist, and nothing happens to them."""
    guest = api.guest(firstName="Jane")
    extension = api.extension(guest, name="ext", a=1)
    answer = stranger.request(method, f"/v2.1/guests/{guest['ref']}{suffix}", json=body)
    assert (answer.status_code, answer.json()) == (404, no_guest(stranger, guest["ref"]))
    assert api.get(guest["href"]).json() == guest
    assert api.get(guest["dataExtensions"]["href"]).json() == [extension]


def test_two_keys_of_one_tenant_see_one_set_of_guests(api: Api, official: Api) -> None:
    """AU-3: the client key selects the tenant; compatibility is the key's alone."""
    guest = api.guest()
    assert official.get(guest["href"]).status_code == 200


# Revoked and rotated keys


def until_refused(api: Api) -> None:
    """The news travels while the command returns; from then on the key is refused."""
    until("the key to be refused", lambda: api.get("/v2.1/guests").status_code == 401)


def test_a_revoked_key_ends_at_once_in_every_process(site: Site, twin: str) -> None:
    """AU-4: also where it was used a moment before."""
    key = site.key()
    with (
        Api(site.url, key.client_key, key.api_token) as here,
        Api(twin, key.client_key, key.api_token) as there,
    ):
        for caller in (here, there, here, there):
            assert caller.get("/v2.1/guests").status_code == 200
        site.control(lambda work: keys.revoke(work, key.client_key))
        for caller in (here, there):
            until_refused(caller)
            assert [caller.get("/v2.1/guests").status_code for _ in range(5)] == [401] * 5


def test_a_rotated_token_replaces_the_old_one_at_once(site: Site, twin: str) -> None:
    """AU-4: the client key stays."""
    old = site.key(compatibility="official")
    with (
        Api(site.url, old.client_key, old.api_token) as here,
        Api(twin, old.client_key, old.api_token) as there,
    ):
        guest = here.guest()
        assert there.get(f"/v2.1/guests/{guest['ref']}").status_code == 200
        new = site.control(lambda work: keys.rotate(work, old.client_key))
        assert new.client_key == old.client_key
        until_refused(here)
        until_refused(there)
        login = (new.client_key, new.api_token)
        with Api(twin, *login, compatibility="official") as again:
            assert again.delete(f"/v2.1/guests/{guest['ref']}").content == b"null"


def test_the_last_use_of_a_key_is_noted(site: Site) -> None:
    key = site.key()

    def last_used() -> object:
        rows = site.control(keys.list_all)
        return next(row["last_used_at"] for row in rows if row["client_key"] == key.client_key)

    assert last_used() is None
    with Api(site.url, key.client_key, "wrong") as thief:
        assert thief.get("/v2.1/guests").status_code == 401
    assert last_used() is None
    with Api(site.url, key.client_key, key.api_token) as api:
        assert api.get("/v2.1/guests").status_code == 200
    assert last_used() is not None


def test_wrong_tokens_do_not_shut_out_the_right_one(site: Site) -> None:
    """AU-4: the client key is public, so anyone can try."""
    key = site.key()
    with ThreadPoolExecutor(4) as pool:

        def attempt(number: int) -> int:
            token = key.api_token if number % 4 == 0 else f"guess-{number}"
            with Api(site.url, key.client_key, token) as api:
                return api.get("/v2.1/guests").status_code

        statuses = list(pool.map(attempt, range(40)))
    assert statuses == [200 if number % 4 == 0 else 401 for number in range(40)]
