"""What a limiter has decided so far, by policy: plain numbers, added up where it decides and read by who shows them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from focushub_core.ratelimit.gcra import Decision, all_admit

MOST_NAMES = 100
OTHER = "other"
"""Counts for all policies beyond `MOST_NAMES`: names are labels of metrics, and must not grow without end."""


class Tally:
    """Decisions under one policy; those ``leased`` needed no question to Redis, those ``degraded`` got no answer."""

    __slots__ = ("admitted", "degraded", "leased", "refused")

    def __init__(self) -> None:
        self.admitted = self.refused = self.leased = self.degraded = 0

    def numbers(self) -> dict[str, int]:
        """As a document."""
        return {name: getattr(self, name) for name in ("admitted", "refused", "leased", "degraded")}


class Tallies:
    """A tally for each policy."""

    def __init__(self) -> None:
        self._by_name: dict[str, Tally] = {}

    def __iter__(self) -> Iterator[tuple[str, Tally]]:
        return iter(list(self._by_name.items()))

    def count(self, decisions: Sequence[Decision], *, leased: bool, degraded: bool) -> None:
        """Adds one verdict: a policy counts what it refused, and what all admitted."""
        admitted = all_admit(decisions)
        for decision in decisions:
            name = decision.policy.name
            tally = self._by_name.get(name) or self._new(name)
            if admitted:
                tally.admitted += 1
            elif not decision.allowed:
                tally.refused += 1
            if leased:
                tally.leased += 1
            elif degraded:
                tally.degraded += 1

    def _new(self, name: str) -> Tally:
        if len(self._by_name) >= MOST_NAMES:
            name = OTHER
        return self._by_name.setdefault(name, Tally())
