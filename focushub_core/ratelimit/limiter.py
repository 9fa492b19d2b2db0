"""The limiter: a shared store, and what is done while it is away.

Rules that hold here:

* A request waits for the store once, and at most for its deadline. After a failure the breaker is open: the
  requests that follow ask this process alone, and one task at a time asks whether the store is back.
* Leases are forgotten when the store does not answer, a ping too; what was leased comes back to it by itself.
* While the store is away each process admits its share, quota and burst divided by the number of processes that were
  alive when it was last there, by its own clock. A policy may admit all or refuse all instead (``on_outage``).
* The store is back when it answers well within the deadline: one that is just slow enough to fail again is not.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache

import msgspec

from focushub_core.errors import Unavailable
from focushub_core.ratelimit.gcra import Charge, Decision
from focushub_core.ratelimit.leases import Leases
from focushub_core.ratelimit.local import LocalStore
from focushub_core.ratelimit.policy import Policy
from focushub_core.ratelimit.purse import Purse
from focushub_core.ratelimit.store import Store, StoreUnavailable
from focushub_core.ratelimit.tally import Tallies
from focushub_core.ratelimit.verdict import Verdict

BEAT_S = 2.0
"""How often a process says that it is alive; also how soon one without requests notices that the store is away."""
BACK_S = 0.075

log = logging.getLogger(__name__)


class Limiter:
    """Decides through ``store``, and alone while that is away; without a store always alone.

    ``policies`` hold where `acquire` names none. ``replicas`` is the number of processes that share the limits, until
    the store has said how many are alive. ``delays`` yields the seconds between two looks at a store that is away.
    """

    def __init__(
        self,
        store: Store | None = None,
        *,
        policies: Sequence[Policy] = (),
        replicas: int = 1,
        local: LocalStore | None = None,
        delays: Callable[[], Iterator[float]] | None = None,
    ) -> None:
        self._local = LocalStore() if local is None else local
        self._store: Store = self._local if store is None else store
        self._shared = store is not None
        self._leases = store if isinstance(store, Leases) else None
        self._policies = tuple(policies)
        self._delays = delays or probe_delays
        self._recovery: asyncio.Task[None] | None = None
        self._beat: asyncio.Task[None] | None = None
        self.tallies = Tallies()
        self.replicas = replicas
        self.degraded = False
        """Whether the shared store is away, so that this process decides alone; only the limiter itself sets it."""

    @classmethod
    def of(
        cls, *limits: str | Policy, redis_url: str | None = None, prefix: str = "limit:", replicas: int = 1
    ) -> Limiter:
        """A limiter for ``"20/minute"`` or whole policies, shared through the Redis at ``redis_url`` if said."""
        policies = [Policy.parse(limit) if isinstance(limit, str) else limit for limit in limits]
        if redis_url is None:
            return cls(policies=policies, replicas=replicas)
        from focushub_core.ratelimit.redis_store import RedisStore

        store = Leases(RedisStore(redis_url, prefix=prefix), processes=replicas)
        return cls(store, policies=policies, replicas=replicas)

    async def acquire(self, key: str, *policies: Policy, cost: int = 1) -> Verdict:
        """Take ``cost`` permits of ``key``'s bucket under each policy, or of none."""
        return await self.check([Charge(policy, key, cost) for policy in policies or self._policies])

    async def check(self, charges: Sequence[Charge]) -> Verdict:
        """Decide on all charges at once: all are admitted, or none is charged."""
        verdict = self.decide(charges)
        if verdict is not None:
            return verdict
        decisions = await self._ask(charges)
        degraded = decisions is None
        if decisions is None:
            decisions = self._alone(charges)
        self.tallies.count(decisions, leased=False, degraded=degraded)
        return Verdict(decisions)

    def purse(self, charges: Sequence[Charge]) -> Purse | None:
        """For who charges the same again and again: it pays where leases do; None where there are none."""
        return None if self._leases is None or not charges else Purse(self, self._leases, charges)

    def decide(self, charges: Sequence[Charge]) -> Verdict | None:
        """As `check`, if nothing has to be waited for; else None, and nothing is charged."""
        if len(charges) > 1 and len({charge.bucket for charge in charges}) != len(charges):
            raise ValueError("one bucket is charged twice in one call")
        degraded = self.degraded
        decisions = self._alone(charges) if degraded else self._store.decide(charges)
        if decisions is None:
            return None
        self.tallies.count(decisions, leased=self._shared and not degraded, degraded=degraded)
        return Verdict(decisions)

    async def look(self) -> None:
        """Raise `Unavailable` while the shared store is away: for a check that says so before a request does."""
        if self._shared and not self.degraded:
            await self._ping()
        if self.degraded:
            raise Unavailable("limits are kept by each process alone", code="limit_store_unavailable")

    def state(self) -> dict[str, object]:
        """How limits are kept, by how many processes, and what was decided here so far."""
        kept = ("by shares" if self.degraded else "shared") if self._shared else "here"
        policies = {name: tally.numbers() for name, tally in self.tallies.items()}
        return {"kept": kept, "processes": self.replicas, "degraded": self.degraded, "policies": policies}

    async def close(self) -> None:
        """Stop looking for the store and close it."""
        tasks = [task for task in (self._recovery, self._beat) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._store.close()

    async def _ask(self, charges: Sequence[Charge]) -> tuple[Decision, ...] | None:
        """What the shared store says; None, and the breaker open, when it is away."""
        if self._beat is None:
            self._beat = asyncio.create_task(self._stay_alive(), name="limiter-beat")
        try:
            return await self._store.charge(charges)
        except StoreUnavailable as error:
            self._open(error)
            return None

    def _alone(self, charges: Sequence[Charge]) -> tuple[Decision, ...]:
        if any(charge.policy.on_outage == "refuse" for charge in charges):
            raise Unavailable("limits cannot be checked for now", code="rate_limiter_unavailable")
        shared = [charge for charge in charges if charge.policy.on_outage == "share"]
        decided = self._local.decide([self._share(charge) for charge in shared])
        by_name = {decision.policy.name: decision for decision in decided}
        return tuple(
            # the policy that is told to the client is the whole one, what is left of it is the share's
            msgspec.structs.replace(by_name[charge.policy.name], policy=charge.policy)
            if charge in shared
            else _free(charge)
            for charge in charges
        )

    def _share(self, charge: Charge) -> Charge:
        policy = _share_of(charge.policy, self.replicas)
        return Charge(policy, charge.key, min(charge.cost, policy.burst))

    def _open(self, error: StoreUnavailable) -> None:
        if not self.degraded:  # of many requests that wait at once, one opens it
            self.degraded = True
            log.warning("limits: the shared store is away (%s); deciding alone", error.detail)
            self._recovery = asyncio.create_task(self._recover(), name="limiter-recovery")

    async def _recover(self) -> None:
        for delay in self._delays():
            await asyncio.sleep(delay)
            try:
                async with asyncio.timeout(BACK_S):
                    self.replicas = max(1, await self._store.ping())
            except (StoreUnavailable, TimeoutError):
                continue
            log.info("limits: the shared store is back")
            self._recovery, self.degraded = None, False
            return

    async def _stay_alive(self) -> None:
        while True:
            if not self.degraded:
                await self._ping()
            await asyncio.sleep(BEAT_S * random.uniform(0.9, 1.0))  # noqa: S311 (no secret)

    async def _ping(self) -> None:
        try:
            self.replicas = max(1, await self._store.ping())
        except StoreUnavailable as error:
            self._open(error)


@lru_cache(maxsize=256)
def _share_of(policy: Policy, replicas: int) -> Policy:
    return policy.share(replicas)


def _free(charge: Charge) -> Decision:
    return Decision(charge.policy, True, charge.policy.burst, 0.0, 0.0)


def probe_delays() -> Iterator[float]:
    """0.25 s, doubling to 1 s, up to a fifth shorter: the processes of a stack do not ask all at once."""
    delay = 0.25
    while True:
        yield delay * random.uniform(0.8, 1.0)  # noqa: S311 (no secret)
        delay = min(delay * 2, 1.0)
