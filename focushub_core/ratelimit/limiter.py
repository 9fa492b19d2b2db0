"""The limiter: a shared store, and what is done while it is away.

Rules that hold here:

* A request waits for the store once, and at most for its deadline. After a failure the breaker is open: the
  requests that follow ask this process alone, and one task at a time asks whether the store is back.
* While the store is away each process admits its share, quota and burst divided by the number of replicas,
  by its own clock. A policy may admit all or refuse all instead (``on_outage``).
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from focushub_core.errors import TooManyRequests, Unavailable
from focushub_core.ratelimit.fields import retry_after
from focushub_core.ratelimit.gcra import Charge, Decision
from focushub_core.ratelimit.local import LocalStore
from focushub_core.ratelimit.policy import Policy
from focushub_core.ratelimit.store import Store, StoreUnavailable

log = logging.getLogger(__name__)

QUOTA_EXCEEDED = "https://iana.org/assignments/http-problem-types#quota-exceeded"
"""The problem type that the RateLimit header fields draft registers."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What all policies together said, one decision each."""

    decisions: tuple[Decision, ...] = ()

    @property
    def allowed(self) -> bool:
        """Whether every policy admitted the request."""
        return all(decision.allowed for decision in self.decisions)

    @property
    def decision(self) -> Decision | None:
        """The most restrictive: of those that refused the longest wait, else the fewest left."""
        return min(
            self.decisions, key=lambda d: (d.allowed, -d.retry_after_s, d.remaining, -d.next_s), default=None
        )

    def enforce(self) -> None:
        """Raise `TooManyRequests`, naming the policies that refused, unless all admitted."""
        worst = self.decision
        if worst is None or worst.allowed:
            return
        seconds = retry_after(worst)
        violated = {"violated-policies": [d.policy.name for d in self.decisions if not d.allowed]}
        extensions: dict[str, Any] = {"type": QUOTA_EXCEEDED, "policy": worst.policy.name, **violated}
        raise TooManyRequests(
            f"the limit {worst.policy.name!r} of {worst.policy.quota} requests in {worst.policy.window} s "
            f"is used up; try again in {seconds} s",
            headers={"Retry-After": seconds},
            **extensions,
        )


class Limiter:
    """Decides through ``store``, and alone while that is away; without a store always alone.

    ``replicas`` is the number of processes that share the limits. ``delays`` yields the seconds between two
    looks at a store that is away.
    """

    def __init__(
        self,
        store: Store | None = None,
        *,
        replicas: int = 1,
        local: LocalStore | None = None,
        delays: Callable[[], Iterator[float]] | None = None,
    ) -> None:
        self._store = store
        self._local = local or LocalStore()
        self._delays = delays or probe_delays
        self._recovery: asyncio.Task[None] | None = None
        self.replicas = replicas

    @property
    def degraded(self) -> bool:
        """Whether the shared store is away, so that this process decides alone."""
        return self._recovery is not None

    async def acquire(self, key: str, *policies: Policy, cost: int = 1) -> Verdict:
        """Take ``cost`` permits of ``key``'s bucket under each policy, or of none."""
        return await self.check([Charge(policy, key, cost) for policy in policies])

    async def check(self, charges: Sequence[Charge]) -> Verdict:
        """Decide on all charges at once: all are admitted, or none is charged."""
        if len({charge.bucket for charge in charges}) != len(charges):
            raise ValueError("one bucket is charged twice in one call")
        if self._store is None:
            return Verdict(self._local.decide(charges))
        if self._recovery is None:
            try:
                return Verdict(await self._store.charge(charges))
            except StoreUnavailable as error:
                self._open(error)
        return Verdict(self._alone(charges))

    async def look(self) -> None:
        """Raise `Unavailable` while the shared store is away: for a check that says so before a request does."""
        if self._store is not None and self._recovery is None:
            try:
                await self._store.ping()
            except StoreUnavailable as error:
                self._open(error)
        if self.degraded:
            raise Unavailable("limits are kept by each process alone", code="limit_store_unavailable")

    async def close(self) -> None:
        """Stop looking for the store and close it."""
        if self._recovery is not None:
            self._recovery.cancel()
            await asyncio.gather(self._recovery, return_exceptions=True)
        if self._store is not None:
            await self._store.close()

    def _alone(self, charges: Sequence[Charge]) -> tuple[Decision, ...]:
        if any(charge.policy.on_outage == "refuse" for charge in charges):
            raise Unavailable("limits cannot be checked for now", code="rate_limiter_unavailable")
        shared = [charge for charge in charges if charge.policy.on_outage == "share"]
        decided = self._local.decide([self._share(charge) for charge in shared])
        by_name = {decision.policy.name: decision for decision in decided}
        return tuple(
            # the policy that is told to the client is the whole one, what is left of it is the share's
            replace(by_name[charge.policy.name], policy=charge.policy) if charge in shared else _free(charge)
            for charge in charges
        )

    def _share(self, charge: Charge) -> Charge:
        policy = charge.policy.share(self.replicas)
        return Charge(policy, charge.key, min(charge.cost, policy.burst))

    def _open(self, error: StoreUnavailable) -> None:
        if self._recovery is None:  # of many requests that wait at once, one opens it
            log.warning("limits: the shared store is away (%s); deciding alone", error.detail)
            self._recovery = asyncio.create_task(self._recover(), name="limiter-recovery")

    async def _recover(self) -> None:
        assert self._store is not None
        for delay in self._delays():
            await asyncio.sleep(delay)
            try:
                await self._store.ping()
            except StoreUnavailable:
                continue
            log.info("limits: the shared store is back")
            self._recovery = None
            return


def _free(charge: Charge) -> Decision:
    return Decision(charge.policy, True, charge.policy.burst, 0.0, 0.0)


def probe_delays() -> Iterator[float]:
    """0.25 s, doubling to 1 s, up to a fifth shorter: the processes of a stack do not ask all at once."""
    delay = 0.25
    while True:
        yield delay * random.uniform(0.8, 1.0)  # noqa: S311 (no secret)
        delay = min(delay * 2, 1.0)
