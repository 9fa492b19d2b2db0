"""GCRA, the generic cell rate algorithm (ITU-T I.371), as a pure decision: a token bucket kept as one number.

Rules that hold here:

* A bucket is its theoretical arrival time (TAT), in whole microseconds: the moment at which it is full again.
  A TAT in the past and no TAT are the same, so that a bucket may be forgotten once it is full.
* ``debt`` is how far the TAT lies ahead, between 0 (full) and the policy's tolerance (empty). It is clamped: a
  clock that steps back, or a policy made stricter, keeps nobody out for longer than one burst takes.
* Several policies stack: all admit, or none is charged.
* ``gcra.lua`` does the same arithmetic on the same integers. Change both or neither.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from focushub_core.ratelimit.policy import SECOND_US, Policy


@dataclass(frozen=True, slots=True)
class Charge:
    """``cost`` permits of the bucket that ``key`` has under ``policy``."""

    policy: Policy
    key: str
    cost: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.cost <= self.policy.burst:
            raise ValueError(f"a cost of {self.cost} can never be paid from a burst of {self.policy.burst}")

    @property
    def bucket(self) -> str:
        """The name of the bucket, unique over all policies."""
        return f"{self.policy.name}:{self.key}"


@dataclass(frozen=True, slots=True)
class Decision:
    """What one policy said.

    ``remaining`` permits are left after this. ``next_s`` is the time until there is one more of them (0 when
    the bucket is full), ``retry_after_s`` the time until what was refused would be admitted (0 when it was).
    """

    policy: Policy
    allowed: bool
    remaining: int
    next_s: float
    retry_after_s: float


def debt_of(policy: Policy, tat_us: int, now_us: int) -> int:
    """How much of the bucket is spent, in microseconds."""
    return min(max(tat_us - now_us, 0), policy.tolerance_us)


def decide(policy: Policy, tat_us: int, now_us: int, cost: int = 1) -> tuple[Decision, int]:
    """Whether ``cost`` permits are there at ``now_us``, and the TAT from then on."""
    (decision,), (tat,) = decide_all([Charge(policy, "", cost)], [debt_of(policy, tat_us, now_us)], now_us)
    return decision, tat


def decide_all(
    charges: Sequence[Charge], debts: Sequence[int], now_us: int
) -> tuple[tuple[Decision, ...], tuple[int, ...]]:
    """One decision and one new TAT for each charge; nothing is charged unless every policy admits it."""
    pairs = list(zip(charges, debts, strict=True))
    spend = all(_fits(charge, debt) for charge, debt in pairs)
    after = [debt + charge.cost * charge.policy.interval_us if spend else debt for charge, debt in pairs]
    decisions = tuple(
        _decision(charge, before, then) for (charge, before), then in zip(pairs, after, strict=True)
    )
    return decisions, tuple(now_us + debt for debt in after)


def _fits(charge: Charge, debt: int) -> bool:
    return debt + charge.cost * charge.policy.interval_us <= charge.policy.tolerance_us


def _decision(charge: Charge, before: int, after: int) -> Decision:
    policy = charge.policy
    allowed = _fits(charge, before)
    remaining = (policy.tolerance_us - after) // policy.interval_us
    next_us = after - (policy.burst - remaining - 1) * policy.interval_us if after else 0
    wait_us = 0 if allowed else before + charge.cost * policy.interval_us - policy.tolerance_us
    return Decision(policy, allowed, remaining, next_us / SECOND_US, wait_us / SECOND_US)
