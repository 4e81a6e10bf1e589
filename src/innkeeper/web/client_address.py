"""Where a request comes from, as limits count it."""

from functools import cache
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import Final

from starlette.requests import Request

from innkeeper.errors import OperatorError
from innkeeper.settings import Settings

LONGEST_HEADER: Final = 2000


def client_address(request: Request, settings: Settings) -> str:
    """The caller's address; of IPv6 the network of a subscriber, who has all of its addresses.

    Proxies that the operator trusts name the caller in X-Forwarded-For, whose last entries are
    theirs; what anybody else writes there is ignored.
    """
    address = _address_of(request.client.host if request.client else "")
    if address is None:
        return ""
    forwarded = ",".join(request.headers.getlist("x-forwarded-for"))[-LONGEST_HEADER:].split(",")
    proxies = trusted_networks(settings.trusted_proxies)
    while forwarded and any(address in network for network in proxies):
        named = _address_of(forwarded.pop().strip())
        if named is None:
            break
        address = named
    if isinstance(address, IPv6Address):
        return str(IPv6Network((int(address) >> 64 << 64, 64)))
    return str(address)


@cache
def trusted_networks(text: str) -> tuple[IPv4Network | IPv6Network, ...]:
    """Networks of a setting; raises `OperatorError` for what is none."""
    try:
        return tuple(ip_network(each.strip()) for each in text.split(",") if each.strip())
    except ValueError as error:
        raise OperatorError(f"trusted_proxies: {error}.") from None


def _address_of(text: str) -> IPv4Address | IPv6Address | None:
    try:
        found = ip_address(text)
    except ValueError:
        return None
    # A socket of both families names callers of IPv4 like this.
    return (isinstance(found, IPv6Address) and found.ipv4_mapped) or found
