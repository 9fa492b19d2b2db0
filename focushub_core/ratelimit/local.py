"""Buckets in this process: for one process alone, and for all of them while Redis is away.

Memory is bounded (`generations`): what is dropped by age was full again and is missed by nobody; what is dropped for
room was used least recently, and gives its owner one more burst. A bucket is known by Python's keyed 64-bit hash of its
name, which takes a third of the name's memory: among a million, the odds that any two are one are 3 in 10**8.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from focushub_core.ratelimit.gcra import Charge, Decision, debt_of, decide, decide_all
from focushub_core.ratelimit.generations import Generations
from focushub_core.ratelimit.policy import Policy

MAX_KEYS = 1_000_000
"""Buckets; as many take about 150 MB."""


def monotonic_us() -> int:
    """Whole microseconds that never go back."""
    return time.monotonic_ns() // 1000


class LocalStore:
    """At most ``max_keys`` buckets by the process' own clock (microseconds that never go back)."""

    def __init__(self, *, max_keys: int = MAX_KEYS, clock: Callable[[], int] = monotonic_us) -> None:
        self._clock = clock
        self._tats: Generations[int, int] = Generations(max_keys, clock())
        self._longest_us = 0

    def __len__(self) -> int:
        return len(self._tats)

    def decide(self, charges: Sequence[Charge]) -> tuple[Decision, ...]:
        """One decision for each charge; nothing in it waits."""
        now = self._clock()
        self._tats.age(now, self._longest_us)
        if len(charges) == 1:
            return (self._decide(charges[0], now),)
        debts = [debt_of(charge.policy, self._tats.get(hash(charge.bucket)) or 0, now) for charge in charges]
        decisions, tats = decide_all(charges, debts, now)
        if all(decision.allowed for decision in decisions):
            for charge, tat in zip(charges, tats, strict=True):
                self._keep(hash(charge.bucket), tat, charge.policy, now)
        return decisions

    def _decide(self, charge: Charge, now: int) -> Decision:
        bucket = hash(charge.bucket)
        decision, tat = decide(charge.policy, self._tats.get(bucket) or 0, now, charge.cost)
        if decision.allowed:
            self._keep(bucket, tat, charge.policy, now)
        return decision

    def _keep(self, bucket: int, tat: int, policy: Policy, now: int) -> None:
        self._tats.put(bucket, tat, now)
        self._longest_us = max(self._longest_us, policy.tolerance_us)

    async def charge(self, charges: Sequence[Charge]) -> tuple[Decision, ...]:
        return self.decide(charges)

    async def ping(self) -> int:
        """Always there, and alone."""
        return 1

    async def close(self) -> None:
        self._tats.clear()
