"""F13: compressed request bodies of REST and of streams; uploads stay as they are sent."""

import asyncio
import gzip
import hashlib
import json
import tracemalloc
import zlib
from collections.abc import Callable, Coroutine
from typing import Any
from uuid import uuid4

import pytest
from batching import packed, upsert
from calling import Api, Bare, body_of, problem
from sites import Site
from streams import Page

from innkeeper.errors import TooLarge
from innkeeper.web.content_coding import decode, decode_in_thread

MIB = 1 << 20
JSON = {"Content-Type": "application/json"}


@pytest.fixture
def page(api: Api) -> Page:
    return Page(api)


def raw_deflate(body: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(body) + packer.flush()


CODINGS = [
    ("gzip", gzip.compress),
    ("GZIP", gzip.compress),
    ("x-gzip", gzip.compress),
    ("gzip", lambda body: gzip.compress(body[:7], mtime=0) + gzip.compress(body[7:], mtime=0)),
    ("deflate", zlib.compress),
    ("deflate", raw_deflate),
    ("identity", bytes),
]


@pytest.mark.parametrize(("coding", "pack"), CODINGS)
def test_f13_rest_reads_a_compressed_body(
    api: Api, coding: str, pack: Callable[[bytes], bytes]
) -> None:
    """F13: in every dialect, for every method with a body."""
    headers = {**JSON, "Content-Encoding": coding}

    def send(method: str, path: str, **members: Any) -> dict[str, Any]:
        content = pack(json.dumps(members).encode())
        return body_of(api.request(method, path, content=content, headers=headers))

    guest = send("POST", "/v2.1/guests", guestType="customer", firstName="Jane")
    path = f"/v2.1/guests/{guest['ref']}"
    assert send("PATCH", path, lastName="Doe")["lastName"] == "Doe"
    assert "lastName" not in send("PUT", path, guestType="customer", firstName="Jane")
    legacy = send("POST", "/v2/guests", guestType="customer", firstName="Jim")
    assert api.get(f"/v2/guests/{legacy['ref']}").json()["firstName"] == "Jim"
    merge = send("POST", "/innkeeper/v1/merges", survivor=guest["ref"], absorbed=legacy["ref"])
    assert merge["absorbed"]["ref"] == legacy["ref"]


@pytest.mark.parametrize(("coding", "pack"), CODINGS)
@pytest.mark.parametrize("path", ["/v1.2/events", "/v1/events/v1.2/events"])
def test_f13_streams_read_a_compressed_body(
    page: Page, path: str, coding: str, pack: Callable[[bytes], bytes]
) -> None:
    """F13: on the direct and on the edge path."""
    event = {"client_key": page.api.client_key, "browser_id": page.browser, "type": "VIEW"}
    body = pack(json.dumps({**event, "pos": "default", "page": "/rooms"}).encode())
    query = {"sitecoreContextId": page.api.client_key, "siteId": "default"}
    answer = page.post(path, content=body, params=query, headers={"Content-Encoding": coding})
    assert answer.status_code == 201, answer.text
    assert page.session["events"][-1]["page"] == "/rooms"


@pytest.mark.parametrize("coding", ["br", "zstd", "compress", "gzip, gzip", "gzip;q=1", "é"])
def test_f13_another_coding_is_415(api: Api, page: Page, bare: Bare, coding: str) -> None:
    """F13, RFC 7694: the answer tells which are read."""
    headers = {**JSON, "Content-Encoding": coding.encode("latin-1")}
    answer = bare("/v2.1/guests", "POST", headers, b"{}")
    message = f"Send Content-Encoding: gzip, deflate or none instead of {coding}."
    expected = problem(415, "The content coding of the request is not supported.", message)
    assert (answer.status_code, answer.json()) == (415, expected)
    assert answer.headers["accept-encoding"] == "gzip, deflate"
    event = bare("/v1.2/events", "POST", headers, b"{}")
    assert (event.status_code, event.json()["error_code"]) == (415, 415)
    assert api.get("/v2.1/guests").json()["totalCount"] == 1  # the page's own


@pytest.mark.parametrize("size", [MIB, MIB + 1, 200 * MIB])
@pytest.mark.parametrize(("coding", "pack"), [("gzip", gzip.compress), ("deflate", raw_deflate)])
def test_f13_the_limit_is_on_the_expanded_size(
    api: Api, size: int, coding: str, pack: Callable[[bytes], bytes]
) -> None:
    """F13, RL-4: 1 MB may come out of a few hundred bytes, one byte more is 413."""
    start = b'{"guestType":"visitor"}'
    body = pack(start + b" " * (size - len(start)))
    assert len(body) < MIB
    headers = {**JSON, "Content-Encoding": coding}
    answer = api.post("/v2.1/guests", content=body, headers=headers)
    assert answer.status_code == (201 if size == MIB else 413)


def test_f13_the_limit_is_on_the_sent_size_too(api: Api) -> None:
    """F13: a body over the limit is not read to its end because it claims to be compressed."""
    answer = api.post(
        "/v2.1/guests", content=bytes(2 * MIB), headers={**JSON, "Content-Encoding": "gzip"}
    )
    assert answer.status_code == 413


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        ("gzip", b""),
        ("gzip", b"{}"),
        ("gzip", gzip.compress(b"{}", mtime=0)[:-1]),
        ("gzip", gzip.compress(b"{}", mtime=0) + b"x"),
        ("gzip", gzip.compress(b"{}", mtime=0)[:-8] + bytes(8)),
        ("gzip", gzip.compress(b"", mtime=0) * 10_000),
        ("deflate", b""),
        ("deflate", b"{}"),
        ("deflate", zlib.compress(b"{}")[:-1]),
        ("deflate", zlib.compress(b"{}") + b"x"),
    ],
)
def test_f13_a_damaged_body_is_400(bare: Bare, coding: str, body: bytes) -> None:
    """F13: cut off, followed by something, or nothing of the kind."""
    headers = {**JSON, "Content-Encoding": coding, "Content-Length": str(len(body))}
    answer = bare("/v2.1/guests", "POST", headers, body)
    expected = problem(400, f"The request body is not valid {coding}.")
    assert (answer.status_code, answer.json()) == (400, expected)


def test_f13_an_idempotent_repetition_may_be_compressed(api: Api) -> None:
    """F13: what counts is what was said, not how it was packed."""
    body = b'{"guestType":"visitor"}'
    key = {**JSON, "Idempotency-Key": "once"}
    first = api.post("/v2.1/guests", content=body, headers=key)
    packed_too = {**key, "Content-Encoding": "gzip"}
    again = api.post("/v2.1/guests", content=gzip.compress(body, mtime=0), headers=packed_too)
    assert (again.json(), again.headers["idempotent-replayed"]) == (first.json(), "true")


def test_f13_an_upload_is_stored_as_it_is_sent(site: Site, api: Api) -> None:
    """F13, batch-api.md 4: the checksum is that of the gzip, whatever a header says."""
    file = packed([upsert("a@example.com")])
    ref = str(uuid4())
    checksum = hashlib.md5(file, usedforsecurity=False).hexdigest()
    answer = api.put(f"/v2/batches/{ref}", json={"checksum": checksum, "size": len(file)})
    href = body_of(answer)["location"]["href"]
    response = api.put(href, content=file, headers={"Content-Encoding": "gzip"}, auth=None)
    assert response.status_code == 200
    site.run_worker()
    assert api.get(f"/v2/batches/{ref}").json()["status"] == {"code": "success"}


# How: bounded, and large ones off the event loop


def suspends(coroutine: Coroutine[Any, Any, Any]) -> bool:
    """Whether a coroutine waits for something outside of the event loop."""

    async def first_step() -> bool:
        try:
            coroutine.send(None)
        except StopIteration:
            return False
        coroutine.close()
        return True

    return asyncio.run(first_step())


@pytest.mark.parametrize(
    ("body", "in_thread"),
    [
        (gzip.compress(b"x" * 65_536, mtime=0), False),
        (gzip.compress(b"x" * 65_537, mtime=0), True),
        (gzip.compress(bytes(MIB), mtime=0), True),
    ],
)
def test_f13_large_bodies_are_decoded_in_a_thread(body: bytes, *, in_thread: bool) -> None:
    """F13: by what comes out, not by what came."""
    assert suspends(decode(body, "gzip", MIB)) is in_thread


def test_f13_no_more_than_the_limit_is_expanded() -> None:
    """F13: of 100 MB no more than the limit is ever in memory, twice for a moment."""
    body = gzip.compress(bytes(100 * MIB), 9)
    tracemalloc.start()
    try:
        with pytest.raises(TooLarge):
            decode_in_thread(body, "gzip", MIB)
        assert tracemalloc.get_traced_memory()[1] < 3 * MIB
    finally:
        tracemalloc.stop()
