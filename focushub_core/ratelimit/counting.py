"""What a request costs: which policies hold for it, and in whose bucket each counts it.

Knows nothing of aiohttp: whatever serves HTTP says who asks for what. What was asked before is remembered, because
nearly all requests are of somebody who asked for the same a moment ago.

Rules that hold here:

* Of a path only its zone counts, the longest prefix that a policy names and that the path lies under: what holds for
  one path of a zone holds for all. So what is remembered does not grow with the paths that clients make up.
* What is remembered is bounded in number and in length.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence

import msgspec

from focushub_core.ratelimit.address import Network, bucket_key, client_address
from focushub_core.ratelimit.fields import Form
from focushub_core.ratelimit.gcra import Charge
from focushub_core.ratelimit.limiter import Limiter
from focushub_core.ratelimit.policy import Caller, Policy, lies_under
from focushub_core.ratelimit.purse import Purse

REMEMBERED = 4096
"""Requests of which it is remembered what they cost."""
LONGEST = 200
"""Characters of ``X-Forwarded-For`` beyond which it is not."""


class Bill(msgspec.Struct, frozen=True):
    """What a request costs, and how answers to it tell what is left. No two charges are of one bucket."""

    charges: tuple[Charge, ...]
    form: Form
    purse: Purse | None = None
    """Pays for them where leases do."""
    brought: tuple[Policy, ...] = ()
    """What the handler brought along; kept, because what is remembered goes by its identity."""

    @classmethod
    def of(
        cls, charges: tuple[Charge, ...], limiter: Limiter | None = None, brought: tuple[Policy, ...] = ()
    ) -> Bill:
        """The bill for ``charges``, which ``limiter`` decides on."""
        if len({charge.bucket for charge in charges}) != len(charges):
            raise ValueError("one bucket is charged twice by one request")
        purse = None if limiter is None else limiter.purse(charges)
        return cls(charges, Form.of(charge.policy for charge in charges), purse, brought)


NOTHING = Bill.of(())


class Counting:
    """The bills of requests under ``policies``, which ``limiter`` decides on.

    ``trusted`` are the networks whose ``X-Forwarded-For`` counts.
    """

    def __init__(
        self, limiter: Limiter, policies: Sequence[Policy] = (), trusted: Sequence[Network] = ()
    ) -> None:
        self._limiter = limiter
        self.policies = tuple(policies)
        self.trusted = tuple(trusted)
        self.by_path = depends_on_path(self.policies)
        named = {prefix for policy in policies for prefix in (*policy.routes, *policy.exempt_routes)}
        self._prefixes = sorted(named, key=len, reverse=True)
        self._beginnings = tuple(prefix.rstrip("/") for prefix in self._prefixes)
        self._remembered: dict[Hashable, Bill] = {}

    def zone(self, path: str) -> str:
        """The longest prefix of the policies' that ``path`` lies under, or ``""``: all that they have to know of it."""
        if not path.startswith(self._beginnings):
            return ""
        return next((prefix for prefix in self._prefixes if lies_under(path, prefix)), "")

    def bill(
        self,
        method: str,
        path: str,
        route: str,
        *,
        user: str | None = None,
        peer: str | None = None,
        forwarded: tuple[str, ...] = (),
        brought: tuple[Policy, ...] = (),
    ) -> Bill:
        """One permit of each policy that holds, those that the handler brought along (`limit`) among them.

        ``path`` may be its zone. ``peer`` is the socket's address, ``forwarded`` the lines of ``X-Forwarded-For`` in
        order.
        """
        zone = self.zone(path) if self.by_path else ""
        key = (method, zone, route, user, peer, forwarded, id(brought))
        found = self._remembered.get(key)
        if found is None:
            found = self._count(Caller(path, method, route, user), peer, forwarded, brought)
            if sum(map(len, forwarded)) <= LONGEST and not depends_on_path(brought):
                self._remember(key, found)
        return found

    def _count(
        self, caller: Caller, peer: str | None, forwarded: Sequence[str], brought: tuple[Policy, ...]
    ) -> Bill:
        address = client_address(peer, forwarded, self.trusted)
        caller = msgspec.structs.replace(caller, address=address, house=bucket_key(address))
        held = (Charge(policy, policy.key(caller)) for policy in self.policies if policy.holds(caller))
        return Bill.of((*held, *_brought(brought, caller)), self._limiter, brought)

    def _remember(self, key: Hashable, bill: Bill) -> None:
        if len(self._remembered) >= REMEMBERED:
            self._remembered.clear()
        self._remembered[key] = bill


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
