"""Which upstream is next.

A policy is pure state: `choose` looks at the upstreams that may be used now, and takes its turn. Others can join:
anything with a `choose` is one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar


class Weighted(Protocol):
    """What a policy needs to know of an upstream. ``turn`` is the policy's own mark on it."""

    turn: int

    @property
    def weight(self) -> int:
        """Its part of the requests, against those of the others."""

    @property
    def in_flight(self) -> int:
        """How many requests it is serving now."""


U = TypeVar("U", bound=Weighted)


class Policy(Protocol):
    """Takes one of the upstreams that may be used."""

    name: str

    def choose(self, candidates: Sequence[U]) -> U:
        """One of ``candidates``, which are never none."""


class RoundRobin:
    """Smooth weighted round robin, as nginx does it (ngx_http_upstream_round_robin.c).

    Everyone gains its weight, the one with the most is taken and pays the sum of all. So in every round each is
    taken exactly as often as its weight says, and the heavy ones not in a row: 5:1:1 is ``a a b a c a a``.
    """

    name = "round-robin"

    def choose(self, candidates: Sequence[U]) -> U:
        total, most = 0, None
        chosen = candidates[0]
        for upstream in candidates:
            weight = upstream.weight
            upstream.turn = turn = upstream.turn + weight
            total += weight
            if most is None or turn > most:  # of equals the first
                chosen, most = upstream, turn
        chosen.turn -= total
        return chosen


class LeastRequests:
    """The one with the fewest requests running for its weight; of equals, by turns.

    Better than turns where requests differ much in length: a slow one does not have others queue behind it.
    """

    name = "least-requests"

    def __init__(self) -> None:
        self._turns = RoundRobin()

    def choose(self, candidates: Sequence[U]) -> U:
        load = [upstream.in_flight / upstream.weight for upstream in candidates]
        least = min(load)
        return self._turns.choose([u for u, has in zip(candidates, load, strict=True) if has == least])


POLICIES: dict[str, type[Policy]] = {"round-robin": RoundRobin, "least-requests": LeastRequests}
"""By the names that settings and the command line use."""
