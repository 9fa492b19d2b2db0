"""What a request costs: which policies hold for it, and in whose bucket each counts it.

Knows nothing of aiohttp: whatever serves HTTP says who asks for what. What was asked before is remembered, because
nearly all requests are of somebody who asked for the same a moment ago.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence

import msgspec

from focushub_core.ratelimit.address import Network, bucket_key, client_address
from focushub_core.ratelimit.gcra import Charge
from focushub_core.ratelimit.policy import Caller, Policy

REMEMBERED = 4096
"""Requests of which it is remembered what they cost."""
LONGEST = 200
"""Characters of a path and of ``X-Forwarded-For`` beyond which it is not."""

Remembered = tuple[tuple[Policy, ...], tuple[Charge, ...]]
"""What the handler brought along (kept, because it is known by its identity), and the charges."""


class Counting:
    """The charges of requests under ``policies``; ``trusted`` are the networks whose ``X-Forwarded-For`` counts."""

    def __init__(self, policies: Sequence[Policy] = (), trusted: Sequence[Network] = ()) -> None:
        self.policies = tuple(policies)
        self.trusted = tuple(trusted)
        self.by_path = depends_on_path(self.policies)
        self._remembered: dict[Hashable, Remembered] = {}

    def charges(
        self,
        method: str,
        path: str,
        route: str,
        *,
        user: str | None = None,
        peer: str | None = None,
        forwarded: tuple[str, ...] = (),
        brought: tuple[Policy, ...] = (),
    ) -> tuple[Charge, ...]:
        """One permit of each policy that holds, those that the handler brought along (`limit`) among them.

        ``peer`` is the socket's address, ``forwarded`` the lines of ``X-Forwarded-For`` in order.
        """
        key: Hashable = (method, path if self.by_path else "", route, user, peer, forwarded, id(brought))
        found = self._remembered.get(key)
        if found is None:
            found = brought, self._count(Caller(path, method, route, user), peer, forwarded, brought)
            self._remember(key, path, forwarded, found)
        return found[1]

    def _count(
        self, caller: Caller, peer: str | None, forwarded: Sequence[str], brought: Sequence[Policy]
    ) -> tuple[Charge, ...]:
        address = client_address(peer, forwarded, self.trusted)
        caller = msgspec.structs.replace(caller, address=address, house=bucket_key(address))
        held = (Charge(policy, policy.key(caller)) for policy in self.policies if policy.holds(caller))
        return (*held, *_brought(brought, caller))

    def _remember(self, key: Hashable, path: str, forwarded: Sequence[str], found: Remembered) -> None:
        if len(path) + sum(map(len, forwarded)) > LONGEST or (not self.by_path and depends_on_path(found[0])):
            return
        if len(self._remembered) >= REMEMBERED:
            self._remembered.clear()
        self._remembered[key] = found


def depends_on_path(policies: Sequence[Policy]) -> bool:
    """Whether it takes a request's path to know which of them hold."""
    return any(policy.routes or policy.exempt_routes for policy in policies)


def _brought(policies: Sequence[Policy], caller: Caller) -> Iterator[Charge]:
    """A handler's own limits: by user, somebody who is not known is counted by address."""
    for policy in policies:
        counted = caller
        if "user" in policy.kinds and caller.user is None:
            counted = msgspec.structs.replace(caller, user=f"address:{caller.house}")
        elif caller.user is not None and policy.kinds == ("address",):
            counted = msgspec.structs.replace(caller, user=None)  # on a handler it counts who is known, too
        if policy.holds(counted):
            yield Charge(policy, policy.key(counted))
