"""A policy is whole when it is made, or it is not made."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from focushub_core.errors import ConfigurationError
from focushub_core.ratelimit import Charge, Policy
from focushub_core.ratelimit.address import bucket_key, parse_address
from focushub_core.ratelimit.policy import Caller


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
        ({"by": "tenant"}, "by must be made of user, address, route"),
        ({"on_outage": "pray"}, "on_outage must be one of share, admit, refuse"),
        ({"by": ()}, "by must name each once"),
        ({"by": ("user", "user")}, "by must name each once"),
        ({"methods": ("post",)}, "capitals"),
        ({"exempt_addresses": ("10.0.0.0/33",)}, "exempt_addresses: .*10.0.0.0/33"),
        ({"exempt_routes": ("v1",)}, "every route must start with /"),
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
    assert policy.holds(Caller(path, user="ann" if known else None)) is expected


LAN = parse_address("10.1.2.3")
HOUSE = bucket_key(LAN)


@pytest.mark.parametrize(
    ("policy", "caller", "expected"),
    [
        (Policy("write", 9, methods=("POST",)), Caller("/", "POST", user="ann"), True),
        (Policy("write", 9, methods=("POST",)), Caller("/", "GET", user="ann"), False),
        (Policy("read", 9, methods=("GET",)), Caller("/", "HEAD", user="ann"), True),
        (Policy("p", 9, exempt_routes=("/v1/free",)), Caller("/v1/free/1", user="ann"), False),
        (Policy("p", 9, exempt_routes=("/v1/free",)), Caller("/v1/freedom", user="ann"), True),
        (Policy("p", 9, exempt_users=("ann",)), Caller("/", user="ann"), False),
        (Policy("p", 9, exempt_users=("ann",)), Caller("/", user="bob"), True),
        (Policy("p", 9, by="address", exempt_addresses=("10.0.0.0/8",)), Caller("/", address=LAN), False),
        (Policy("p", 9, by="address", exempt_addresses=("10.2.0.0/16",)), Caller("/", address=LAN), True),
        (Policy("p", 9, by="route"), Caller("/", user="ann"), True),
        (Policy("p", 9, by="route"), Caller("/"), True),
        (Policy("p", 9, by=("user", "route")), Caller("/"), False),
        (Policy("p", 9, by=("address", "route")), Caller("/", user="ann"), True),
    ],
)
def test_methods_and_exemptions_narrow_it(policy: Policy, caller: Caller, expected: bool) -> None:
    assert policy.holds(caller) is expected


@pytest.mark.parametrize(
    ("by", "key"),
    [
        ("user", "ann"),
        ("address", "10.1.2.3"),
        ("route", "/v1/tasks/{id}"),
        (("user", "route"), "ann|/v1/tasks/{id}"),
        (("address", "user", "route"), "10.1.2.3|ann|/v1/tasks/{id}"),
    ],
)
def test_a_bucket_is_a_users_an_addresss_a_routes_or_a_combinations(by: Any, key: str) -> None:
    caller = Caller("/v1/tasks/7", "GET", "/v1/tasks/{id}", "ann", LAN, HOUSE)

    assert Policy("p", 9, by=by).key(caller) == key


@given(st.lists(st.tuples(st.text(), st.text()), min_size=2, max_size=2, unique=True))
def test_no_two_callers_share_a_combined_bucket(callers: list[tuple[str, str]]) -> None:
    policy = Policy("p", 9, by=("user", "route"))
    keys = {policy.key(Caller("/", route=route, user=user)) for user, route in callers}

    assert len(keys) == 2


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
