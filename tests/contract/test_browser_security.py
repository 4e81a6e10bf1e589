"""S9: what protects people's browsers, on every kind of response."""

from collections.abc import Iterator
from dataclasses import replace
from uuid import uuid4

import httpx
import pytest
from calling import Api, body_of, run_server
from logging_in import Visitor, invited
from sites import Site

from innkeeper.web.app import create_app

PATHS = (
    "/login",
    "/w/live/",
    "/docs",
    "/openapi.json",
    "/healthz",
    "/metrics",
    "/favicon.ico",
    "/no/such/path",
    "/v2.1/guests",
    "/v1.2/browser/create.json?client_key=none",
    "/files/live/6b2f8f4e-9f3c-4b62-8a6e-1f5f0a6f3c11/log.gz",
)
HOST = {"host": "evil.example"}


@pytest.fixture
def visitor(site: Site) -> Iterator[Visitor]:
    with Visitor(site.url) as browser:
        yield browser


@pytest.fixture
def behind_https(site: Site) -> Iterator[str]:
    """A server whose public address is https; a proxy in front would speak plain HTTP to it."""
    settings = replace(site.settings, public_url="https://cdp.example.com/")
    with run_server(create_app(settings)) as url:
        yield url


@pytest.mark.parametrize("path", PATHS)
def test_s9_every_response_has_the_security_headers(visitor: Visitor, path: str) -> None:
    answer = visitor.get(path)
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["cross-origin-opener-policy"] == "same-origin"
    assert "camera=()" in answer.headers["permissions-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "strict-transport-security" not in answer.headers
    for name in ("content-security-policy", "x-content-type-options"):
        assert len(answer.headers.get_list(name)) == 1


@pytest.mark.parametrize("path", PATHS)
def test_s9_https_is_remembered_where_the_public_address_is_https(
    behind_https: str, path: str
) -> None:
    with Visitor(behind_https) as browser:
        answer = browser.get(path)
    assert answer.headers["strict-transport-security"] == "max-age=31536000"


def test_s9_cookies_are_for_this_host_over_https_alone(behind_https: str, site: Site) -> None:
    email = f"{uuid4().hex}@example.com"
    with Visitor(behind_https) as browser:
        assert browser.follow(invited(site, email)).status_code == 303
        page = browser.get("/w/live/")
        assert page.status_code == 200
        assert "__Host-innkeeper_login" in browser.kept
        assert all(name.startswith("__Host-") for name in browser.kept)
        for marks in browser.marks.values():
            assert "; secure" in marks
            assert "; path=/" in marks
            assert "domain" not in marks
        payload = {"csrf": page.text.split('name="csrf" value="')[1].split('"')[0]}
        assert browser.post("/logout", data=payload).status_code == 303
        assert "__Host-innkeeper_login" not in browser.kept


def test_s9_cookies_over_plain_http_have_plain_names(visitor: Visitor, site: Site) -> None:
    visitor.follow(invited(site, f"{uuid4().hex}@example.com"))
    assert "innkeeper_login" in visitor.kept
    assert all("; secure" not in marks for marks in visitor.marks.values())


def test_s9_an_invitation_never_leads_where_the_host_header_says(
    visitor: Visitor, site: Site
) -> None:
    """Its link begins with the address that we listen on, or with `public_url`."""
    visitor.follow(invited(site, f"{uuid4().hex}@example.com"))
    report = visitor.form("/w/live/settings/users")
    report |= {
        "action": "invite",
        "email": f"{uuid4().hex}@example.com",
        "role": "analyst",
        "every": "yes",
    }
    page = visitor.post("/w/live/settings/users", data=report, headers=HOST)
    assert page.status_code == 200
    assert f"{site.url}/login?link=" in page.text
    assert "evil.example" not in page.text


def test_s9_an_invitation_begins_with_the_public_address(behind_https: str, site: Site) -> None:
    with Visitor(behind_https) as browser:
        browser.follow(invited(site, f"{uuid4().hex}@example.com"))
        report = browser.form("/w/live/settings/users")
        report |= {
            "action": "invite",
            "email": f"{uuid4().hex}@example.com",
            "role": "analyst",
            "every": "yes",
        }
        page = browser.post("/w/live/settings/users", data=report, headers=HOST)
    assert "https://cdp.example.com/login?link=" in page.text
    assert "evil.example" not in page.text


@pytest.mark.parametrize("csrf", ["\u00e9", "\u202e", "\U0001f600" * 40, ""])
def test_s9_a_csrf_that_is_not_ascii_is_403(visitor: Visitor, site: Site, csrf: str) -> None:
    visitor.get("/login")
    assert visitor.post("/login", data={"csrf": csrf, "email": "a@b.c"}).status_code == 403
    visitor.follow(invited(site, f"{uuid4().hex}@example.com"))
    payload = {"csrf": csrf, "action": "invite"}
    assert visitor.post("/w/live/settings/users", data=payload).status_code == 403
    # Nobody is logged out by a form of another site.
    assert visitor.post("/logout", data={"csrf": csrf}).status_code in (303, 403)
    assert visitor.get("/w/live/").status_code == 200


@pytest.mark.parametrize(
    "line", ["0 0 30 2 *", "0 0 31 4,6,9,11 *", "0 0 31 2 *", "1," * 5000 + "1 * * * *"]
)
def test_s9_a_cron_line_that_never_comes_is_400(api: Api, line: str) -> None:
    rules = [{"field": "city", "comparator": "is equal to", "values": ["Cork"]}]
    group = {"type": "criteria", "entity": "guest", "rules": rules}
    segment = {"name": f"S {uuid4().hex}", "definition": {"filterGroups": [group]}}
    ref = body_of(api.post("/innkeeper/v1/segments", json=segment))["ref"]
    payload = {"name": f"E {uuid4().hex}", "segment": ref, "schedule": line}
    answer = api.post("/innkeeper/v1/exports", json=payload)
    assert answer.status_code == 400
    assert answer.json()["message"].startswith("schedule: ")


def test_s9_spreadsheets_of_the_screens_are_guarded(visitor: Visitor, site: Site, api: Api) -> None:
    """A page that somebody else named is a cell of the report of pages."""
    visitor.follow(invited(site, f"{uuid4().hex}@example.com"))
    event = {"type": "VIEW", "channel": "WEB", "pos": "default", "page": "=cmd|' /C calc'!A0"}
    browser = api.get(f"/v1.2/browser/create.json?client_key={api.client_key}&message={{}}").json()
    event |= {"browser_id": browser["ref"], "client_key": api.client_key}
    assert api.post("/v1.2/events", json=event).status_code == 201
    rows = visitor.get("/w/live/reports/pages/csv").text
    assert "'=cmd|" in rows
    assert all(line[:1] not in "=+-@" for line in rows.splitlines())


def test_examples_of_the_reference_name_the_address_of_the_server(
    anonymous: Api, site: Site, behind_https: str
) -> None:
    assert f"'{site.url}/v2.1/guests'" in anonymous.get("/docs").text.replace("&#x27;", "'")
    assert "https://cdp.example.com/v2.1/guests" in httpx.get(f"{behind_https}/docs").text
