"""What a limiter has decided so far, by policy: plain numbers, added up where it decides and read by who shows them."""

from __future__ import annotations

from collections.abc import Sequence

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


class Tallies(dict[str, Tally]):
    """A tally for each policy, by name."""

    def __missing__(self, name: str) -> Tally:
        return self.setdefault(name if len(self) < MOST_NAMES else OTHER, Tally())

    def count(self, decisions: Sequence[Decision], *, leased: bool, degraded: bool) -> None:
        """Adds one verdict: a policy counts what it refused, and what all admitted."""
        admitted = all_admit(decisions)
        for decision in decisions:
            tally = self[decision.policy.name]
            if admitted:
                tally.admitted += 1
            elif not decision.allowed:
                tally.refused += 1
            if leased:
                tally.leased += 1
            elif degraded:
                tally.degraded += 1
