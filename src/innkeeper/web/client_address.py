"""The network address of a client, by which limits count requests."""

from functools import cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

from starlette.requests import Request

from innkeeper.errors import OperatorError
from innkeeper.settings import Settings

LONGEST_HEADER: Final = 2000


def client_address(request: Request, settings: Settings) -> str:
    """Return the client's IPv4 address or its /64 network of IPv6, which one subscriber holds.

    X-Forwarded-For counts from its last entry, and only as far as trusted proxies wrote it: the
    other entries are ignored. Empty when the address is unknown.
    """
    address = _address_of(request.client.host if request.client else "")
    if address is None:
        return ""
    forwarded = ",".join(request.headers.getlist("x-forwarded-for"))[-LONGEST_HEADER:].split(",")
    proxies = trusted_networks(settings.trusted_proxies)
    while forwarded and any(address in network for network in proxies):
        previous = _address_of(forwarded.pop().strip())
        if previous is None:
            break
        address = previous
    if isinstance(address, IPv6Address):
        return str(IPv6Network((int(address) >> 64 << 64, 64)))
    return str(address)


@cache
def trusted_networks(text: str) -> tuple[IPv4Network | IPv6Network, ...]:
    """Parse a comma-separated list of networks; raises `OperatorError` for an invalid one."""
    try:
        return tuple(ip_network(each.strip()) for each in text.split(",") if each.strip())
    except ValueError as error:
        raise OperatorError(f"trusted_proxies: {error}.") from None


def _address_of(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    # A socket of both families reports IPv4 clients as mapped addresses of IPv6.
    return (isinstance(address, IPv6Address) and address.ipv4_mapped) or address
