"""The store of one process: exact within its memory, and bounded."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from focushub_core.ratelimit import Charge, LocalStore, Policy
from focushub_core.ratelimit.gcra import decide
from focushub_core.ratelimit.policy import SECOND_US


class Clock:
    """Microseconds that a test moves."""

    def __init__(self) -> None:
        self.now = 0

    def __call__(self) -> int:
        return self.now


@given(st.lists(st.tuples(st.integers(0, 2 * SECOND_US), st.sampled_from("abc")), max_size=200))
def test_it_decides_as_if_it_never_forgot(steps: list[tuple[int, str]]) -> None:
    """A bucket is dropped only once it is full again, so nobody can tell."""
    policy, clock, tats = Policy("p", quota=60, window=60, burst=3), Clock(), dict.fromkeys("abc", 0)
    store = LocalStore(clock=clock)
    for wait, key in steps:
        clock.now += wait
        expected, tats[key] = decide(policy, tats[key], clock.now)

        assert store.decide([Charge(policy, key)]) == (expected,)


def test_it_keeps_no_more_keys_than_it_may() -> None:
    store, policy = LocalStore(max_keys=100, clock=Clock()), Policy("p", 1)

    for number in range(10_000):
        store.decide([Charge(policy, str(number))])

        assert len(store) <= 100


def test_who_comes_again_and_again_is_not_forgotten_for_room() -> None:
    store, policy = LocalStore(max_keys=100, clock=Clock()), Policy("p", 1)
    busy = Policy("busy", 10_000)
    for number in range(1_000):
        store.decide([Charge(policy, str(number))])
        (decision,) = store.decide([Charge(busy, "b")])

        assert decision.remaining == 10_000 - number - 1


def test_full_buckets_leave() -> None:
    clock = Clock()
    store, policy = LocalStore(clock=clock), Policy("p", 1, window=1)
    for number in range(1_000):
        store.decide([Charge(policy, str(number))])
    for _ in range(3):
        clock.now += 2 * SECOND_US
        store.decide([Charge(policy, "later")])

    assert len(store) <= 2


def test_a_refused_stack_charges_no_bucket() -> None:
    store = LocalStore(clock=Clock())
    wide, narrow = Policy("wide", 10), Policy("narrow", 1)
    for _ in range(5):
        decisions = store.decide([Charge(wide, "k"), Charge(narrow, "k")])

    assert [decision.remaining for decision in decisions] == [9, 0]
