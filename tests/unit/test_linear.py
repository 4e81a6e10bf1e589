"""F1: every part of a request is read in time linear in its size, by steps that are counted."""

import asyncio
import random
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from urllib.parse import unquote_to_bytes

import pytest
import uvicorn
from operations import assert_linear, lines_of
from starlette.requests import cookie_parser
from uvicorn.server import ServerState

from innkeeper.errors import ApiError, BadJson, Invalid
from innkeeper.web.auth import _credentials
from innkeeper.web.cors import Cors
from innkeeper.web.http_protocol import LimitedHttpProtocol, encode_target
from innkeeper.web.observability import correlation_id
from innkeeper.web.request_body import json_object
from innkeeper.web.request_head import collapse_slashes, remove_cookies
from innkeeper.wire import pagination
from innkeeper.wire.dialects.nested import OPEN_GUEST
from innkeeper.wire.json_text import _check_members, decode_object
from innkeeper.wire.request_target import percent_decode
from innkeeper.wire.stream import messages
from innkeeper.wire.stream.routes import STREAM_ROUTES


def tolerant(read: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
    """`read`, whose refusals are no failure here."""

    def reading(text: bytes) -> None:
        with suppress(ApiError):
            read(text)

    return reading


def test_f1_the_counter_sees_a_square() -> None:
    """The oracle itself: joining and searching again for every piece is no linear scan."""

    def square(text: bytes) -> None:
        pieces = text.split(b"&")
        for index in range(len(pieces)):
            tolerant(decode_object)(b"&".join(pieces[:index]))

    with pytest.raises(AssertionError):
        assert_linear(square, b"A&")


# Query strings


@pytest.mark.parametrize("takes_message", [True, False])
@pytest.mark.parametrize(
    ("start", "repeated"),
    [
        (b"message={%22", b"%41&"),
        (b"message={", b"&"),
        (b"message={", b"message={&"),
        (b'message={"a":[', b"{&"),
        (b'message={"a":"', b'\\"&'),
        (b"message=%7B", b"%5B&"),
        (b"", b"message=&"),
        (b"", b"a=%41+&"),
        (b"", b"%"),
    ],
)
def test_f1_queries_of_streams(takes_message: bool, start: bytes, repeated: bytes) -> None:
    """F1: the query that took 4 s of a worker, and its like."""
    assert_linear(
        tolerant(lambda rest: messages.parse_query(start + rest, takes_message=takes_message)),
        repeated,
    )


@pytest.mark.parametrize("repeated", [b"a&", b"&", b"expand=a&", b"name=x&", b"%41", b"sort=a::b|"])
def test_f1_queries_of_rest(repeated: bytes) -> None:
    def read(query: bytes) -> None:
        pagination.parse_page(OPEN_GUEST, pagination.parse_query(b"sort=" + query))

    assert_linear(tolerant(read), repeated)


def test_f1_only_routes_that_take_a_message_look_for_one() -> None:
    """F1: what makes an object of it stays a parameter elsewhere."""
    query = b'message={"a":"x&y=1"}&z=2'
    assert messages.parse_query(query, takes_message=True) == ({"z": "2"}, b'{"a":"x&y=1"}')
    expected = {"message": '{"a":"x', "y": '1"}', "z": "2"}
    assert messages.parse_query(query, takes_message=False) == (expected, None)
    takes = {route.name for route in STREAM_ROUTES if route.takes_message}
    assert takes == {
        *("createEventByGet", "sendEventByGet", "createEventByGetAtEdge", "sendEventByGetAtEdge"),
        "callFlowsByGet",
    }


def shortest_object(value: bytes, rest: list[bytes]) -> tuple[bytes, int]:
    """The oracle: the shortest join of pieces that is a JSON object, tried one after the other."""
    encoded = b"{" not in value
    for more in range(len(rest) + 1):
        text = unquote_to_bytes(
            b"&".join([value, *rest[:more]]).replace(b"+", b" " if encoded else b"+")
        )
        try:
            decode_object(text)
        except (BadJson, Invalid):
            continue
        return text, more
    return unquote_to_bytes(value.replace(b"+", b" " if encoded else b"+")), 0


def test_f1_the_end_of_a_message_is_where_it_was() -> None:
    """F1: the scan finds what trying every length finds."""
    chance = random.Random(7)
    alphabet = [*b'{}[]"\\&&&:,a1+ ', b"%7B", b"%22", b'{"a":"&"}', b'{"a":[1,"b&c"]}', b'":"']
    for _ in range(5_000):
        parts = [chance.choice(alphabet) for _ in range(chance.randint(1, 12))]
        text = b"".join(bytes([part]) if isinstance(part, int) else part for part in parts)
        value, *rest = text.split(b"&")
        expected, used = shortest_object(value, rest)
        _, message = messages.parse_query(b"message=" + text, takes_message=True)
        parameters, _ = messages.parse_query(b"&".join(rest[used:]), takes_message=False)
        read, result = messages.parse_query(b"message=" + text, takes_message=True)
        assert (message, result) == (expected, expected), text
        assert read == (parameters if rest[used:] else {}), text


def test_s2_percent_decoding_in_c_is_that_of_the_standard_library() -> None:
    """S2: one call decodes what Python would in a step for each `%`."""
    chance = random.Random(11)
    alphabet = [
        b"%",
        b"%41",
        b"%3d",
        b"=",
        b"=3D",
        b"\r\n",
        b" ",
        b"4",
        b"_",
        b"%0a",
        b"\0",
        b"\xff",
    ]
    for _ in range(20_000):
        text = b"".join(chance.choice(alphabet) for _ in range(chance.randint(0, 9)))
        assert percent_decode(text) == unquote_to_bytes(text)


def test_s2_many_ampersands_take_no_step_each() -> None:
    """S2: a message of 40,000 of them is cut out in hardly more steps of Python than one of 40."""

    def steps(times: int) -> int:
        query = b'message={"a":"' + b"%41&" * times + b'"}&z=2'
        return lines_of(lambda: messages.parse_query(query, takes_message=True))

    steps(1)  # what is cached is cached
    assert steps(40_000) < steps(40) + 100


# Heads: lines, headers, cookies


@pytest.mark.parametrize("repeated", [b" ", b"#", b"/", b"a ", b"\xff", b"//v1.2/"])
def test_f1_request_lines(repeated: bytes) -> None:
    def read(path: bytes) -> None:
        line = b"GET /v1.2/events?" + path + b" HTTP/1.1\r\n"
        encode_target(line, len(line) - 1)
        collapse_slashes(path)

    assert_linear(read, repeated)


def test_f1_a_request_line_in_many_pieces() -> None:
    """F1: each piece is looked at once, however small."""

    class Transport(asyncio.Transport):
        def get_extra_info(self, name: str, default: Any = None) -> Any:
            return default

        def is_closing(self) -> bool:
            return False

        def write(self, data: bytes | bytearray | memoryview) -> None:
            raise AssertionError(data)

    async def serve_once() -> None:
        config = uvicorn.Config(lambda: None, http=LimitedHttpProtocol, log_config=None)

        def receive(line: bytes) -> None:
            protocol = LimitedHttpProtocol(config, ServerState(), {})
            protocol.connection_made(Transport())
            for at in range(len(line)):
                protocol.data_received(line[at : at + 1])

        assert_linear(receive, b"GET /")

    asyncio.run(serve_once())


@pytest.mark.parametrize("repeated", [b",", b"a,", b" ", b"\xff", b"a b,", b"=", b";", b'";'])
def test_f1_headers(repeated: bytes) -> None:
    def read(value: bytes) -> None:
        Cors("*").preflight([], value)
        correlation_id(value)
        tolerant(lambda arguments: _credentials(b"Basic " + arguments))(value)
        tolerant(lambda arguments: json_object(b"{}", b"application/json;" + arguments))(value)

    assert_linear(read, repeated)


@pytest.mark.parametrize("repeated", [b'\\"', b"\\1", b";", b'a="b";', b'"', b"\\012", b"="])
def test_f1_cookies(repeated: bytes) -> None:
    """F1: Python's own unquoting of a cookie takes the square of its length."""

    def read(cookie: bytes) -> None:
        for _, value in remove_cookies([(b"cookie", b'x="' + cookie + b'"')]):
            cookie_parser(value.decode("latin-1"))

    assert_linear(read, repeated)


def test_f1_our_cookies_arrive_beside_quoted_ones() -> None:
    payloads = [(b"cookie", b'a="\\"x"; innkeeper_login=secret; b="y"'), (b"accept", b'"z"')]
    (_, cookies), other = remove_cookies(payloads)
    assert cookie_parser(cookies.decode()) == {"innkeeper_login": "secret"}
    assert other == payloads[1]


def test_s2_very_many_cookies_take_no_step_each() -> None:
    """S2: ours arrive beside 30,000 of others, in as many steps of Python as beside 5,000; a name
    that ends like ours is none of ours."""

    def read(many: int) -> dict[str, str]:
        value = b"a;" * many + b" xinnkeeper_login=no; innkeeper_login=secret;b=c" + b";d=e" * 9
        ((_, cookies),) = remove_cookies([(b"cookie", value)])
        return cookie_parser(cookies.decode())

    assert read(30_000) == read(5_000) == {"innkeeper_login": "secret"}
    assert lines_of(lambda: read(30_000)) == lines_of(lambda: read(5_000))


# Bodies


@pytest.mark.parametrize(
    "repeated",
    [b"{", b'{"a":', b"[", b'"', b"\\", b" ", b"\n", b"1", b"1.", b'"a":1,', b"\xff", b'{"a":1}'],
)
@pytest.mark.parametrize("start", [b"", b'{"a":', b'{"a":"', b'{"a":1e'])
def test_f1_json(start: bytes, repeated: bytes) -> None:
    assert_linear(tolerant(lambda rest: decode_object(start + rest)), repeated)


def test_s2_members_are_counted_outside_of_strings_alone() -> None:
    """S2: as the standard library's tokens, in any order; at the limit they pass, above it not."""
    for inside in (b",:[{", b'\\"' * 9_000, b"\\\\", b"x" * 9_000):
        text = b'["' + inside + b'"' + b",0" * 39_999 + b"]"
        _check_members(text)
        with pytest.raises(Invalid):
            _check_members(text + b",")
    for open_ended in (b'"\\', b'"x', b"\\"):
        _check_members(b'["a"' + b",0" * 39_999 + open_ended)


@pytest.mark.parametrize("repeated", [b'"', b'\\"', b"\\", b",", b'",', b'"a\\"', b'["a":', b'{"'])
def test_s2_counting_members(repeated: bytes) -> None:
    """S2: in time linear in the text, whatever strings do not end."""
    assert_linear(tolerant(lambda rest: _check_members(b"," * 39_000 + rest)), repeated, 2_000)
