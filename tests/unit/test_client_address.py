"""S3: the address that log-ins are limited by."""

import pytest
from starlette.requests import Request

from innkeeper.errors import OperatorError
from innkeeper.settings import Settings
from innkeeper.web.client_address import client_address, trusted_networks

PROXIES = "127.0.0.0/8, ::1/128, 10.1.2.3"


def request(peer: str, *forwarded: str) -> Request:
    headers = [(b"x-forwarded-for", each.encode("latin-1")) for each in forwarded]
    return Request({"type": "http", "headers": headers, "client": (peer, 1)})


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("203.0.113.9", (), "203.0.113.9"),
        # Whoever is no proxy of ours may write what they like.
        ("203.0.113.9", ("198.51.100.1",), "203.0.113.9"),
        ("127.0.0.1", ("198.51.100.1",), "198.51.100.1"),
        ("::1", ("198.51.100.1",), "198.51.100.1"),
        ("::ffff:127.0.0.1", ("198.51.100.1",), "198.51.100.1"),
        # The last entry is the proxy's, the ones before it the caller's own words.
        ("127.0.0.1", ("1.1.1.1, 198.51.100.1",), "198.51.100.1"),
        ("127.0.0.1", ("1.1.1.1", "198.51.100.1, 10.1.2.3"), "198.51.100.1"),
        ("127.0.0.1", ("10.1.2.3",), "10.1.2.3"),
        ("127.0.0.1", (), "127.0.0.1"),
        ("127.0.0.1", ("nonsense, \xff",), "127.0.0.1"),
        ("127.0.0.1", ("9," * 100_000,), "127.0.0.1"),
        # A subscriber has a whole network of IPv6.
        ("2001:db8:1:2:3:4:5:6", (), "2001:db8:1:2::/64"),
        ("127.0.0.1", ("2001:db8:1:2:ffff::",), "2001:db8:1:2::/64"),
        ("::ffff:198.51.100.1", (), "198.51.100.1"),
        ("testclient", (), ""),
    ],
)
def test_s3_the_address_of_a_caller(peer: str, forwarded: tuple[str, ...], address: str) -> None:
    settings = Settings(trusted_proxies=PROXIES)
    assert client_address(request(peer, *forwarded), settings) == address


def test_s3_a_network_that_is_none_is_named() -> None:
    with pytest.raises(OperatorError, match=r"trusted_proxies: .*10\.0\.0/8"):
        trusted_networks("10.0.0/8")
