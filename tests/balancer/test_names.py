"""Names of upstreams: which origins have one, and who joins and leaves a pool by what it is found to be."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from focushub_core.balancer import CheckResult, HealthSettings, Pool, Upstream
from focushub_core.balancer.names import at, host_of, is_named

ADDRESSES = [f"http://10.0.0.{number}:3000" for number in range(1, 6)]
ORIGIN = "http://gateway:3000"


@pytest.mark.parametrize(
    ("origin", "host", "named"),
    [
        ("http://gateway:3000", "gateway", True),
        ("http://Gateway.example.", "gateway.example.", True),
        ("http://3com.example:80", "3com.example", True),
        ("http://localhost:1", "localhost", True),
        ("http://127.0.0.1:3000", "127.0.0.1", False),
        ("http://[::1]:3000", "::1", False),
        ("http://[2001:db8::a]", "2001:db8::a", False),
    ],
)
def test_an_address_is_no_name(origin: str, host: str, named: bool) -> None:
    assert (host_of(origin), is_named(origin)) == (host, named)


@pytest.mark.parametrize(
    ("origin", "addresses", "expected"),
    [
        (ORIGIN, ["10.0.0.1", "10.0.0.2"], ADDRESSES[:2]),
        (ORIGIN, ["10.0.0.1", "10.0.0.1"], ADDRESSES[:1]),
        (ORIGIN, ["2001:db8::1"], ["http://[2001:db8::1]:3000"]),
        ("http://gateway", ["10.0.0.1", "::1"], ["http://10.0.0.1", "http://[::1]"]),
        (ORIGIN, [], []),
    ],
)
def test_a_name_stands_for_each_of_its_addresses_once(
    origin: str, addresses: list[str], expected: list[str]
) -> None:
    assert at(origin, addresses) == expected


def named(*urls: str) -> Pool:
    """A pool of one name at ``urls``."""
    pool = Pool.of("gateways", [ORIGIN], HealthSettings(fall=1))
    pool.found(ORIGIN, urls)
    return pool


def test_until_a_name_is_looked_up_one_upstream_stands_for_it() -> None:
    pool = Pool.of("gateways", [ORIGIN, "http://127.0.0.1:1"])

    assert pool.names == [ORIGIN]
    assert [upstream.url for upstream in pool.upstreams] == [ORIGIN, "http://127.0.0.1:1"]

    change = pool.found(ORIGIN, ADDRESSES[:2])

    assert [upstream.url for upstream in change.left] == [ORIGIN]
    assert [upstream.url for upstream in pool.upstreams] == ["http://127.0.0.1:1", *ADDRESSES[:2]]
    assert {upstream.origin for upstream in change.joined} == {ORIGIN}
    assert pool.names == [ORIGIN]


def test_who_stays_keeps_what_is_known_of_it_and_who_joins_has_the_same_settings() -> None:
    pool = named(*ADDRESSES[:2])
    first = pool.upstreams[0]
    first.health.checked(CheckResult.PASSED, 0)
    change = pool.found(ORIGIN, [ADDRESSES[2], ADDRESSES[0]])

    assert pool.upstreams == (first, *change.joined)
    assert [upstream.url for upstream in pool.up(1)] == ADDRESSES[:1]
    assert change.joined[0].health.settings == HealthSettings(fall=1)
    assert [(upstream.url, upstream.left) for upstream in change.left] == [(ADDRESSES[1], True)]


def test_the_same_addresses_in_another_order_change_nothing() -> None:
    pool = named(*ADDRESSES[:3])

    assert not pool.found(ORIGIN, [ADDRESSES[2], ADDRESSES[0], ADDRESSES[1]])
    assert [upstream.url for upstream in pool.upstreams] == ADDRESSES[:3]


def test_of_a_pool_whose_name_has_no_address_nobody_is_chosen() -> None:
    pool = named()

    assert (pool.upstreams, pool.choose(0), pool.candidates(0), pool.up(0)) == ((), None, [], [])


def test_who_left_is_not_chosen_not_even_when_all_others_were_tried() -> None:
    pool = named(*ADDRESSES[:2])
    stays = pool.upstreams[0]
    pool.found(ORIGIN, ADDRESSES[:1])

    assert pool.choose(0, [stays]) is None


lookups = st.lists(st.sets(st.sampled_from(ADDRESSES)), min_size=1, max_size=6)


@given(lookups, st.integers(0, 7))
def test_a_pool_is_what_was_found_last_and_its_turns_are_exactly_even_from_then_on(
    found: list[set[str]], between: int
) -> None:
    pool = named(ADDRESSES[0])
    joined: set[Upstream] = set(pool.upstreams)
    left: set[Upstream] = set()
    for urls in found:
        change = pool.found(ORIGIN, sorted(urls))
        joined |= set(change.joined)
        left |= set(change.left)
        for _ in range(between):
            pool.choose(0)
    last = pool.found(ORIGIN, sorted(found[-1]))

    assert not last
    assert {upstream.url for upstream in pool.upstreams} == found[-1]
    assert joined - left == set(pool.upstreams)
    assert {upstream.left for upstream in left} <= {True}
    taken = Counter(u.url for _ in range(30 * len(found[-1])) if (u := pool.choose(0)) is not None)
    assert set(taken.values()) <= {30}


def test_thirty_requests_over_two_that_became_three_are_ten_each() -> None:
    pool = named(*ADDRESSES[:2])
    pool.choose(0)
    pool.found(ORIGIN, ADDRESSES[:3])

    assert Counter(u.url for _ in range(30) if (u := pool.choose(0)) is not None) == dict.fromkeys(
        ADDRESSES[:3], 10
    )
