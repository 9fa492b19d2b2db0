"""GCRA against a model, against throttled-py, and against its own promises."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from throttled import MemoryStore, RateLimiterType, Throttled
from throttled.rate_limiter import per_duration

from focushub_core.ratelimit.fields import Form, numbers, retry_after
from focushub_core.ratelimit.gcra import Charge, Decision, debt_of, decide, decide_all
from focushub_core.ratelimit.policy import SECOND_US, Policy

NOW = 1_800_000_000 * SECOND_US

policies = st.builds(
    Policy,
    name=st.just("p"),
    quota=st.integers(1, 1000),
    window=st.integers(1, 3600),
    burst=st.integers(1, 50),
)


def spend(policy: Policy, steps: list[int]) -> Iterator[tuple[int, Decision]]:
    """One request after each wait of ``steps`` microseconds: the moment and the decision."""
    now, tat = NOW, 0
    for wait in steps:
        now += wait
        decision, tat = decide(policy, tat, now)
        yield now, decision


def test_a_fresh_bucket_admits_its_burst_and_no_more() -> None:
    policy = Policy("user", quota=60, window=60, burst=5)
    decisions = [decision for _, decision in spend(policy, [0] * 6)]

    assert [decision.allowed for decision in decisions] == [True] * 5 + [False]
    assert [decision.remaining for decision in decisions] == [4, 3, 2, 1, 0, 0]
    assert decisions[-1].retry_after_s == 1.0


@given(policy=policies, steps=st.lists(st.integers(0, 10 * SECOND_US), max_size=200))
def test_no_stretch_of_time_admits_more_than_burst_and_quota(policy: Policy, steps: list[int]) -> None:
    """Between any two admitted requests lie at most the burst and what the time between them brought."""
    admitted = [now for now, decision in spend(policy, steps) if decision.allowed]

    for first in range(0, len(admitted), 7):
        for last in range(first, len(admitted)):
            elapsed = admitted[last] - admitted[first]
            assert last - first + 1 <= policy.burst + elapsed * policy.quota / (policy.window * SECOND_US)


@given(policy=policies, steps=st.lists(st.integers(0, SECOND_US), max_size=100))
def test_it_decides_as_a_bucket_of_tokens_that_drip_in_does(policy: Policy, steps: list[int]) -> None:
    """The model: a level in microseconds, filled as time goes by, from which each request takes an interval."""
    level, last = policy.tolerance_us, NOW
    for now, decision in spend(policy, steps):
        level, last = min(policy.tolerance_us, level + now - last), now
        expected = level >= policy.interval_us
        level -= policy.interval_us if expected else 0

        assert decision.allowed == expected
        assert decision.remaining == level // policy.interval_us


@given(policy=policies, steps=st.lists(st.integers(0, SECOND_US), min_size=1, max_size=100))
def test_a_client_that_waits_as_told_is_admitted_and_one_that_does_not_is_not(
    policy: Policy, steps: list[int]
) -> None:
    tat = now = NOW
    for wait in steps:
        now += wait
        decision, tat = decide(policy, tat, now)
        if decision.allowed:
            continue
        told = now + int(retry_after(decision)) * SECOND_US
        exact = now + round(decision.retry_after_s * SECOND_US)

        assert decide(policy, tat, told)[0].allowed
        assert decide(policy, tat, exact)[0].allowed
        assert not decide(policy, tat, exact - 1)[0].allowed


@given(policy=policies, steps=st.lists(st.integers(0, SECOND_US), min_size=1, max_size=100))
def test_what_the_fields_say_is_true(policy: Policy, steps: list[int]) -> None:
    """``r`` requests are admitted now, one more is not; after ``t`` seconds one more is."""
    tat = now = NOW
    for wait in steps:
        now += wait
        decision, tat = decide(policy, tat, now)
    allowed_now = (policy.tolerance_us - debt_of(policy, tat, now)) // policy.interval_us
    t = math.ceil(decision.next_s)
    allowed_then = (policy.tolerance_us - debt_of(policy, tat, now + t * SECOND_US)) // policy.interval_us

    assert allowed_now == decision.remaining
    assert allowed_then > decision.remaining
    assert decision.allowed or int(retry_after(decision)) >= t


@given(policy=policies, ahead=st.integers(0, 10**15))
def test_a_clock_that_stepped_back_locks_nobody_out_for_longer_than_a_burst(
    policy: Policy, ahead: int
) -> None:
    decision, _ = decide(policy, NOW + ahead, NOW)

    assert decision.retry_after_s <= policy.interval_us / SECOND_US


def test_of_stacked_policies_all_admit_or_none_is_charged() -> None:
    wide, narrow = Policy("wide", 100), Policy("narrow", 1)
    charges = [Charge(wide, "k"), Charge(narrow, "k")]

    first, tats = decide_all(charges, [0, 0], NOW)
    debts = [debt_of(c.policy, tat, NOW) for c, tat in zip(charges, tats, strict=True)]
    second, after = decide_all(charges, debts, NOW)

    assert [decision.allowed for decision in first] == [True, True]
    assert [decision.allowed for decision in second] == [True, False]
    assert [decision.remaining for decision in second] == [99, 0]
    assert after == tats


@pytest.mark.parametrize("interval_s", [0.125, 0.5, 1.0, 4.0])
@given(
    burst=st.integers(1, 20), steps=st.lists(st.tuples(st.integers(0, 40), st.integers(1, 3)), max_size=80)
)
def test_it_agrees_with_throttled_py(interval_s: float, burst: int, steps: list[tuple[int, int]]) -> None:
    """Waits and intervals are multiples of 1/16 s: exact in its floats as in our integers."""
    quota, window = (int(1 / interval_s), 1) if interval_s < 1 else (1, int(interval_s))
    policy = Policy("p", quota, window, burst)
    now = float(NOW // SECOND_US % 1000)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("throttled.utils.now_mono_f", lambda: now)
        oracle = Throttled(
            using=RateLimiterType.GCRA.value,
            quota=per_duration(timedelta(seconds=window), quota, burst),
            store=MemoryStore(),
        )
        tat = 0
        for sixteenths, cost in steps:
            now += sixteenths / 16
            if cost > burst:
                continue
            expected = oracle.limit("k", cost)
            decision, tat = decide(policy, tat, int(now * SECOND_US), cost)

            assert decision.allowed == (not expected.limited)
            assert decision.remaining == expected.state.remaining
            assert decision.retry_after_s == expected.state.retry_after


def test_the_fields_are_those_of_the_draft() -> None:
    user, login = Policy("user", 100, 60), Policy("login", 30, 60, burst=5)
    decisions = [Decision(user, True, 42, 12.2, 0), Decision(login, False, 0, 1.5, 1.5)]

    form, left = Form.of([user, login]), numbers(decisions)

    assert form.policies == '"user";q=100;w=60, "login";q=30;w=60;burst=5'
    assert form.limits % left == '"user";r=42;t=13, "login";r=0;t=2'
    assert form.lines % left == (
        b'RateLimit-Policy: "user";q=100;w=60, "login";q=30;w=60;burst=5\r\n'
        b'RateLimit: "user";r=42;t=13, "login";r=0;t=2\r\n'
    )
    assert form.said(left) == "user;r=42;t=13, login;r=0;t=2"
    assert retry_after(decisions[1]) == "2"
