"""Names of upstreams: an origin such as ``http://gateway:3000`` stands for every address that its name has.

What looks a name up is `focushub_core.proxy.names`; what joins and leaves by it, `Pool.found` says.
"""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlsplit


def host_of(origin: str) -> str:
    """The host of ``origin``, as it is looked up."""
    return urlsplit(origin).hostname or ""


def is_named(origin: str) -> bool:
    """Whether ``origin`` says a name, and no address. An address is never looked up."""
    host = host_of(origin)
    # RFC 3986 section 3.2.2: an IPv6 address stands in brackets; what has only digits and dots is no name
    return ":" not in host and not host.replace(".", "").isdigit()


def at(origin: str, addresses: Iterable[str]) -> list[str]:
    """``origin`` at each of its name's ``addresses``, in their order, each once."""
    scheme, _, rest = origin.partition("://")
    _, colon, port = rest.rpartition(":")
    behind = f":{port}" if colon else ""
    hosts = (f"[{address}]" if ":" in address else address for address in addresses)
    return list(dict.fromkeys(f"{scheme}://{host}{behind}" for host in hosts))
