"""What a proxy on aiohttp knows about the request before it."""

from __future__ import annotations

from collections.abc import Sequence

from aiohttp import web

from focushub_core.proxy.headers import Hop
from focushub_core.ratelimit.address import Network, is_trusted, parse_address
from focushub_core.telemetry.context import request_id


def hop_of(request: web.Request, name: str, trusted: Sequence[Network] = ()) -> Hop:
    """The hop of ``request`` through the proxy ``name``; peers in ``trusted`` networks are believed."""
    peer = request.remote or "unknown"
    address = parse_address(peer)
    return Hop(
        name=name,
        peer=peer,
        peer_trusted=address is not None and is_trusted(address, trusted),
        scheme=request.scheme,
        host=request.headers.get("Host", ""),
        request_id=request_id.get() or "",
    )
