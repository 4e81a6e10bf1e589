"""S4, F1: every form that the screens and OAuth take is bounded, whatever it declares."""

import asyncio
import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from calling import Api
from logging_in import Visitor, invited
from operations import assert_linear
from sites import Site
from starlette.requests import Request
from waiting import PATIENCE_SECONDS

from innkeeper.errors import BadRequest, UnsupportedMediaType
from innkeeper.rules.access import Role
from innkeeper.web.forms import read_form
from innkeeper.web.ui.routes import PAGES

MIB = 1 << 20
URLENCODED = {"Content-Type": "application/x-www-form-urlencoded"}
FORMS = sorted(page.path for page in PAGES if page.post is not None)
WITH_FILE = {"/imports", "/imports/preview", "/lists/{static_list}"}
NOBODY = "00000000-0000-4000-8000-000000000000"


@pytest.fixture(scope="module")
def owner(site: Site) -> Iterator[Visitor]:
    """Somebody who may send every form."""
    with Visitor(site.url) as browser:
        browser.follow(invited(site, f"{uuid4().hex}@example.com"))
        yield browser


@pytest.fixture(scope="module")
def analyst(site: Site) -> Iterator[Visitor]:
    """Somebody who may not import."""
    with Visitor(site.url) as browser:
        browser.follow(invited(site, f"{uuid4().hex}@example.com", Role.ANALYST))
        yield browser


def pieces(size: int) -> Iterator[bytes]:
    """A form without end, sent in pieces, whose size nobody is told."""
    yield b"csrf=x&a="
    for _ in range(size // 65_536):
        yield b"x" * 65_536


def head_only(visitor: Visitor, path: str, **headers: str) -> bytes:
    """The status line for a POST whose body never comes."""
    parts = urlsplit(visitor.url)
    cookies = "; ".join(f"{name}={value}" for name, value in visitor.kept.items())
    payload = {
        "Host": "x",
        "Cookie": cookies,
        **{n.replace("_", "-"): v for n, v in headers.items()},
    }
    lines = [f"POST {path} HTTP/1.1", *(f"{name}: {value}" for name, value in payload.items())]
    address = (parts.hostname, parts.port)
    with socket.create_connection(address, timeout=PATIENCE_SECONDS) as connection:
        connection.sendall("\r\n".join([*lines, "", ""]).encode())
        return connection.recv(65_536).partition(b"\r\n")[0]


@pytest.mark.parametrize("path", ["/login", "/logout"])
def test_s4_the_forms_of_everybody_are_small(site: Site, path: str) -> None:
    """S4: `/logout` took 300 MB of anybody."""
    with Visitor(site.url) as stranger:
        assert stranger.post(path, content=pieces(MIB), headers=URLENCODED).status_code == 413
        too_long = head_only(stranger, path, Content_Length="300000000")
        assert b" 413 " in too_long
        packed = {**URLENCODED, "Content-Encoding": "br"}
        assert stranger.post(path, content=b"csrf=x", headers=packed).status_code == 415


@pytest.mark.parametrize("path", FORMS)
def test_s4_every_form_of_the_screens_is_bounded(owner: Visitor, path: str) -> None:
    """S4: declared or not, 1 MB is the most that a form may be, 50 MB one with a file."""
    filled = "/w/live" + "/".join(NOBODY if "{" in part else part for part in path.split("/"))
    most = 52_428_800 if path in WITH_FILE else MIB
    assert b" 413 " in head_only(owner, filled, Content_Length=str(most + 1))
    if path not in WITH_FILE:
        answer = owner.post(filled, content=pieces(2 * MIB), headers=URLENCODED)
        assert answer.status_code == 413
        upload = owner.post(filled, data={"csrf": "x"}, files={"file": ("a.csv", b"a")})
        assert upload.status_code == 415


def test_s4_a_form_with_a_file_is_bounded_while_it_comes(owner: Visitor) -> None:
    """S4: a file whose size nobody is told stops at the limit too."""
    start = b'--B\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\n'

    def endless() -> Iterator[bytes]:
        yield start
        for _ in range(51):
            yield bytes(MIB)

    headers = {"Content-Type": "multipart/form-data; boundary=B"}
    answer = owner.post("/w/live/imports", content=endless(), headers=headers)
    assert answer.status_code == 413


def test_s4_a_form_holds_one_file_and_few_fields(owner: Visitor) -> None:
    csrf = owner.form("/w/live/imports")
    files = [("file", ("a.csv", b"a")), ("file", ("b.csv", b"b"))]
    assert owner.post("/w/live/imports", data=csrf, files=files).status_code == 400
    many = {**csrf, **{f"f{number}": "" for number in range(20)}}
    assert owner.post("/w/live/imports", data=many, files=files[:1]).status_code == 400
    large = {**csrf, "entity": "x" * 65_537}
    assert owner.post("/w/live/imports", data=large, files=files[:1]).status_code == 400


def test_s4_who_may_not_import_need_not_send_the_file(analyst: Visitor) -> None:
    """S4: refused before the body is read."""
    payload = {"Content_Type": "multipart/form-data; boundary=B", "Content_Length": "52428800"}
    assert b" 403 " in head_only(analyst, "/w/live/imports", **payload)


def test_s4_an_upload_works_as_before(owner: Visitor) -> None:
    payload = {**owner.form("/w/live/imports"), "entity": "guests"}
    files = {"file": ("a.csv", b"email\na@example.com\n" * 100_000)}
    answer = owner.post("/w/live/imports", data=payload, files=files)
    assert answer.status_code == 303, answer.text
    assert answer.headers["location"].startswith("/w/live/imports/")


def test_s4_a_request_for_a_token_is_small(anonymous: Api) -> None:
    """S4: RFC 6749's error, not the whole body."""
    for path in ("/oauth/token", "/v2/oauth/token"):
        answer = anonymous.post(path, content=pieces(MIB), headers=URLENCODED)
        assert (answer.status_code, answer.json()) == (400, {"error": "invalid_request"})


# F1: forms are read in linear time

FILE = b'--B\r\nContent-Disposition: form-data; name="f"; filename="a"\r\n\r\n%s\r\n--B--\r\n'
FIELD = b'--B\r\nContent-Disposition: form-data; name="%s"\r\n\r\n\r\n--B--\r\n'


def parse(body: bytes, content_type: str) -> None:
    """Read a form that arrives a kilobyte at a time."""

    async def receive() -> dict[str, Any]:
        nonlocal body
        piece, body = body[:1024], body[1024:]
        return {"type": "http.request", "body": piece, "more_body": bool(body)}

    async def run() -> None:
        headers = [(b"content-type", content_type.encode())]
        request = Request({"type": "http", "method": "POST", "headers": headers}, receive)
        await (await read_form(request, 10 * MIB, upload=True)).close()

    asyncio.run(run())


@pytest.mark.parametrize("repeated", [b"&", b"a=1&", b"%41", b"+", b"=", b"a", b"%"])
def test_f1_forms(repeated: bytes) -> None:
    """F1: fields, escapes and separators."""
    form = "application/x-www-form-urlencoded"
    assert_linear(lambda body: parse(body, form), repeated, 1000)


@pytest.mark.parametrize("repeated", [b"\r", b"\r\n", b"\r\n--", b"\r\n--C", b"a", b"\r\n-"])
def test_f1_forms_with_a_file(repeated: bytes) -> None:
    """F1: what almost is the end of the file."""
    form = "multipart/form-data; boundary=B"
    assert_linear(lambda body: parse(FILE % body, form), repeated, 1000)


def test_f1_headers_that_are_parsed_are_short() -> None:
    """F1: the parameters of a part's header and of the form's Content-Type."""
    with pytest.raises(BadRequest):
        parse(FIELD % (b";" * 5000), "multipart/form-data; boundary=B")
    with pytest.raises(UnsupportedMediaType):
        parse(FIELD % b"a", "multipart/form-data; boundary=B" + ";" * 300)
