"""Leases while answers are on their way: late, in any order, or waited for no longer."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from focushub_core.ratelimit import Charge, Decision, Leases, Policy
from focushub_core.ratelimit.gcra import Grant, Want, grant

PROCESSES = 3


class FarStore:
    """A store for one process that a test lets a question reach, and its answer come back; all share ``tats``."""

    def __init__(self, clock: Clock, tats: dict[str, int]) -> None:
        self._clock, self._tats = clock, tats
        self.going: deque[asyncio.Future[None]] = deque()
        self.coming: deque[asyncio.Future[None]] = deque()
        self.wants: list[Want] = []

    async def reserve(self, wants: Sequence[Want], part: int) -> Grant:
        self.wants += wants
        await self._step(self.going)
        now = self._clock.now
        granted = grant(wants, [max(0, self._tats.get(want.bucket, 0) - now) for want in wants], part)
        if granted.admitted:
            for want, debt, lease in zip(wants, granted.debts, granted.leases, strict=True):
                self._tats[want.bucket] = now + debt + want.need_us + lease
        await self._step(self.coming)
        return granted

    async def _step(self, line: deque[asyncio.Future[None]]) -> None:
        step: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        line.append(step)
        await step

    async def ping(self) -> int:
        return PROCESSES

    async def close(self) -> None:
        pass


class Clock:
    """Microseconds that a test moves."""

    def __init__(self) -> None:
        self.now = 10**12


def advance(line: deque[asyncio.Future[None]]) -> None:
    """The first in ``line`` goes on: one connection keeps its order."""
    while line:
        step = line.popleft()
        if not step.done():
            step.set_result(None)
            return


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


actions = st.lists(
    st.tuples(
        st.sampled_from(["ask", "ask", "ask", "reach", "reach", "answer", "answer", "wait", "cancel"]),
        st.integers(0, PROCESSES - 1),
        st.integers(0, 50_000),
    ),
    max_size=120,
)


@given(quota=st.integers(10, 5000), burst=st.integers(1, 30), plan=actions)
@settings(max_examples=150, deadline=None)
def test_however_late_answers_come_nothing_is_over_admitted(
    quota: int, burst: int, plan: list[tuple[str, int, int]]
) -> None:
    asyncio.run(carry_out(Policy("p", quota, 10, burst), plan))


async def carry_out(policy: Policy, plan: list[tuple[str, int, int]]) -> None:
    clock, tats = Clock(), dict[str, int]()
    stores = [FarStore(clock, tats) for _ in range(PROCESSES)]
    leases = [Leases(store, processes=PROCESSES, clock=lambda: clock.now * 1000) for store in stores]
    asked: list[asyncio.Task[tuple[Decision, ...]]] = []
    began = clock.now
    for action, who, number in plan:
        if action == "ask":
            asked += [asyncio.create_task(leases[who].charge([Charge(policy, "k")])) for _ in range(3)]
        elif action == "wait":
            clock.now += number
        elif action == "cancel" and asked:
            asked[number % len(asked)].cancel()
        else:
            advance(stores[who].going if action == "reach" else stores[who].coming)
        await settle()

        admitted = sum(t.done() and not t.cancelled() and t.result()[0].allowed for t in asked)
        level = policy.tolerance_us - max(0, tats.get("p:k", 0) - clock.now)
        held = [lease.holdings.get("p:k") for lease in leases]
        assert admitted * policy.interval_us <= policy.tolerance_us + clock.now - began
        assert level + sum(one.held(clock.now) for one in held if one) <= policy.tolerance_us
    for task in asked:
        task.cancel()
    await asyncio.gather(*asked, return_exceptions=True)


async def test_of_many_who_ask_at_once_one_asks_for_a_lease() -> None:
    clock, tats = Clock(), dict[str, int]()
    store, policy = FarStore(clock, tats), Policy("p", 1000, 3600)
    leases = Leases(store, clock=lambda: clock.now * 1000)
    for _ in range(3):
        asked = [asyncio.create_task(leases.charge([Charge(policy, "k")])) for _ in range(20)]
        await settle()
        for line in (store.going, store.coming):
            while line:
                advance(line)
            await settle()
        await asyncio.gather(*asked)

    assert sum(want.extra_us > 0 for want in store.wants) <= 3
    assert {want.need_us for want in store.wants} == {policy.interval_us}


async def test_who_gives_up_waiting_puts_back_what_was_taken_and_blocks_nobody() -> None:
    clock, tats = Clock(), dict[str, int]()
    store, wide, narrow = FarStore(clock, tats), Policy("wide", 10, 3600), Policy("narrow", 10, 3600)
    leases = Leases(store, clock=lambda: clock.now * 1000)
    holding = leases._holding("wide:k", clock.now)
    holding.learn(clock.now, clock.now, 2 * wide.interval_us, 2 * wide.interval_us)
    both = asyncio.create_task(leases.charge([Charge(wide, "k"), Charge(narrow, "k")]))
    await settle()
    assert holding.held(clock.now) == wide.interval_us
    both.cancel()
    await asyncio.gather(both, return_exceptions=True)

    assert holding.held(clock.now) == 2 * wide.interval_us
    assert not leases._holding("narrow:k", clock.now).asking
