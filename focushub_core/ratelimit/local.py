"""Buckets in this process: for one process alone, and for all of them while Redis is away.

Rules that hold here:

* Memory is bounded. Buckets live in two generations; a bucket that is used moves to the young one. When the
  young one is as old as the longest wait, or full, the old one is dropped and the young one grows old.
* So what is dropped by age was full again and is missed by nobody; what is dropped for room was used least
  recently, and gives its owner one more burst.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from focushub_core.ratelimit.gcra import Charge, Decision, debt_of, decide_all


def _monotonic_us() -> int:
    return time.monotonic_ns() // 1000


class LocalStore:
    """At most ``max_keys`` buckets by the process' own clock (microseconds that never go back)."""

    def __init__(self, *, max_keys: int = 100_000, clock: Callable[[], int] = _monotonic_us) -> None:
        self._half = max(1, max_keys // 2)
        self._clock = clock
        self._young: dict[str, int] = {}
        self._old: dict[str, int] = {}
        self._longest_us = 0
        self._turned_us = clock()

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def decide(self, charges: Sequence[Charge]) -> tuple[Decision, ...]:
        """What `charge` does; nothing in it waits."""
        now = self._clock()
        self._turn(now)
        debts = [debt_of(charge.policy, self._tat(charge.bucket), now) for charge in charges]
        decisions, tats = decide_all(charges, debts, now)
        if all(decision.allowed for decision in decisions):
            for charge, tat in zip(charges, tats, strict=True):
                self._keep(charge, tat, now)
        return decisions

    async def charge(self, charges: Sequence[Charge]) -> tuple[Decision, ...]:
        return self.decide(charges)

    async def ping(self) -> None:
        """Always there."""

    async def close(self) -> None:
        self._young, self._old = {}, {}

    def _tat(self, bucket: str) -> int:
        tat = self._young.get(bucket)
        return self._old.get(bucket, 0) if tat is None else tat

    def _keep(self, charge: Charge, tat: int, now: int) -> None:
        bucket = charge.bucket
        self._old.pop(bucket, None)
        if bucket not in self._young and len(self._young) >= self._half:
            self._rotate(now)
        self._young[bucket] = tat
        self._longest_us = max(self._longest_us, charge.policy.tolerance_us)

    def _turn(self, now: int) -> None:
        if now - self._turned_us > self._longest_us:
            self._rotate(now)

    def _rotate(self, now: int) -> None:
        self._old, self._young, self._turned_us = self._young, {}, now
