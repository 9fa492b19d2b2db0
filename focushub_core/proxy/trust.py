"""Whose word is taken for where a request came from."""

from __future__ import annotations

from collections.abc import Callable


def truster(networks: str) -> Callable[[str], bool]:
    """Whether an address lies in one of ``networks`` (``10.0.0.0/8, ::1``); without any, nothing is loaded for it."""
    if not networks.strip():
        return lambda _: False
    from focushub_core.ratelimit.address import is_trusted, parse_address, parse_networks

    trusted = parse_networks(networks)

    def trusts(peer: str) -> bool:
        address = parse_address(peer)
        return address is not None and is_trusted(address, trusted)

    return trusts
