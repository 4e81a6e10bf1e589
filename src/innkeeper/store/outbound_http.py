"""HTTP requests to other systems, at addresses that users choose.

A name is resolved once, all its addresses are checked, and the connection goes to one of them, with
the name for TLS and `Host`; later changes in DNS have no effect. Only public addresses are allowed,
unless the operator lists others (`allowed_private_hosts`). Redirects are not followed, proxies of
the environment are not used, and one deadline covers the request from the DNS lookup to the last
byte.

Users see an `OutboundFailed`, which reveals as little as possible; the log has the details.
"""

import asyncio
import logging
import socket
import ssl
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import IO, Final
from urllib.parse import quote, urlsplit

import httptools

from innkeeper.errors import OperatorError
from innkeeper.settings import Settings
from innkeeper.store.external_calls import outside

log = logging.getLogger(__name__)

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

MOST_ADDRESSES: Final = 4
"""Number of addresses of a name that are tried."""
MOST_HEAD_BYTES: Final = 65_536
LONGEST_URL: Final = 2048
_BLOCK: Final = 65_536
_PORTS: Final = {"http": 80, "https": 443}
_GLOBAL_UNICAST: Final = IPv6Network("2000::/3")
# Global networks that forward packets to an embedded IPv4 address (Teredo, 6to4), and one for
# documentation that Python does not know.
_NOT_PUBLIC: Final = tuple(map(IPv6Network, ("2001::/32", "2002::/16", "3fff::/20")))
_NAT64: Final = IPv6Network("64:ff9b::/96")

NOT_REACHED: Final = "could not be reached, or is not an address that may be called"
TOO_LATE: Final = "did not answer in time"
NOT_HTTP: Final = "did not answer with HTTP"


class BadAddress(ValueError):
    """A URL that is not allowed; the message is the reason."""


class OutboundFailed(Exception):
    """A request that failed or got an error response; the text is for users."""


@dataclass(frozen=True, slots=True)
class Target:
    """A parsed URL."""

    scheme: str
    host: str
    """In ASCII, without the brackets of IPv6."""
    port: int
    path: str

    @property
    def host_header(self) -> str:
        name = f"[{self.host}]" if ":" in self.host else self.host
        return name if self.port == _PORTS[self.scheme] else f"{name}:{self.port}"


@dataclass(slots=True)
class OutboundResponse:
    """A response, with as much of the body as was requested."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytearray = field(default_factory=bytearray)
    is_cut: bool = False
    """Whether the body is longer than what was read of it."""

    def check(self) -> None:
        """Raise `OutboundFailed` unless the status is a success."""
        if not 200 <= self.status < 300:
            raise OutboundFailed(f"answered with an error ({self.status // 100}xx)")


def target_of(url: object) -> Target:
    """Parse a URL; raises `BadAddress`."""
    if not isinstance(url, str) or not url.isprintable() or len(url) > LONGEST_URL or " " in url:
        raise BadAddress("must be an http or https URL")
    try:
        parts = urlsplit(url)
        port = parts.port
        host = (parts.hostname or "").rstrip(".").encode("idna").decode()
    except (ValueError, UnicodeError):
        raise BadAddress("must be an http or https URL") from None
    if parts.scheme not in _PORTS or not host or port == 0 or "%" in host:
        raise BadAddress("must be an http or https URL")
    if parts.username is not None or parts.password is not None:
        raise BadAddress("must not contain a user name or a password")
    path = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~-._")
    query = quote(parts.query, safe="/%:@!$&'()*+,;=~-._?")
    return Target(
        parts.scheme, host, port or _PORTS[parts.scheme], path + ("?" if query else "") + query
    )


def check_url(settings: Settings, url: object) -> None:
    """Raise `BadAddress` for a URL that can never be called: an invalid one, or a numeric address,
    in any notation, that is not public. Names are resolved when they are called."""
    target = target_of(url)
    address = _literal(target.host)
    if address is not None and not _is_allowed(settings, target.host, address):
        raise BadAddress("must be a public address, unless the operator allows it")


def is_public(address: Address) -> bool:
    """Whether an address is public, and does not embed an address that is not."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped:
            return is_public(address.ipv4_mapped)
        if address in _NAT64:
            return is_public(IPv4Address(int(address) & 0xFFFFFFFF))
        if address not in _GLOBAL_UNICAST or any(address in each for each in _NOT_PUBLIC):
            return False
    return address.is_global and not address.is_multicast and not address.is_reserved


@cache
def allowed_hosts(text: str) -> tuple[frozenset[str], tuple[Network, ...]]:
    """Parse a list of names and networks of a setting; raises `OperatorError`."""
    names, networks = set(), []
    for each in filter(None, map(str.strip, text.split(","))):
        try:
            networks.append(ip_network(each))
        except ValueError as error:
            if "/" in each or not each.isascii() or ":" in each:
                raise OperatorError(f"allowed_private_hosts: {error}.") from None
            names.add(each.lower().rstrip("."))
    return frozenset(names), tuple(networks)


async def send_request(
    settings: Settings,
    method: str,
    url: str,
    *,
    headers: Mapping[str, str],
    body: bytes = b"",
    seconds: float,
    most_bytes: int = 0,
    cuts: bool = False,
    sink: IO[bytes] | None = None,
    allows_private: bool = False,
) -> OutboundResponse:
    """Send one request and return its response; raises `OutboundFailed` when none came.

    Of the response's body `most_bytes` are read; a longer one fails, or ends there if `cuts`. With
    0 the body is not awaited. That of a success is written to `sink`, if there is one. Everything
    together takes `seconds` at most. `allows_private`: the operator chose the URL, so its address
    need not be public.
    """
    try:
        target = target_of(url)
        async with asyncio.timeout(seconds):
            addresses = await _resolve(settings, target, allows_private=allows_private)
            reader, writer = await _connect(target, addresses)
            try:
                writer.write(_head(method, target, headers, body) + body)
                # A receiver may answer before it has read all, and then reads no more.
                draining = asyncio.ensure_future(writer.drain())
                try:
                    return await _response(reader, _Reading(most_bytes, sink, cuts=cuts))
                finally:
                    draining.cancel()
                    await asyncio.gather(draining, return_exceptions=True)
            finally:
                writer.transport.abort()
    except BadAddress as error:
        raise _failed(url, NOT_REACHED, error) from None
    except TimeoutError as error:
        raise _failed(url, TOO_LATE, error) from None
    except (OSError, EOFError) as error:
        raise _failed(url, NOT_REACHED, error) from None
    except httptools.HttpParserError as error:
        raise _failed(url, NOT_HTTP, error) from None


def _literal(host: str) -> Address | None:
    """Return the address of a numeric host; None for a name."""
    with suppress(OSError):
        # As the C library reads 127.1, 0x7f000001 and 2130706433.
        return ip_address(socket.inet_aton(host))
    with suppress(ValueError):
        return ip_address(host)
    return None


def _is_allowed(settings: Settings, host: str, address: Address) -> bool:
    if is_public(address):
        return True
    names, networks = allowed_hosts(settings.allowed_private_hosts)
    plain = (isinstance(address, IPv6Address) and address.ipv4_mapped) or address
    return host.lower() in names or any(plain in network for network in networks)


async def _resolve(settings: Settings, target: Target, *, allows_private: bool) -> list[Address]:
    """Resolve a name; raises `BadAddress` if any of its addresses may not be called."""
    entries = await outside(socket.getaddrinfo, target.host, target.port, 0, socket.SOCK_STREAM)
    # A link-local address has a zone, which is not part of the address.
    addresses = [ip_address(str(each[4][0]).partition("%")[0]) for each in entries]
    refused = [each for each in addresses if not _is_allowed(settings, target.host, each)]
    if (refused and not allows_private) or not addresses:
        raise BadAddress(f"{target.host} is {', '.join(map(str, refused))}, which is not public")
    return list(dict.fromkeys(addresses))[:MOST_ADDRESSES]


async def _connect(
    target: Target, addresses: list[Address]
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    last: OSError = OSError("no address")
    for address in addresses:
        try:
            return await asyncio.open_connection(
                str(address),
                target.port,
                ssl=_tls() if target.scheme == "https" else None,
                server_hostname=target.host if target.scheme == "https" else None,
            )
        except OSError as error:
            last = error
    raise last


@cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()


def _head(method: str, target: Target, headers: Mapping[str, str], body: bytes) -> bytes:
    lines = [f"{method} {target.path} HTTP/1.1", f"Host: {target.host_header}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    lines += [f"Content-Length: {len(body)}", "Accept-Encoding: identity", "Connection: close"]
    if any(not line.isprintable() for line in lines):
        raise BadAddress("a header contains a line break")
    return "\r\n".join([*lines, "", ""]).encode("latin-1", "replace")


async def _response(reader: asyncio.StreamReader, reading: "_Reading") -> OutboundResponse:
    parser = httptools.HttpResponseParser(reading)
    reading.parser = parser
    while not reading.is_done:
        block = await reader.read(_BLOCK)
        if not block:
            sized = {"content-length", "transfer-encoding"} & reading.response.headers.keys()
            if reading.in_body and not sized:
                # The end of the connection is the end of a body that names no length.
                break
            raise EOFError("the connection was closed before the response was complete")
        reading.count(len(block))
        parser.feed_data(block)
    return reading.response


class _Reading:
    """What the parser calls; responses before the last (100, 103) are passed over."""

    parser: httptools.HttpResponseParser

    def __init__(self, most_bytes: int, sink: IO[bytes] | None, *, cuts: bool = False) -> None:
        self.response = OutboundResponse()
        self.in_body = False
        self.is_done = False
        self._most = most_bytes
        self._cuts = cuts
        self._sink = sink
        self._size = 0
        self._bytes_without_body = 0
        """Bytes since the start, or since the last part of the body."""

    def count(self, size: int) -> None:
        """Raise for a head, a chunk header or trailers that are too long."""
        self._bytes_without_body += size
        if self._bytes_without_body > MOST_HEAD_BYTES:
            raise httptools.HttpParserError("the head of the response is too long")

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.in_body:
            # A trailer: callers read the head only.
            return
        self.response.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        self.response.status = self.parser.get_status_code()
        if self.response.status >= 200:
            self.in_body = True
            # Without a need for the body, the response ends here.
            self.is_done = not self._most

    def on_body(self, body: bytes) -> None:
        if self.is_done:
            return
        self._bytes_without_body = 0
        self._size += len(body)
        if self._size > self._most and self._cuts:
            self.response.body += body[: self._most - self._size]
            self.response.is_cut = self.is_done = True
            return
        if self._size > self._most:
            raise httptools.HttpParserError("the body of the response is too long")
        if self._sink is not None and self.response.status < 300:
            self._sink.write(body)
        else:
            self.response.body += body

    def on_message_complete(self) -> None:
        if self.response.status >= 200:
            self.is_done = True
        else:
            self.response = OutboundResponse()


def _failed(url: str, outcome: str, error: Exception) -> OutboundFailed:
    # Paths and queries of webhooks hold secrets.
    where = urlsplit(url).netloc.rpartition("@")[2] if url.isprintable() else "?"
    log.warning("a request to %s failed: %s", where, error or type(error).__name__)
    return OutboundFailed(outcome)
