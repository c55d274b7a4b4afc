"""Network addresses: which of them lie outside, for whoever is told by others where to connect to.

Whoever names a host for the service to call must not reach through it what only the service can reach.
"""

import ipaddress
from typing import Final

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# Relays of 6to4, which are no more (RFC 7526): whoever announces the network now is nobody's relay.
_RELAYS: Final = ipaddress.IPv4Network("192.88.99.0/24")


def is_public(text: str) -> bool:
    """Return whether `text` is an address of the public internet and of one machine.

    False for loopback, link-local, private, shared, documentation, multicast and reserved ones (all of ::/8 is: what
    wraps an IPv4 address for a translator too), for IPv6 forms that lead to such an address, and for no address at all.
    """
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return False
    return all(_is_public(each) for each in (address, *_wrapped(address)))


def is_address(host: str) -> bool:
    """Return whether `host` is an address rather than a name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _is_public(address: Address) -> bool:
    is_odd = address in _RELAYS if isinstance(address, ipaddress.IPv4Address) else address.is_site_local
    return address.is_global and not address.is_multicast and not address.is_reserved and not is_odd


def _wrapped(address: Address) -> list[Address]:
    """Return the IPv4 addresses that an IPv6 address leads to."""
    if isinstance(address, ipaddress.IPv4Address):
        return []
    found = (address.ipv4_mapped, address.sixtofour, *(address.teredo or ()))
    return [each for each in found if each is not None]
