"""Whose request it is, by address, when proxies stand in between.

Rules that hold here:

* ``X-Forwarded-For`` is a claim. It counts only as far as trusted proxies wrote it: it is read from right to
  left, and the first address that is not a trusted proxy's is the client's. No proxy is trusted by default.
* What cannot be read ends the walk: the last address that was vouched for is the client's.
* IPv6 is limited by /64: one customer has at least 2**64 addresses (RFC 6177).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from focushub_core.errors import ConfigurationError

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

LONGEST = 100
"""Characters of what may be an address: no more is kept of what clients send."""
UNKNOWN = "unknown"
"""The bucket of all peers without an address, those on a Unix socket."""


def parse_networks(text: str) -> tuple[Network, ...]:
    """Trusted networks from a list such as ``10.0.0.0/8, ::1``."""
    try:
        return tuple(ip_network(part.strip()) for part in text.split(",") if part.strip())
    except ValueError as error:
        raise ConfigurationError(f"trusted proxies: {error}") from error


def client_address(
    peer: str | None, forwarded_for: Iterable[str] = (), trusted: Sequence[Network] = ()
) -> Address | None:
    """The client's address: ``peer`` is the socket's, ``forwarded_for`` the ``X-Forwarded-For`` lines in order."""
    client = parse_address(peer or "")
    if client is None or not is_trusted(client, trusted):
        return client
    for entry in reversed([part for line in forwarded_for for part in line.split(",")]):
        address = parse_address(entry)
        if address is None:
            break
        client = address
        if not is_trusted(client, trusted):
            break
    return client


def parse_address(text: str) -> Address | None:
    """An address out of ``192.0.2.1``, ``192.0.2.1:80``, ``2001:db8::1``, ``[2001:db8::1]:80``; else None."""
    return _parse_address(text.strip()) if len(text) <= LONGEST else None


@lru_cache(maxsize=4096)
def _parse_address(text: str) -> Address | None:
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    # ::ffff:192.0.2.1 is 192.0.2.1, or one client would have two buckets (RFC 4291 section 2.5.5.2)
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


def is_trusted(address: Address, trusted: Sequence[Network]) -> bool:
    """Whether ``address`` lies in one of the trusted networks."""
    return any(address in network for network in trusted)


def bucket_key(address: Address | None) -> str:
    """The name of the address' bucket: an IPv4 address, or an IPv6 /64."""
    return UNKNOWN if address is None else _bucket_key(int(address), address.version)


@lru_cache(maxsize=4096)
def _bucket_key(number: int, version: int) -> str:
    if version == 4:
        return str(IPv4Address(number))
    return str(IPv6Network((number >> 64 << 64, 64)))
