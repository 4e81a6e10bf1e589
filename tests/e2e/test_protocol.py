"""What is not HTTP, and heads that are too large, are answered and cut off."""

import json
import socket

import pytest
from process import Innkeeper, Serve
from waiting import PATIENCE_SECONDS

LIMIT = 65_536


@pytest.fixture
def server(serve: Serve) -> Innkeeper:
    return serve()


def _exchange(server: Innkeeper, *pieces: bytes) -> tuple[int, dict[str, object]]:
    """Send raw bytes; status and body of the answer, which must close the connection."""
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
    assert b"content-type: application/json" in head.lower()
    return int(head.split()[1]), json.loads(body)


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
