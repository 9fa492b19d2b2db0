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


U = TypeVar("U", bound=Weighted)


class Policy(Protocol):
    """Takes one of the upstreams that may be used."""

    def choose(self, candidates: Sequence[U]) -> U:
        """One of ``candidates``, which are never none."""


class RoundRobin:
    """Smooth weighted round robin, as nginx does it (ngx_http_upstream_round_robin.c).

    Everyone gains its weight, the one with the most is taken and pays the sum of all. So in every round each is
    taken exactly as often as its weight says, and the heavy ones not in a row: 5:1:1 is ``a a b a c a a``.
    """

    def choose(self, candidates: Sequence[U]) -> U:
        total = 0
        for upstream in candidates:
            upstream.turn += upstream.weight
            total += upstream.weight
        chosen = max(candidates, key=lambda upstream: upstream.turn)  # of equals the first
        chosen.turn -= total
        return chosen
