"""Leases: permits that a process takes from the shared store at once and spends without asking.

Rules that hold here:

* Nothing is over-admitted. What is leased is charged in the shared store first, as a stretch of its TAT. As time
  passes the shared bucket fills up again, from the front of that stretch; what has been filled up there is no longer
  held here. So what the store has and what all processes hold is never more than one burst together.
* Only differences of time are used: a lease ends as long after the request *left* as the store said. It ends early by
  the time the answer took, never late; clocks of processes need not agree.
* Who holds nothing asks before it refuses. What the store said then stays true until the bucket has filled up by what
  is missing, so for that long (`TRUSTED_US` at most) the same is refused without asking.
* A lease is as large as a bucket is busy: who comes seldom leaves nothing behind in a process. It is never more than
  a part of what is left, 1 / (2 x processes), nor more than comes back to the shared bucket within `RETURNS_US`: who
  goes on at another process waits so long for it at most.
* Of several policies all admit, or none is charged: what was taken from a lease goes back into it.
* Nothing here is needed: what is forgotten, for room or because the store is away, comes back to the shared bucket
  by itself.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import cast

from focushub_core.ratelimit.gcra import Charge, Decision, Left, Want
from focushub_core.ratelimit.generations import Generations
from focushub_core.ratelimit.policy import SECOND_US, Policy
from focushub_core.ratelimit.store import SharedStore, StoreUnavailable

MAX_KEYS = 50_000
TRUSTED_US = SECOND_US
"""For how long a refusal stands without asking again; somebody may have emptied the store."""
LASTS_US = 4 * SECOND_US
"""So long a lease is to do for a bucket that is asked for as often as since the last answer."""
GROWTH = 8
"""How many times the last one it is at most: two requests at once are no stream yet."""
RETURNS_US = 15 * SECOND_US
"""Within this time a lease that nobody spends is back in the shared bucket."""
LARGEST = 1 << 16
"""Permits."""
FORGOTTEN_US = 60 * SECOND_US

Taken = list[tuple[int, int]]
"""Stretches taken out of leases: (when it ends, how long it is)."""


class Holding:
    """What this process holds and knows of one bucket; times in microseconds by its own clock.

    ``rest`` of the latest lease is not spent, and at ``end`` nothing of it is left. ``older`` are what is left of
    earlier ones, by their ends; mostly there are none. The shared bucket's TAT is not before ``floor`` and, as far
    as this process knows, ``tat``.
    """

    __slots__ = ("asking", "end", "floor", "heard", "older", "rest", "size", "tat")

    def __init__(self, now: int) -> None:
        self.rest = self.end = 0
        self.older: dict[int, int] | None = None
        self.tat = self.floor = now
        self.heard = now - 2 * LASTS_US
        self.size = 0
        self.asking = False

    def held(self, now: int) -> int:
        """What can be spent here without asking."""
        left = self.end - now
        held = self.rest if self.rest < left else max(0, left)
        if self.older:
            held += sum(max(0, min(rest, end - now)) for end, rest in self.older.items())
        return held

    def spend(self, policy: Policy, cost: int, now: int) -> Left | None:
        """Takes all of ``cost`` out of the latest lease, if that is enough: the short way of most requests."""
        left = self.end - now
        rest = self.rest if self.rest < left else left
        interval = policy.interval_us
        rest -= cost * interval
        if rest < 0 or self.older:
            return None
        self.rest = rest
        level = policy.tolerance_us - self.tat + now
        remaining = (level + rest) // interval
        missing = (remaining + 1) * interval - level
        if left >= missing > rest:
            missing -= rest
        return remaining, missing

    def settle(self, policy: Policy, cost: int, now: int) -> Decision:
        """Takes ``cost``, which is there, out of all leases."""
        left = self.spend(policy, cost, now)
        if left is not None:
            return _admitted(policy, left)
        self.take(cost * policy.interval_us, now)
        return self.decision(policy, cost, True, now)

    def take(self, wanted: int, now: int) -> Taken:
        """Takes up to ``wanted`` out of the leases, those that end first first."""
        taken: Taken = []
        parts = {self.end: self.rest, **(self.older or {})}
        self.rest, self.older = 0, None
        for end in sorted(parts):
            rest = max(0, min(parts[end], end - now))
            part = min(rest, wanted)
            wanted -= part
            if part:
                taken.append((end, part))
            self._keep(end, rest - part)
        return taken

    def give_back(self, taken: Taken) -> None:
        """Puts back what `take` took."""
        for end, part in taken:
            self._keep(end, part)

    def learn(self, sent: int, now: int, debt: int, lease: int) -> None:
        """Takes up what the store answered: the debt after this, ``lease`` of it ours."""
        if now + debt < self.end:  # the store has lost its memory: what was leased before counts no more
            self.rest, self.older = 0, None
        self.floor, self.tat, self.heard = sent + debt, now + debt, now
        self._keep(sent + debt, lease)

    def refuses(self, policy: Policy, need: int, now: int) -> bool:
        """Whether the store would certainly refuse what is missing, by what it said a moment ago."""
        at_most = policy.tolerance_us - max(0, self.floor - now)
        return at_most + self.held(now) < need and now - self.heard < TRUSTED_US

    def wanted(self, now: int) -> int:
        """How many permits to lease with the next question: the last lease did until now."""
        since = max(1, now - self.heard)
        at_most = GROWTH * self.size + 1 if since < LASTS_US else self.size // 2
        return min((self.size + 1) * LASTS_US // since, at_most, LARGEST)

    def decision(self, policy: Policy, cost: int, allowed: bool, now: int) -> Decision:
        """What is left, here and in the store, and when there is more."""
        interval = policy.interval_us
        level = policy.tolerance_us - max(0, self.tat - now)
        held = self.held(now)
        remaining = min((level + held) // interval, policy.burst)
        missing = (remaining + 1) * interval - level if remaining < policy.burst else 0
        if held and missing > held and not self.older and self.end - now >= missing:
            missing -= held  # by then nothing of the lease has run out
        wait = 0 if allowed else max(1, cost * interval - level)
        return Decision(policy, allowed, remaining, missing / SECOND_US, wait / SECOND_US)

    def _keep(self, end: int, rest: int) -> None:
        if not rest:
            return
        if end == self.end or not self.rest:
            self.rest, self.end = (self.rest + rest if end == self.end else rest), end
            return
        if self.older is None:
            self.older = {}
        self.older[self.end] = self.older.get(self.end, 0) + self.rest
        self.rest, self.end = rest + self.older.pop(end, 0), end


def _admitted(policy: Policy, left: Left) -> Decision:
    return Decision(policy, True, left[0], left[1] / SECOND_US, 0.0)


class Leases:
    """A store that asks ``shared`` rarely. ``processes`` is how many share it until that is known.

    ``clock`` gives nanoseconds that never go back.
    """

    def __init__(
        self,
        shared: SharedStore,
        *,
        processes: int = 1,
        max_keys: int = MAX_KEYS,
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self.processes = processes
        self._shared = shared
        self.clock = clock
        self.holdings: Generations[str, Holding] = Generations(max_keys, self._now())
        """By their buckets' names."""

    def __len__(self) -> int:
        return len(self.holdings)

    def decide(self, charges: Sequence[Charge]) -> tuple[Decision, ...] | None:
        """One decision for each charge out of what is held and known here; None where the store has to be asked."""
        now = self.clock() // 1000
        if len(charges) == 1:
            charge = charges[0]
            holding = self.holdings.get(charge.bucket)
            if holding is None:
                return None
            left = holding.spend(charge.policy, charge.cost, now)
            if left is not None:
                return (_admitted(charge.policy, left),)
            return self._decide((charge,), (holding,), now)
        holdings = [self.holdings.get(charge.bucket) for charge in charges]
        if None in holdings:
            return None
        return self._decide(charges, cast("list[Holding]", holdings), now)

    async def charge(self, charges: Sequence[Charge]) -> tuple[Decision, ...]:
        """As `decide`, asking the store for what is missing; it waits for nobody else's answer."""
        decided = self.decide(charges)
        return await self._ask(charges) if decided is None else decided

    async def ping(self) -> int:
        try:
            self.processes = await self._shared.ping()
        except StoreUnavailable:
            self.holdings.clear()
            raise
        return self.processes

    async def close(self) -> None:
        await self._shared.close()

    def _decide(
        self, charges: Sequence[Charge], holdings: Sequence[Holding], now: int
    ) -> tuple[Decision, ...] | None:
        """The long way: several policies, older leases, refusals."""
        fits: list[bool] = []
        for charge, holding in zip(charges, holdings, strict=True):
            need = charge.cost * charge.policy.interval_us
            fits.append(holding.held(now) >= need)
            if not fits[-1] and not holding.refuses(charge.policy, need, now):
                return None
        if all(fits):
            return tuple(h.settle(c.policy, c.cost, now) for c, h in zip(charges, holdings, strict=True))
        return tuple(
            holding.decision(charge.policy, charge.cost, fit, now)
            for charge, holding, fit in zip(charges, holdings, fits, strict=True)
        )

    async def _ask(self, charges: Sequence[Charge]) -> tuple[Decision, ...]:
        sent = self._now()
        self.holdings.age(sent, FORGOTTEN_US)
        claims = [_Claim(charge, self._holding(charge.bucket, sent), sent) for charge in charges]
        admitted = False
        try:
            admitted = await self._reserve([claim for claim in claims if claim.missing], sent)
        except StoreUnavailable:
            self.holdings.clear()
            raise
        finally:
            if not admitted:
                for claim in claims:
                    claim.holding.give_back(claim.taken)
        now = self._now()
        return tuple(
            claim.holding.decision(claim.charge.policy, claim.charge.cost, claim.fits, now)
            for claim in claims
        )

    async def _reserve(self, claims: Sequence[_Claim], sent: int) -> bool:
        """Asks the store for what is missing; one question at a time asks for a lease of a bucket."""
        leading = [claim for claim in claims if not claim.holding.asking]
        for claim in leading:
            claim.holding.asking = True
        try:
            wants = [claim.want(sent, leading=claim in leading) for claim in claims]
            granted = await self._shared.reserve(wants, 2 * self.processes)
        finally:
            for claim in leading:
                claim.holding.asking = False
        now = self._now()
        for claim, debt, lease in zip(claims, granted.debts, granted.leases, strict=True):
            claim.fits = debt + claim.missing <= claim.charge.policy.tolerance_us
            charged = claim.missing + lease if granted.admitted else 0
            claim.holding.learn(sent, now, debt + charged, lease)
            if granted.admitted and claim in leading:
                claim.holding.size = lease // claim.charge.policy.interval_us
        return granted.admitted

    def _now(self) -> int:
        """Microseconds."""
        return self.clock() // 1000

    def _holding(self, bucket: str, now: int) -> Holding:
        holding = self.holdings.get(bucket) or Holding(now)
        self.holdings.put(bucket, holding, now)
        return holding


class _Claim:
    """One charge on its way: what was taken out of leases for it, and what the store is asked for."""

    __slots__ = ("charge", "fits", "holding", "missing", "taken")

    def __init__(self, charge: Charge, holding: Holding, now: int) -> None:
        need = charge.cost * charge.policy.interval_us
        self.charge = charge
        self.holding = holding
        self.taken = holding.take(need, now)
        self.missing = need - sum(part for _, part in self.taken)
        self.fits = True

    def want(self, now: int, *, leading: bool) -> Want:
        policy = self.charge.policy
        extra = min(self.holding.wanted(now) * policy.interval_us, RETURNS_US) if leading else 0
        return Want(self.charge.bucket, policy.interval_us, policy.tolerance_us, self.missing, extra)
