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

import hashlib
from collections.abc import Sequence

import msgspec

from focushub_core.ratelimit.policy import SECOND_US, Policy

LONGEST_KEY = 128
"""Characters; of a longer key only its digest is kept, so that no client chooses how much memory it takes."""


class Charge(msgspec.Struct, frozen=True, gc=False):
    """``cost`` permits of the bucket that ``key`` has under ``policy``."""

    policy: Policy
    key: str
    cost: int = 1
    bucket: str = ""
    """The name of the bucket, unique over all policies; follows from policy and key."""

    def __post_init__(self) -> None:
        key = self.key if len(self.key) <= LONGEST_KEY else _digest(self.key)
        msgspec.structs.force_setattr(self, "bucket", f"{self.policy.name}:{key}")
        if not 1 <= self.cost <= self.policy.burst:
            raise ValueError(f"a cost of {self.cost} can never be paid from a burst of {self.policy.burst}")


def _digest(key: str) -> str:
    return hashlib.blake2b(key.encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()


class Decision(msgspec.Struct, frozen=True, gc=False):
    """What one policy said.

    ``remaining`` permits are left after this. ``next_s`` is the time until there is one more of them (0 when
    the bucket is full), ``retry_after_s`` the time until what was refused would be admitted (0 when it was).
    """

    policy: Policy
    allowed: bool
    remaining: int
    next_s: float
    retry_after_s: float


Left = tuple[int, int]
"""How many permits are left of a bucket after it was charged, and the microseconds until there is one more."""


def all_admit(decisions: Sequence[Decision]) -> bool:
    """Whether each of them admits."""
    for decision in decisions:  # noqa: SIM110 - a loop is twice as fast, and this is asked on every request
        if not decision.allowed:
            return False
    return True


class Want(msgspec.Struct, frozen=True, gc=False):
    """What is asked of a shared bucket, in microseconds: so much at least, and ``extra_us`` more as a lease.

    A lease is of whole permits (``interval_us``): parts of one in several processes are of use to none of them.
    """

    bucket: str
    interval_us: int
    tolerance_us: int
    need_us: int
    extra_us: int = 0


class Grant(msgspec.Struct, frozen=True):
    """What a shared store said: each bucket's debt before, and the lease it gave (microseconds)."""

    admitted: bool
    debts: tuple[int, ...]
    leases: tuple[int, ...]


def debt_of(policy: Policy, tat_us: int, now_us: int) -> int:
    """How much of the bucket is spent, in microseconds."""
    return min(max(tat_us - now_us, 0), policy.tolerance_us)


def decide(policy: Policy, tat_us: int, now_us: int, cost: int = 1) -> tuple[Decision, int]:
    """Whether ``cost`` permits are there at ``now_us``, and the TAT from then on."""
    before = debt_of(policy, tat_us, now_us)
    after = before + cost * policy.interval_us
    if after > policy.tolerance_us:
        after = before
    return _decision(policy, cost, before, after), now_us + after


def decide_all(
    charges: Sequence[Charge], debts: Sequence[int], now_us: int
) -> tuple[tuple[Decision, ...], tuple[int, ...]]:
    """One decision and one new TAT for each charge; nothing is charged unless every policy admits it."""
    needs = [charge.cost * charge.policy.interval_us for charge in charges]
    fits = (
        debt + need <= charge.policy.tolerance_us
        for charge, debt, need in zip(charges, debts, needs, strict=True)
    )
    spent = needs if all(fits) else [0] * len(needs)
    decisions = tuple(
        _decision(charge.policy, charge.cost, debt, debt + spend)
        for charge, debt, spend in zip(charges, debts, spent, strict=True)
    )
    return decisions, tuple(now_us + debt + spend for debt, spend in zip(debts, spent, strict=True))


def grant(wants: Sequence[Want], debts: Sequence[int], part: int) -> Grant:
    """What a shared store gives: everything needed or nothing; a lease of at most 1 / ``part`` of what is left."""
    if any(debt + want.need_us > want.tolerance_us for want, debt in zip(wants, debts, strict=True)):
        return Grant(False, tuple(debts), (0,) * len(wants))
    leases = (
        max(0, min(want.extra_us, (want.tolerance_us - debt) // part - want.need_us))
        for want, debt in zip(wants, debts, strict=True)
    )
    whole = (lease - lease % want.interval_us for want, lease in zip(wants, leases, strict=True))
    return Grant(True, tuple(debts), tuple(whole))


def _decision(policy: Policy, cost: int, before: int, after: int) -> Decision:
    interval, tolerance = policy.interval_us, policy.tolerance_us
    remaining = (tolerance - after) // interval
    next_us = after - (policy.burst - remaining - 1) * interval if after else 0
    wait_us = max(0, before + cost * interval - tolerance)
    return Decision(policy, not wait_us, remaining, next_us / SECOND_US, wait_us / SECOND_US)
