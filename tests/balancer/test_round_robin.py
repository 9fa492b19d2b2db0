"""Turns are exactly even, and as heavy as they should be."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from focushub_core.balancer import RoundRobin, Upstream


def turns(weights: list[int], count: int) -> list[str]:
    upstreams = [Upstream(chr(ord("a") + i), weight) for i, weight in enumerate(weights)]
    policy = RoundRobin()
    return [policy.choose(upstreams).url for _ in range(count)]


def test_thirty_requests_over_three_are_ten_each() -> None:
    assert Counter(turns([1, 1, 1], 30)) == {"a": 10, "b": 10, "c": 10}


@pytest.mark.parametrize(
    ("weights", "expected"),
    [([1, 1, 1], "abcabc"), ([5, 1, 1], "aabacaa"), ([3, 1], "aaba"), ([2, 1, 0], "aba"), ([7], "aaa")],
)
def test_the_heavy_ones_are_spread_and_not_in_a_row(weights: list[int], expected: str) -> None:
    assert "".join(turns(weights, len(expected))) == expected


@given(st.lists(st.integers(1, 9), min_size=1, max_size=6), st.integers(1, 4))
def test_in_every_round_each_is_taken_as_often_as_its_weight(weights: list[int], rounds: int) -> None:
    taken = Counter(turns(weights, sum(weights) * rounds))

    assert [taken[chr(ord("a") + i)] for i in range(len(weights))] == [w * rounds for w in weights]


@given(st.integers(1, 6), st.integers(0, 50))
def test_at_any_moment_equals_are_at_most_one_apart(number: int, count: int) -> None:
    taken = Counter(turns([1] * number, count))
    counts = [taken[chr(ord("a") + i)] for i in range(number)]

    assert max(counts) - min(counts) <= 1
