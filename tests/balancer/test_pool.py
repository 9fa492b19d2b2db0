"""Which upstreams are used: the healthy, or in a panic all of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from focushub_core.balancer import CheckResult, Pool, Upstream
from focushub_core.errors import ConfigurationError

RESULTS = {"+": CheckResult.PASSED, "-": CheckResult.FAILED, "d": CheckResult.NOT_READY}


def pool(states: str) -> Pool:
    """``+`` up, ``-`` down, ``d`` draining, ``?`` unknown; named by position."""
    made = Pool.of("gateways", [str(i) for i in range(len(states))])
    for upstream, state in zip(made.upstreams, states, strict=True):
        if state in RESULTS:
            upstream.health.checked(RESULTS[state], 0)
    return made


@pytest.mark.parametrize(
    ("states", "used"),
    [
        ("+++", "012"),
        ("++-", "01"),
        ("+-", "0"),
        ("+d", "0"),
        ("??", "01"),
        ("?-", "0"),
        ("+--", "012"),  # some but fewer than half: panic
        ("+---", "0123"),
        ("++--", "01"),
        ("--", "01"),  # none: all are tried
        ("dd", "01"),
        ("-", "0"),
    ],
)
def test_the_healthy_are_used_unless_they_are_too_few(states: str, used: str) -> None:
    assert "".join(upstream.url for upstream in pool(states).candidates(1)) == used


@given(st.text("+-d?", min_size=1, max_size=6))
def test_a_request_is_offered_to_every_upstream_once_the_usable_first(states: str) -> None:
    made = pool(states)
    tried: list[Upstream] = []
    usable = made.candidates(1)
    while (upstream := made.choose(1, tried)) is not None:
        tried.append(upstream)

    assert sorted(upstream.url for upstream in tried) == sorted(u.url for u in made.upstreams)
    assert set(tried[: len(usable)]) == set(usable)


def test_turns_stay_even_among_those_left() -> None:
    made = pool("++-")
    taken = [upstream.url for _ in range(30) if (upstream := made.choose(1)) is not None]

    assert (taken.count("0"), taken.count("1"), taken.count("2")) == (15, 15, 0)


def test_only_what_a_check_has_proved_counts_as_up() -> None:
    assert [upstream.url for upstream in pool("+-?d+").up(1)] == ["0", "4"]


def test_a_pool_of_nothing_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="gateways: there is no upstream"):
        Pool.of("gateways", [])
