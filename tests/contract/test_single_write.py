"""A response leaves in one write: no head goes out that waits for its body."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from calling import Api, run_server
from sites import Site
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.types import ASGIApp, Receive, Scope, Send

from innkeeper.web.app import create_app
from innkeeper.web.http_protocol import LimitedHttpProtocol
from innkeeper.web.single_write import header_lines


class Recorded:
    """A transport that keeps what is written to it, and passes everything on."""

    def __init__(self, transport: Any, written: list[bytes]) -> None:
        self._transport = transport
        self._written = written

    def write(self, data: bytes) -> None:
        if data:
            self._written.append(bytes(data))
        self._transport.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class Recording(LimitedHttpProtocol):
    """The protocol, whose writes are kept."""

    written: list[bytes] = []  # noqa: RUF012 - emptied by each test

    def connection_made(self, transport: Any) -> None:
        super().connection_made(Recorded(transport, self.written))  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def written() -> list[bytes]:
    Recording.written.clear()
    return Recording.written


@pytest.fixture(scope="module")
def caller(site: Site) -> Iterator[Api]:
    key = site.key("live", "open")
    with (
        run_server(create_app(site.settings), Recording) as url,
        Api(url, key.client_key, key.api_token) as api,
    ):
        yield api


@pytest.mark.parametrize("path", ["/v2.1/guests", "/v2.1/nowhere", "/v1.2/nowhere", "/healthz"])
def test_a_response_leaves_in_one_write(caller: Api, written: list[bytes], path: str) -> None:
    answer = caller.get(path)
    (payload,) = written
    head, _, body = payload.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % answer.status_code)
    assert int(answer.headers["content-length"]) == len(body)
    assert head.count(b"\r\n") == len(answer.headers)
    assert head.count(b"\r\ndate: ") == 1
    assert b"\r\nx-content-type-options: nosniff" in head


def test_a_response_that_closes_the_connection_says_so(caller: Api, written: list[bytes]) -> None:
    answer = caller.get("/v2.1/guests", headers={"Connection": "close"})
    assert answer.headers["connection"] == "close"
    assert len(written) == 1


def test_a_response_to_head_has_the_length_and_no_body(caller: Api, written: list[bytes]) -> None:
    answer = caller.head("/v2.1/guests")
    assert int(answer.headers["content-length"]) > 0
    assert written[-1].endswith(b"\r\n\r\n")


def test_a_response_without_body_has_no_length(caller: Api) -> None:
    guest = caller.post("/v2.1/guests", json={"guestType": "visitor"}).json()
    answer = caller.delete(f"/v2.1/guests/{guest['ref']}")
    assert answer.status_code == 204
    assert "content-length" not in answer.headers
    assert "transfer-encoding" not in answer.headers


async def _in_parts(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"one ", "more_body": True})
    await send({"type": "http.response.body", "body": b"two"})


async def _cut_short(scope: Scope, receive: Receive, send: Send) -> None:
    headers = [(b"content-length", b"2")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    raise ZeroDivisionError


def _only(app: ASGIApp) -> ASGIApp:
    return Starlette(routes=[Mount("/", app=app)])


def test_a_response_in_parts_arrives_whole() -> None:
    with run_server(_only(_in_parts), Recording) as url:
        answer = httpx.get(url)
    assert answer.text == "one two"
    assert answer.headers["transfer-encoding"] == "chunked"


def test_an_application_that_fails_before_its_body_is_answered_500() -> None:
    with run_server(_only(_cut_short), Recording) as url:
        assert httpx.get(url).status_code == 500


@pytest.mark.parametrize("value", [b"a\r\nset-cookie: b", b"a\n", b"a\r", b"\x00", b"\x7f"])
def test_a_header_never_holds_a_control_character(value: bytes) -> None:
    assert header_lines([(b"location", b"/\xe9\ta")]) == b"\r\nlocation: /\xe9\ta\r\n"
    with pytest.raises(RuntimeError):
        header_lines([(b"etag", b'"1"'), (b"location", value)])
