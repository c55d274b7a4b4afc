"""Network addresses: which of them lie outside, for whoever is told by others where to connect to.

Whoever names a host for the service to call must not reach through it what only the service can reach.
"""

import ipaddress
from collections.abc import Iterable, Sequence
from typing import Final
from urllib.parse import urlsplit

from exchange.kernel.errors import MalformedError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# 6to4 and its relays are no more (RFC 7526): whoever announces the networks now is nobody's relay. Said here, for one
# release of Python 3.11 calls the addresses global and the next one does not.
_RELAYS: Final = ipaddress.IPv4Network("192.88.99.0/24")
_RELAYED: Final = ipaddress.IPv6Network("2002::/16")
# Kept for protocols themselves, of which Python 3.11 knows some addresses alone: a cloud answers its machines there.
_PROTOCOLS: Final = ipaddress.IPv4Network("192.0.0.0/24")
# Documentation (RFC 9637), which Python 3.11 does not know either.
_EXAMPLES: Final = ipaddress.IPv6Network("3fff::/20")


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


def is_loopback(host: str) -> bool:
    """Return whether what goes to `host` never leaves this machine."""
    return host == "localhost" or (is_address(host) and ipaddress.ip_address(host).is_loopback)


def networks_of(texts: Iterable[str]) -> tuple[Network, ...]:
    """Return the networks written as `10.1.0.0/16`; MalformedError for what is none, or has bits behind its prefix."""
    try:
        return tuple(ipaddress.ip_network(text) for text in texts)
    except ValueError as exc:
        raise MalformedError(f"no network: {exc}") from exc


def lies_in(text: str, networks: Sequence[Network]) -> bool:
    """Return whether `text` is an address of one of `networks`, itself and not by what it wraps."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    return any(address in network for network in networks)


def outgoing_problem(url: str, *, networks: Sequence[Network] = (), is_inside_allowed: bool = False) -> str | None:
    """Return why nothing may be sent to `url`: it is no plain HTTPS address, or names what lies inside.

    Addresses in `networks` are allowed, and with `is_inside_allowed` every host is. Where a name leads to has to be
    looked at each time that it is connected to.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return "the url cannot be read: write https://HOST/PATH"
    is_plain = url.isascii() and url.isprintable() and " " not in url and not parts.fragment and "@" not in parts.netloc
    if parts.scheme != "https" or not host or port == 0 or not is_plain:
        return "write the url as https://HOST/PATH, without a name, a password or a fragment in it"
    if is_inside_allowed or not _names_the_inside(host) or lies_in(host, networks):
        return None
    return f"`{host}` is not on the public internet"


def _names_the_inside(host: str) -> bool:
    if is_address(host):
        return not is_public(host)
    last = host.rstrip(".").rpartition(".")[2]
    # Resolvers read 127.1 and 0x7f000001 as addresses too.
    return last in {"localhost", "local", "internal", "localdomain"} or last.isdecimal() or last.startswith("0x")


def _is_public(address: Address) -> bool:
    if isinstance(address, ipaddress.IPv4Address):
        is_odd = address in _RELAYS or address in _PROTOCOLS
    else:
        is_odd = address.is_site_local or address in _RELAYED or address in _EXAMPLES
    return address.is_global and not address.is_multicast and not address.is_reserved and not is_odd


def _wrapped(address: Address) -> list[Address]:
    """Return the IPv4 addresses that an IPv6 address leads to."""
    if isinstance(address, ipaddress.IPv4Address):
        return []
    found = (address.ipv4_mapped, *(address.teredo or ()))
    return [each for each in found if each is not None]
