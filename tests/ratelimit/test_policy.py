"""A policy is whole when it is made, or it is not made."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from focushub_core.errors import ConfigurationError
from focushub_core.ratelimit import Charge, Policy


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"name": "Über"}, "its name"),
        ({"name": 'a";q=9'}, "its name"),
        ({"quota": 0}, "quota must be at least 1"),
        ({"quota": -1}, "quota must be at least 1"),
        ({"window": 0}, "window must be at least 1 second"),
        ({"burst": -1}, "burst must be at least 1"),
        ({"quota": 10**8, "window": 1}, "over a million a second"),
        ({"by": "tenant"}, "by must be one of user, address"),
        ({"on_outage": "pray"}, "on_outage must be one of share, admit, refuse"),
        ({"routes": ("v1/auth",)}, "every route must start with /"),
        ({"quota": 1, "window": 86400, "burst": 400}, "longer than a year"),
    ],
)
def test_a_policy_that_cannot_work_is_refused_by_name_and_reason(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        Policy(**{"name": "login", "quota": 30, "by": "address", **wrong})


@pytest.mark.parametrize(
    ("rate", "quota", "window"),
    [("20/minute", 20, 60), ("1/second", 1, 1), (" 5 / hour ", 5, 3600), ("9/day", 9, 86400)],
)
def test_a_rate_is_read_as_people_write_it(rate: str, quota: int, window: int) -> None:
    policy = Policy.parse(rate)

    assert (policy.quota, policy.window, policy.burst) == (quota, window, quota)


@pytest.mark.parametrize("rate", ["", "20", "20/fortnight", "-1/minute", "1.5/minute", "0/minute"])
def test_a_rate_that_is_none_is_refused(rate: str) -> None:
    with pytest.raises(ConfigurationError):
        Policy.parse(rate)


@pytest.mark.parametrize(
    ("policy", "path", "known", "expected"),
    [
        (Policy("user", 600), "/v1/tasks", True, True),
        (Policy("user", 600), "/v1/tasks", False, False),
        (Policy("address", 120, by="address"), "/v1/tasks", False, True),
        (Policy("address", 120, by="address"), "/v1/tasks", True, False),
        (Policy("login", 30, by="address", routes=("/v1/auth/login",)), "/v1/auth/login", True, True),
        (Policy("login", 30, by="address", routes=("/v1/auth/login",)), "/v1/auth/login/", False, True),
        (Policy("login", 30, by="address", routes=("/v1/auth/login",)), "/v1/auth/logins", False, False),
        (Policy("all", 30, by="address", routes=("/",)), "/v1/tasks", True, True),
    ],
)
def test_a_policy_holds_for_its_routes_and_its_kind_of_client(
    policy: Policy, path: str, known: bool, expected: bool
) -> None:
    assert policy.holds(path, known=known) is expected


@given(quota=st.integers(1, 10_000), burst=st.integers(1, 10_000), replicas=st.integers(1, 50))
def test_the_shares_of_all_replicas_never_exceed_the_policy(quota: int, burst: int, replicas: int) -> None:
    """Unless a burst is smaller than the number of replicas: each may admit one."""
    policy = Policy("p", quota, 60, burst)
    share = policy.share(replicas)

    assert share.burst * replicas <= max(policy.burst, replicas)
    assert share.interval_us >= policy.interval_us * replicas - replicas


@pytest.mark.parametrize("cost", [0, -1, 6])
def test_a_cost_that_can_never_be_paid_is_a_mistake(cost: int) -> None:
    with pytest.raises(ValueError, match="can never be paid"):
        Charge(Policy("p", 5), "k", cost)
