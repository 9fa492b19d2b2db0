"""Leases against a model: several processes, each with a clock of its own, and one store."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Coroutine, Sequence
from itertools import repeat
from typing import Any, TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from focushub_core.errors import Unavailable
from focushub_core.ratelimit import Charge, Decision, Leases, Limiter, Policy
from focushub_core.ratelimit.fields import numbers, retry_after
from focushub_core.ratelimit.gcra import Grant, Want, grant
from focushub_core.ratelimit.leases import LASTS_US, RETURNS_US
from focushub_core.ratelimit.policy import SECOND_US
from focushub_core.ratelimit.purse import Purse
from focushub_core.ratelimit.store import StoreUnavailable

T = TypeVar("T")


class World:
    """Time, and a shared store in it."""

    def __init__(self) -> None:
        self.now = 10**15
        self.tats: dict[str, int] = {}
        self.asked = 0
        self.away = False

    def process(self, offset_us: int = 0, processes: int = 1) -> Leases:
        return Leases(self, processes=processes, clock=lambda: (self.now + offset_us) * 1000)

    def debt(self, bucket: str) -> int:
        return max(0, self.tats.get(bucket, 0) - self.now)

    async def reserve(self, wants: Sequence[Want], part: int) -> Grant:
        self.asked += 1
        if self.away:
            raise StoreUnavailable("away")
        granted = grant(wants, [self.debt(want.bucket) for want in wants], part)
        if granted.admitted:
            for want, debt, lease in zip(wants, granted.debts, granted.leases, strict=True):
                self.tats[want.bucket] = self.now + debt + want.need_us + lease
        return granted

    async def ping(self) -> int:
        if self.away:
            raise StoreUnavailable("away")
        return 1

    async def close(self) -> None:
        pass


def at_once(work: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that waits for nothing."""
    try:
        work.send(None)
    except StopIteration as done:
        value: T = done.value
        return value
    raise AssertionError("it waits")


def ask(process: Leases, policy: Policy, key: str = "k", cost: int = 1) -> Decision:
    return at_once(process.charge([Charge(policy, key, cost)]))[0]


def spend(process: Leases, policy: Policy, count: int) -> None:
    for _ in range(count):
        ask(process, policy)


def purse(process: Leases, *charges: Charge) -> Purse:
    made = Limiter(process).purse(charges)
    assert made is not None
    return made


def spent(purse: Purse, charges: Sequence[Charge]) -> tuple[Decision, ...] | None:
    """As decisions, what a purse for these says."""
    told = purse.spend()
    if told is None:
        return None
    left = zip(charges, told[::2], told[1::2], strict=True)
    return tuple(
        Decision(charge.policy, True, remaining, seconds, 0.0) for charge, remaining, seconds in left
    )


def held(process: Leases, bucket: str) -> int:
    """What a process can spend at once of a bucket (microseconds)."""
    holding = process.holdings.get(bucket)
    return holding.held(process._now()) if holding else 0


class ManyProcesses(RuleBasedStateMachine):
    """Three processes, skewed by a minute, two policies of one key that stack; the model is a leaky bucket each."""

    @initialize(
        quotas=st.tuples(st.integers(1, 2000), st.integers(1, 2000)),
        bursts=st.tuples(st.integers(1, 60), st.integers(1, 60)),
    )
    def begin(self, quotas: tuple[int, int], bursts: tuple[int, int]) -> None:
        self.world = World()
        self.processes = [self.world.process(offset * SECOND_US, 3) for offset in (-60, 0, 60)]
        self.policies = [
            Policy(name, quota, 10, burst) for name, quota, burst in zip("ab", quotas, bursts, strict=True)
        ]
        self.spent = [0, 0]
        self.refused: tuple[int, list[int], Decision] | None = None
        self.purses: dict[tuple[int, int], Purse] = {}

    @rule(us=st.one_of(st.integers(0, 1000), st.integers(0, SECOND_US), st.integers(0, 10 * SECOND_US)))
    def time_goes_by(self, us: int) -> None:
        self._pass(us)

    @rule(who=st.integers(0, 2), both=st.booleans(), times=st.integers(1, 40), shortly=st.booleans())
    def requests_come(self, who: int, both: bool, times: int, shortly: bool) -> None:
        which = [0, 1] if both else [0]
        for _ in range(times):
            decisions = self._ask(who, which, shortly)
        worst = max(decisions, key=lambda decision: decision.retry_after_s)
        self.refused = (who, which, worst) if worst.retry_after_s else None

    @precondition(lambda self: self.refused is not None)
    @rule()
    def who_was_refused_waits_as_told_and_is_admitted(self) -> None:
        assert self.refused is not None
        who, which, decision = self.refused
        self.refused = None
        self._pass(int(retry_after(decision)) * SECOND_US)

        assert all(decision.allowed for decision in self._ask(who, which))

    @invariant()
    def the_store_and_all_processes_together_hold_a_burst_at_most(self) -> None:
        if not hasattr(self, "world"):
            return
        for policy in self.policies:
            bucket = f"{policy.name}:k"
            level = policy.tolerance_us - self.world.debt(bucket)
            together = sum(held(process, bucket) for process in self.processes)

            assert level + together <= policy.tolerance_us

    def _ask(self, who: int, which: list[int], shortly: bool = True) -> Sequence[Decision]:
        process = self.processes[who]
        policies = [self.policies[number] for number in which]
        charges = [Charge(policy, "k") for policy in policies]
        kept = self.purses.setdefault((who, len(which)), purse(process, *charges))
        decisions = (spent(kept, charges) if shortly else None) or at_once(process.charge(charges))
        if all(decision.allowed for decision in decisions):
            for number, policy in zip(which, policies, strict=True):
                self.spent[number] += policy.interval_us
                assert self.spent[number] <= policy.tolerance_us, "more than burst and quota in some stretch"
        for policy, decision in zip(policies, decisions, strict=True):
            if not decision.allowed:
                missing = policy.interval_us - held(process, f"{policy.name}:k")
                assert self.world.debt(f"{policy.name}:k") + missing > policy.tolerance_us, "starved"
        return decisions

    def _pass(self, us: int) -> None:
        self.world.now += us
        self.spent = [max(0, spent - us) for spent in self.spent]


ManyProcesses.TestCase.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)
TestManyProcesses = ManyProcesses.TestCase


@given(
    quota=st.integers(1, 5000),
    burst=st.integers(1, 200),
    steps=st.lists(st.tuples(st.integers(0, 200_000), st.integers(1, 3)), min_size=1, max_size=60),
)
@settings(deadline=None)
def test_what_a_lone_client_is_told_is_true_with_leases_too(
    quota: int, burst: int, steps: list[tuple[int, int]]
) -> None:
    """``r`` more are admitted now and no one further; in ``t`` seconds there is one more than ``r``."""
    policy, world = Policy("p", quota, 60, burst), World()
    process = world.process()
    for wait, cost in steps:
        world.now += wait
        decision = ask(process, policy, cost=min(cost, burst))
    told_at, tats = world.now, dict(world.tats)
    world.now += math.ceil(decision.next_s) * SECOND_US
    later = policy.tolerance_us - world.debt("p:k") + held(process, "p:k")
    assert later // policy.interval_us >= min(decision.remaining + 1, burst)
    world.now, world.tats = told_at, tats

    admitted = 0
    while ask(process, policy).allowed:
        admitted += 1
    assert admitted == decision.remaining


@given(
    bursts=st.tuples(st.integers(1, 200), st.integers(1, 200)),
    steps=st.lists(st.tuples(st.integers(0, 200_000), st.integers(1, 3)), min_size=1, max_size=60),
)
@settings(deadline=None)
def test_spending_says_and_takes_what_a_decision_does(
    bursts: tuple[int, int], steps: list[tuple[int, int]]
) -> None:
    """One process is asked in short first, its twin never: they stay alike."""
    policies = [Policy(name, 3000, 60, burst) for name, burst in zip("ab", bursts, strict=True)]
    worlds = [World(), World()]
    short, long = (world.process() for world in worlds)
    purses: dict[int, Purse] = {}
    for wait, which in steps:
        for world in worlds:
            world.now += wait
        charges = [Charge(policy, "k") for number, policy in enumerate(policies) if which & 1 << number]
        decisions = at_once(long.charge(charges))
        told = purses.setdefault(which, purse(short, *charges)).spend()

        assert (told or numbers(at_once(short.charge(charges)))) == numbers(decisions)
        assert told is None or all(decision.allowed for decision in decisions)
        assert worlds[0].tats == worlds[1].tats


def test_spending_for_several_charges_all_or_none() -> None:
    world, wide, narrow = World(), Policy("wide", 10**6, 60), Policy("narrow", 10**6, 60, burst=3)
    process = world.process()
    for _ in range(50):
        world.now += 100
        ask(process, wide)
    ask(process, narrow)
    before = [held(process, name) for name in ("wide:k", "narrow:k")]
    held_alone = purse(process, Charge(wide, "k"), Charge(narrow, "k", 3)).spend()
    after = [held(process, name) for name in ("wide:k", "narrow:k")]

    assert held_alone is None
    assert before == after
    assert before[0] > 0


def test_a_busy_bucket_is_asked_for_seldom_and_an_idle_one_leases_nothing() -> None:
    world, policy = World(), Policy("p", 10**6, 60)
    process = world.process()
    for _ in range(10_000):
        world.now += 100
        ask(process, policy)
    assert world.asked < 100

    world.now += 60 * SECOND_US
    for _ in range(20):
        world.now += 5 * SECOND_US
        ask(process, policy)
    assert world.debt("p:k") == policy.interval_us


@pytest.mark.parametrize("policy", [Policy("p", 1000, 3600), Policy("p", 20, 60), Policy("p", 5, 3600)])
@pytest.mark.parametrize("gap_us", [1_000, 20_000, 300_000])
def test_what_a_client_leaves_behind_is_soon_back(policy: Policy, gap_us: int) -> None:
    """Whoever goes on at another process."""
    world = World()
    process = world.process(processes=2)
    for _ in range(policy.burst // 2):
        world.now += gap_us
        ask(process, policy)
        assert held(process, "p:k") <= RETURNS_US


def test_who_was_refused_often_leases_no_more_for_it_later() -> None:
    world, policy = World(), Policy("p", 20, 60)
    process = world.process()
    for _ in range(1000):
        world.now += SECOND_US // 10
        ask(process, policy)
    world.now += 3600 * SECOND_US
    ask(process, policy)

    assert world.debt("p:k") == policy.interval_us


def test_a_lease_is_at_most_a_part_of_what_is_left() -> None:
    world, policy = World(), Policy("p", 1000, 3600)
    process = world.process(processes=4)
    left, before = policy.tolerance_us, world.now
    while ask(process, policy).allowed:
        after = world.tats["p:k"]
        assert after - before <= max(policy.interval_us, left / 8)
        left, before = left - (after - before), after

    assert left < policy.interval_us


def test_a_lone_client_gets_its_burst_whichever_process_it_meets() -> None:
    """Spread over four, all permits come out, and one is refused only where its process and the store have none."""
    world, policy = World(), Policy("p", 600, 3600)
    processes = [world.process(processes=4) for _ in range(4)]
    admitted = sum(ask(processes[n % 4], policy).allowed for n in range(1000))

    assert admitted == 600


def test_a_refusal_is_not_asked_for_again_and_again() -> None:
    world, policy = World(), Policy("p", 1, 3600)
    process = world.process()
    ask(process, policy)
    asked = world.asked
    for _ in range(100):
        assert not ask(process, policy).allowed
    assert world.asked <= asked + 1

    world.tats.clear()  # somebody sets the buckets back
    world.now += SECOND_US
    assert ask(process, policy).allowed


def test_a_store_that_lost_its_memory_admits_one_more_burst_at_most() -> None:
    world, policy = World(), Policy("p", 100, 3600)
    process = world.process()
    before = sum(ask(process, policy).allowed for _ in range(50))
    world.tats.clear()
    after = sum(ask(process, policy).allowed for _ in range(500))

    assert before + after <= 200


def test_what_was_taken_for_a_request_that_is_refused_goes_back() -> None:
    world, wide, narrow = World(), Policy("wide", 1000, 3600), Policy("narrow", 1, 3600)
    process = world.process()
    both = [Charge(wide, "k"), Charge(narrow, "k")]
    for _ in range(100):
        at_once(process.charge(both))
    admitted = sum(ask(process, wide).allowed for _ in range(2000))

    assert admitted == 999


def test_a_store_that_is_away_takes_the_leases_with_it() -> None:
    world, policy = World(), Policy("p", 10**6, 60)
    process = world.process()
    for _ in range(10):
        ask(process, policy)
    kept = purse(process, Charge(policy, "k"))
    assert kept.spend() is not None

    world.away = True
    with pytest.raises(StoreUnavailable):
        ask(process, policy, "another")

    assert len(process) == 0
    assert kept.spend() is None


async def test_while_the_store_is_away_a_purse_pays_nothing_even_if_a_lease_comes_late() -> None:
    world, charge = World(), Charge(Policy("p", 10**6, 60), "k")
    process = world.process()
    limiter = Limiter(process, delays=lambda: repeat(0.001))
    kept = limiter.purse([charge])
    assert kept is not None
    for _ in range(2):
        await limiter.check([charge])
    lease = process.holdings.get(charge.bucket)
    assert lease is not None

    world.away = True
    with pytest.raises(Unavailable):
        await limiter.look()
    assert kept.spend() is None
    process.holdings.put(charge.bucket, lease, world.now)
    assert kept.spend() is None

    world.away = False
    async with asyncio.timeout(5):
        while limiter.degraded:  # noqa: ASYNC110 (what is waited for has no event)
            await asyncio.sleep(0.001)
    assert kept.spend() is not None
    await limiter.close()


def test_a_purse_pays_out_of_what_is_held_now() -> None:
    """What was forgotten, for room, and leased anew, is another holding."""
    world, policy = World(), Policy("p", 10**6, 60)
    process = Leases(world, max_keys=4, clock=lambda: world.now * 1000)
    kept = purse(process, Charge(policy, "k"))
    assert kept.spend() is None

    for number in range(20):
        for _ in range(2):
            ask(process, policy)
        told = kept.spend()
        assert told is not None
        assert (
            told[0] == (policy.tolerance_us - world.debt("p:k") + held(process, "p:k")) // policy.interval_us
        )
        for other in range(4):
            ask(process, policy, f"{number}-{other}")
        assert process.holdings.get("p:k") is None
        assert kept.spend() is None


def test_memory_is_bounded() -> None:
    world, policy = World(), Policy("p", 10)
    process = Leases(world, max_keys=100, clock=lambda: world.now * 1000)
    for number in range(5000):
        ask(process, policy, f"user-{number}")

        assert len(process) <= 100


def test_it_leases_more_only_to_who_comes_often() -> None:
    world, policy = World(), Policy("p", 10**6, 60)
    process = world.process()
    for _ in range(50):
        world.now += 2 * LASTS_US
        ask(process, policy)

    assert world.asked == 50
