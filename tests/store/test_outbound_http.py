"""S5: requests to addresses that users choose: which may be called, how, and for how long."""

import asyncio
import datetime
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from waiting import PATIENCE_SECONDS, wait_until

from innkeeper.errors import OperatorError
from innkeeper.settings import Settings
from innkeeper.store import outbound_http
from innkeeper.store.outbound_http import (
    NOT_HTTP,
    NOT_REACHED,
    TOO_LATE,
    BadAddress,
    OutboundFailed,
    OutboundResponse,
    allowed_hosts,
    check_url,
    is_public,
    send_request,
)

ANY = "0.0.0.0"  # noqa: S104 - never bound
CLOSED = Settings()
OPEN = Settings(allowed_private_hosts="127.0.0.0/8")
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


# IANA's registries of special-purpose addresses, and tunnels to any address of IPv4.
@pytest.mark.parametrize(
    "address",
    [
        *(ANY, "0.1.2.3", "10.0.0.1", "100.64.0.1", "127.0.0.1", "127.255.255.254"),
        *("169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.1", "192.0.2.1"),
        *("192.168.1.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1"),
        *("239.255.255.255", "240.0.0.1", "255.255.255.255"),
        *("::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:0:7f00:1"),
        *("64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::808:808", "100::1"),
        *("2001::7f00:1", "2001:db8::1", "2002:7f00:1::", "2002:808:808::", "3fff::1"),
        *("5f00::1", "fc00::1", "fd12:3456::1", "fe80::1", "fec0::1", "ff02::1", "ff0e::1"),
    ],
)
async def test_s5_an_address_that_is_not_public(address: str) -> None:
    assert not is_public(ip_address(address))


@pytest.mark.parametrize(
    "address",
    ["8.8.8.8", "1.1.1.1", "172.32.0.1", "100.128.0.1", "::ffff:8.8.8.8", "2606:4700::1111"],
)
async def test_s5_an_address_that_is_public(address: str) -> None:
    assert is_public(ip_address(address))
    host = f"[{address}]" if ":" in address else address
    check_url(CLOSED, f"https://{host}/hook")


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "127.1", "127.0.1", "2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1"),
        *("017700000001", "0", ANY, "0x0", "169.254.169.254", "2852039166", "10.1"),
        *("[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[fe80::1]", "[fd00::1]"),
        *("[64:ff9b::127.0.0.1]", "192.168.0.1", "127.0.0.1."),
    ],
)
async def test_s5_no_notation_of_a_private_address_is_taken(host: str) -> None:
    """When it is typed, and again when it is called, whatever was stored before."""
    url = f"http://{host}:8080/hook"
    with pytest.raises(BadAddress, match="must be a public address"):
        check_url(CLOSED, url)
    with pytest.raises(OutboundFailed) as failed:
        await send_request(CLOSED, "POST", url, headers={}, seconds=PATIENCE_SECONDS)
    assert str(failed.value) == NOT_REACHED


@pytest.mark.parametrize(
    "url",
    [
        *("", "hook", "//example.com/", "ftp://example.com/", "file:///etc/passwd", "http://"),
        *("http:///hook", "http://example.com:0/", "http://example.com:99999/"),
        *("http://exa mple.com/", "http://example.com/\r\nHost: other", "http://example\t.com/"),
        *("http://user:word@example.com/", "http://user@example.com/", "http://[::1", None, 5),
        *("gopher://example.com/", "http://[fe80::1%25lo]/", "http://a..b/", "http://" + "a" * 70),
        "http://example.com/" + "a" * 3000,
    ],
)
async def test_s5_what_is_no_web_address(url: Any) -> None:
    with pytest.raises(BadAddress):
        check_url(CLOSED, url)


async def test_s5_an_operator_lists_names_addresses_and_networks() -> None:
    settings = Settings(allowed_private_hosts="hooks.internal, 10.1.0.0/16,192.168.1.5, fd00::/8")
    for host in ("10.1.2.3", "192.168.1.5", "[::ffff:10.1.2.3]", "[fd12::1]"):
        check_url(settings, f"http://{host}/")
    for host in ("10.2.0.1", "192.168.1.6", "127.0.0.1"):
        with pytest.raises(BadAddress):
            check_url(settings, f"http://{host}/")
    with pytest.raises(OperatorError, match="allowed_private_hosts"):
        allowed_hosts("10.1.0.0/99")


@asynccontextmanager
async def serving(
    serve: Serve, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None
) -> AsyncIterator[int]:
    """A server of bytes; its port."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        except ConnectionError:
            pass
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(connected, host, 0, ssl=tls)
    async with server:
        yield server.sockets[0].getsockname()[1]


def saying(*pieces: bytes, heads: list[bytes] | None = None) -> Serve:
    """Reads the head of a request, and answers."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        if heads is not None:
            heads.append(head)
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
        await reader.read()

    return serve


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
LONG = b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


async def post(url: str, settings: Settings = OPEN, **more: Any) -> OutboundResponse:
    options: dict[str, Any] = {"headers": {}, "seconds": PATIENCE_SECONDS, **more}
    return await send_request(settings, "POST", url, **options)


async def outcome(url: str, settings: Settings = OPEN, **more: Any) -> str:
    """What users are told of a request that failed."""
    with pytest.raises(OutboundFailed) as failed:
        (await post(url, settings, **more)).check()
    return str(failed.value)


async def test_s5_a_request_as_the_receiver_sees_it() -> None:
    heads: list[bytes] = []
    async with serving(saying(OK, heads=heads)) as port:
        url = f"http://127.0.0.1:{port}/hök?a=ü#part"
        answer = await post(url, headers={"X-One": "1"}, body=b"", most_bytes=2)
    assert (answer.status, bytes(answer.body)) == (200, b"ok")
    lines = heads[0].split(b"\r\n")
    assert lines[0] == b"POST /h%C3%B6k?a=%C3%BC HTTP/1.1"
    assert f"Host: 127.0.0.1:{port}".encode() in lines
    assert b"X-One: 1" in lines


async def test_s5_users_learn_nothing_of_private_addresses() -> None:
    """One text, whether somebody listens there, nobody does, or there is no such name."""
    heads: list[bytes] = []
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        closed = bound.getsockname()[1]
        async with serving(saying(OK, heads=heads)) as port:
            payload = {
                await outcome(f"http://{where}/", CLOSED)
                for where in (
                    *(f"127.0.0.1:{port}", f"localhost:{port}", f"0x7f.1:{port}"),
                    *(f"127.0.0.1:{closed}", f"localhost:{closed}", "no-such-name.invalid"),
                )
            }
    assert payload == {NOT_REACHED}
    assert heads == []


async def test_s5_a_name_is_looked_up_once_and_its_address_is_the_one_called(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """DNS that gives another address the second time leads nowhere else; `Host` is the name."""
    answers = iter(["127.0.0.2", "127.0.0.3"])
    requests, heads, others = [], list[bytes](), list[bytes]()
    real = socket.getaddrinfo

    def resolve(host: Any, *arguments: Any, **named: Any) -> Any:
        if host == "hooks.example":
            requests.append(host)
            host = next(answers)
        return real(host, *arguments, **named)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    settings = Settings(allowed_private_hosts="127.0.0.2")
    async with serving(saying(OK, heads=heads), "127.0.0.2") as port:
        assert (await post(f"http://hooks.example:{port}/", settings)).status == 200
    assert requests == ["hooks.example"]
    assert f"Host: hooks.example:{port}\r\n".encode() in heads[0]
    async with serving(saying(OK, heads=others), "127.0.0.3") as port:
        assert await outcome(f"http://hooks.example:{port}/", settings) == NOT_REACHED
    assert others == []


async def test_s5_a_name_with_one_private_address_is_not_called(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    heads: list[bytes] = []
    async with serving(saying(OK, heads=heads)) as port:
        rows = [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))
            for address in ("127.0.0.1", "10.0.0.1")
        ]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: rows)
        assert await outcome(f"http://both.example:{port}/") == NOT_REACHED
        # Unless its name is listed, which is the operator's word for all that it stands for.
        settings = Settings(allowed_private_hosts="both.example")
        assert (await post(f"http://both.example:{port}/", settings)).status == 200
    assert len(heads) == 1


async def test_s5_a_redirect_is_an_error_and_not_followed() -> None:
    there: list[bytes] = []
    async with serving(saying(OK, heads=there)) as other:
        moved = f"HTTP/1.1 307 Moved\r\nLocation: http://127.0.0.1:{other}/\r\n\r\n".encode()
        async with serving(saying(moved)) as port:
            result = await outcome(f"http://127.0.0.1:{port}/")
    assert result == "answered with an error (3xx)"
    assert there == []


@pytest.mark.parametrize(
    "drips",
    [(b"H",), (b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"), (LONG, b"o"), ()],
    ids=["status", "headers", "body", "nothing"],
)
async def test_s5_everything_together_has_one_deadline(drips: tuple[bytes, ...]) -> None:
    """A receiver that drips a byte now and then; it learns that nobody listens any more."""
    hung_up = asyncio.Event()

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for piece in drips[:1]:
            writer.write(piece)
        ending = asyncio.ensure_future(reader.read())
        while not ending.done():
            writer.write(b"".join(drips[1:]))
            await asyncio.wait({ending}, timeout=0.05)
        hung_up.set()

    async with serving(drip) as port:
        options = {"seconds": 0.5, "most_bytes": 1000}
        assert await outcome(f"http://127.0.0.1:{port}/", **options) == TOO_LATE
        await wait_until("the connection to be closed", hung_up.is_set)


async def test_s5_the_look_up_of_a_name_is_part_of_the_deadline(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import threading

    stop = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: stop.wait() and [])
    try:
        assert await outcome("http://slow.example/", seconds=0.2) == TOO_LATE
    finally:
        stop.set()


async def test_s5_who_wants_no_body_does_not_wait_for_it() -> None:
    async with serving(saying(b"HTTP/1.1 204 No Content\r\nContent-Length: 9\r\n\r\n")) as port:
        assert (await post(f"http://127.0.0.1:{port}/")).status == 204


@pytest.mark.parametrize(
    ("pieces", "message"),
    [
        ((b"SSH-2.0-OpenSSH_9.9\r\n",), NOT_HTTP),
        ((b"HTTP/1.1 200 OK\r\n", *[b"X: " + b"a" * 4096 + b"\r\n"] * 20), NOT_HTTP),
        ((CHUNKED + b"1\r\na\r\n0\r\n", *[b"X: " + b"a" * 4096 + b"\r\n"] * 20), NOT_HTTP),
        ((CHUNKED + b"1;x=", *[b"a" * 4096] * 20), NOT_HTTP),
        ((b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n" + b"a" * 11,), NOT_HTTP),
        ((b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n",), "answered with an error (5xx)"),
        ((b"HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n",), "answered with an error (4xx)"),
    ],
)
async def test_s5_outcomes_are_coarse(pieces: tuple[bytes, ...], message: str) -> None:
    async with serving(saying(*pieces)) as port:
        assert await outcome(f"http://127.0.0.1:{port}/", most_bytes=10) == message


async def test_s5_bodies_of_responses_are_read_whole_or_not_at_all() -> None:
    last = b"2\r\nde\r\n0\r\nX-Trailer: x\r\n\r\n"
    pieces = (b"HTTP/1.1 100 Continue\r\n\r\n", CHUNKED, b"3\r\nabc\r\n", last)

    async def cut_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(CHUNKED + b"3\r\nabc\r\n")
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    async with serving(saying(*pieces)) as port:
        answer = await post(f"http://127.0.0.1:{port}/", most_bytes=5)
        assert (answer.status, bytes(answer.body)) == (200, b"abcde")
        assert "x-trailer" not in answer.headers
    async with serving(cut_off) as port:
        assert await outcome(f"http://127.0.0.1:{port}/", most_bytes=5) == NOT_REACHED


def certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """A certificate of our own for a name, and its key."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    called = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(called)
        .issuer_name(called)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem, private = folder / "certificate.pem", folder / "key.pem"
    pem.write_bytes(builder.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    form = serialization.PrivateFormat.PKCS8
    private.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, plain))
    return pem, private


async def test_s5_tls_is_for_the_name_though_the_address_was_chosen_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pem, key = certificate(tmp_path, "hooks.example")
    monkeypatch.setenv("SSL_CERT_FILE", str(pem))
    outbound_http._tls.cache_clear()
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda *arguments, **_: [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", arguments[1]))
        ],
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, key)
    named: list[str | None] = []
    context.sni_callback = lambda _, name, __: named.append(name)
    heads: list[bytes] = []
    try:
        async with serving(saying(OK, heads=heads), tls=context) as port:
            assert (await post(f"https://hooks.example:{port}/")).status == 200
            assert await outcome(f"https://other.example:{port}/") == NOT_REACHED
    finally:
        outbound_http._tls.cache_clear()
    assert named == ["hooks.example", "other.example"]
    assert len(heads) == 1
    assert f"Host: hooks.example:{port}\r\n".encode() in heads[0]
