"""What is not HTTP, and heads that are too large, are answered and cut off."""

import json
import socket

import pytest
from process import Innkeeper, Serve
from waiting import PATIENCE_SECONDS

from innkeeper.web.browser_security import STRICT
from innkeeper.web.http_protocol import check_target
from innkeeper.wire.request_target import MAX_PATH_BYTES

LIMIT = 65_536


@pytest.fixture
def server(serve: Serve) -> Innkeeper:
    return serve(jobs=False)


def _exchange(server: Innkeeper, *pieces: bytes) -> tuple[int, dict[str, object]]:
    """Send raw bytes; status and body of the answer, which must close the connection."""
    status, lines, body = _response(server, *pieces)
    assert b"content-type: application/json" in lines
    # S9: what the protocol answers by itself has the security headers too.
    for name, value in STRICT:
        assert name + b": " + value.lower() in lines
    return status, json.loads(body)


def _response(server: Innkeeper, *pieces: bytes) -> tuple[int, list[bytes], bytes]:
    """Send raw bytes; status, lines of the head in lower case, and body."""
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=PATIENCE_SECONDS) as connection:
        for piece in pieces:
            try:
                connection.sendall(piece)
            except (BrokenPipeError, ConnectionResetError):
                break
        answer = b""
        try:
            while read := connection.recv(65_536):
                answer += read
        except ConnectionResetError:
            pass
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), head.lower().split(b"\r\n"), body


def test_heads(server: Innkeeper) -> None:
    start = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
    cases = {
        "one long header": [start, b"A: " + b"a" * LIMIT + b"\r\n\r\n"],
        "a header without end": [start + b"A: ", *[b"a" * 4096] * 40],
        "many headers": [start, b"A: a\r\n" * 12_000, b"\r\n"],
        "a long path": [b"GET /" + b"a" * LIMIT + b" HTTP/1.1\r\nHost: x\r\n\r\n"],
        "a path without end": [b"GET /", *[b"a" * 4096] * 40],
    }
    for name, pieces in cases.items():
        status, body = _exchange(server, *pieces)
        assert (status, body["code"]) == (431, 431), name
        assert body["errors"] == [body["message"]]
    status, body = _exchange(server, b"hello\r\n\r\n")
    assert (status, body["status"], body["message"]) == (400, 400, "The request is not valid HTTP.")
    assert sorted(body) == [
        "code",
        "developerMessage",
        "errors",
        "message",
        "moreInfoUrl",
        "status",
        "statusCode",
    ]


def test_s1_long_targets(server: Innkeeper) -> None:
    """S1: what takes a step for each `&` or `%` is refused before anything parses it."""
    end = b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    targets = {
        "path": b"/v2.1/guests/" + b"%41" * 4096,
        "long query": b"/v2.1/guests?name=" + b"%41" * 4096,
        "many parameters": b"/healthz?" + b"a&" * 300,
        "many parameters beside a message": b"/v1.2/events?message={}&" + b"a&" * 300,
        "message that does not end": b"/v1.2/events?message={%22" + b"%41&" * 4096,
        "no message": b"/v1.2/browser/create.json?message={%22" + b"%41&" * 4096,
    }
    for name, target in targets.items():
        status, _, body = _response(server, b"GET " + target + end)
        assert status == 414, name
        said = json.loads(body)
        assert said.get("code", said.get("error_code")) == 414, name
    status, _, body = _response(server, b"GET /login?" + b"a&" * 300 + end)
    assert (status, body[:15]) == (414, b"<!doctype html>"), "screens answer with a page"
    long_path = b"/w/" + b"%41" * 4096
    status, _, body = _response(server, b"GET " + long_path + end)
    assert (status, body[:15]) == (414, b"<!doctype html>")
    assert check_target(long_path) == long_path[: MAX_PATH_BYTES + 1], "no more is decoded"
    status, _, body = _response(
        server, b'GET /v1.2/events?message={"a":"' + b"%41&" * 4096 + b'"}' + end
    )
    assert (status, json.loads(body)["error_code"]) == (401, 401)


def test_large_bodies_are_no_large_heads(server: Innkeeper) -> None:
    large = {"guestType": "customer", "street": ["a" * 100] * 3, "city": "b" * 20}
    for _ in range(3):
        answer = server.client.post("/v2.1/guests", json=large, headers={"X-Filler": "a" * 60_000})
        assert answer.status_code == 201
    too_large = b'{"guestType":"customer","firstName":"' + b"a" * 200_000 + b'"}'
    answer = server.client.post(
        "/v2.1/guests", content=too_large, headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 400
    assert answer.json()["message"].startswith("firstName: ")
