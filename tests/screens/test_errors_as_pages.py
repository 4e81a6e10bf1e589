"""F23: on every path that people open, an error is a page, whatever went wrong."""

import re
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from profiles import each_day
from sites import Site
from visiting import Person

from innkeeper.web.ui.routes import PAGES

HOSTILE = ("%00", "%ff", "a" * 500, "..%2f..", str(uuid4()), "%F0%9F%8F%A8", "1e999", "'")
QUERY = (
    *("q", "type", "offset", "actor", "action", "subject", "period", "from", "to", "open", "other"),
    *("segment", "mode", "entity", "field", "contains", "link", "next", "reason", "currency"),
)


def assert_page(answer: httpx.Response, status: int | None = None) -> None:
    assert answer.headers["content-type"] == "text/html; charset=utf-8", answer.text[:300]
    assert answer.text.startswith("<!doctype html>"), answer.text[:300]
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    if status is not None:
        assert answer.status_code == status, answer.text


@pytest.mark.parametrize("path", ["/w/", "/w/live/nowhere", "/w/nobody/", "/w", "/ui/static/0/x"])
def test_f23_404_is_a_page(owner: Person, path: str) -> None:
    assert_page(owner.http.get(path), 404)


def test_f23_404_of_who_is_not_logged_in_is_a_page(anonymous: httpx.Client) -> None:
    assert_page(anonymous.get("/w/live/nowhere"), 404)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/", "GET, HEAD"),
        ("DELETE", "/w/live/guests", "GET, HEAD"),
        ("POST", "/w/live/reports", "GET, HEAD"),
        ("GET", "/logout", "POST"),
    ],
)
def test_f23_405_is_a_page(owner: Person, method: str, path: str, allowed: str) -> None:
    answer = owner.http.request(method, path)
    assert_page(answer, 405)
    assert sorted(answer.headers["allow"].split(", ")) == allowed.split(", ")


def test_f23_400_is_a_page(owner: Person) -> None:
    broken = {"content-type": "multipart/form-data; boundary=x"}
    answer = owner.http.post("/w/live/imports", content=b"--x\r\nno form", headers=broken)
    assert_page(answer, 400)


@pytest.mark.parametrize("path", ["/w/live/settings", "/login", "/logout"])
def test_f23_415_is_a_page(owner: Person, path: str) -> None:
    """Only the form of an import holds a file."""
    broken = {"content-type": "multipart/form-data; boundary=x"}
    assert_page(owner.http.post(path, content=b"--x\r\nno form", headers=broken), 415)


@pytest.mark.parametrize("path", ["/w/live/settings", "/login"])
def test_f23_a_form_without_length_is_read_up_to_the_limit(owner: Person, path: str) -> None:
    form = {"content-type": "application/x-www-form-urlencoded"}
    assert_page(owner.http.post(path, content=iter([b"csrf=x"]), headers=form), 403)


@pytest.mark.parametrize("path", ["/w/live/settings", "/login", "/logout"])
def test_f23_413_is_a_page(owner: Person, site: Site, path: str) -> None:
    form = {"content-type": "application/x-www-form-urlencoded"}
    large = b"a=" + b"b" * site.settings.max_body_bytes
    assert_page(owner.http.post(path, content=large, headers=form), 413)


def test_f23_a_secret_that_is_no_ascii_is_refused_on_a_page(owner: Person) -> None:
    assert_page(owner.post("/settings", csrf="é"), 403)
    assert_page(owner.http.post("/login", data={"csrf": "é"}), 403)
    assert owner.http.post("/logout", data={"csrf": "é"}).status_code == 303
    assert owner.get("/").status_code == 200, "nobody was logged out"


@pytest.mark.parametrize("table", ["api_keys", "workspaces", "logins"])
def test_f23_500_is_a_page_that_names_the_request(owner: Person, connection, table: str) -> None:
    """Whether the fault is in the page, or before anybody knows who asks."""
    connection.execute(f"ALTER TABLE innkeeper.{table} RENAME TO aside")
    try:
        answer = owner.get("/settings")
    finally:
        connection.execute(f"ALTER TABLE innkeeper.aside RENAME TO {table}")
    assert_page(answer, 500)
    assert answer.headers["x-correlation-id"] in answer.text
    assert "aside" not in answer.text


def test_f23_without_session_a_page_leads_to_the_login_and_back(anonymous: httpx.Client) -> None:
    answer = anonymous.get("/w/live/guests?q=x")
    assert (answer.status_code, answer.headers["location"]) == (
        303,
        "/login?next=%2Fw%2Flive%2Fguests%3Fq%3Dx",
    )
    assert anonymous.post("/w/live/settings").headers["location"] == "/login"


def test_f23_without_session_a_part_sends_the_whole_page_to_the_login(
    anonymous: httpx.Client,
) -> None:
    headers = {"HX-Request": "true", "HX-Current-URL": f"{anonymous.base_url}/w/live/reports?x=1"}
    answer = anonymous.get("/w/live/reports/revenue", headers=headers)
    assert answer.status_code == 401
    assert answer.headers["hx-redirect"] == "/login?next=%2Fw%2Flive%2Freports%3Fx%3D1"


def test_f23_an_unknown_path_is_404_in_the_requested_type(anonymous: httpx.Client) -> None:
    assert_page(anonymous.get("/nowhere", headers={"accept": "text/html,*/*;q=0.8"}), 404)
    response = anonymous.get("/nowhere")
    assert response.headers["content-type"] == "application/json"
    assert response.json()["status"] == 404


WITH_GET = [page for page in PAGES if page.show]
QUICK = [page for page in WITH_GET if page.path != "/segments/sql-views"]
"""Pages that start no process of their own."""


@pytest.mark.parametrize("page", each_day(WITH_GET, *QUICK), ids=lambda page: page.path)
def test_f23_hostile_addresses_are_answered_with_pages(owner: Person, page) -> None:
    for hostile in HOSTILE:
        path = re.sub(r"\{\w+\}", lambda _, text=hostile: text, page.path)
        query = "&".join(f"{name}={hostile}" for name in QUERY)
        for headers in ({}, {"HX-Request": "true"}):
            answer = owner.get(f"{path}?{query}", headers=headers)
            assert answer.status_code < 500, (path, answer.text)
            if answer.status_code >= 400:
                assert_page(answer)


@pytest.mark.parametrize("page", [page for page in PAGES if page.post], ids=lambda page: page.path)
def test_f23_hostile_forms_are_answered_with_pages(owner: Person, page) -> None:
    for hostile in ("\0", "\ud800".encode("utf-8", "surrogatepass"), "9" * 400, ""):
        path = re.sub(r"\{\w+\}", lambda _: str(uuid4()), page.path)
        names = ("name", "action", "url", "kind", "friendly_id", "definition", "user", "c0", "do")
        names += ("r0.name", "r0.c0", "r0.p0", "sequence", "client_key", "alias", "survivor")
        answer = owner.post(path, **dict.fromkeys(names, hostile))
        assert answer.status_code < 500, (path, answer.text)
        if answer.status_code >= 400:
            assert_page(answer)


def test_f23_no_page_of_the_screens_answers_with_json() -> None:
    """Only scripts read a sandbox token, which is no page."""
    folder = Path(__file__).parents[2] / "src" / "innkeeper" / "web" / "ui"
    paths = [path.name for path in folder.glob("*.py") if "JSONResponse" in path.read_text()]
    assert paths == ["sandbox_tokens.py"]
