"""What a request costs, remembered or not."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from focushub_core.ratelimit import Limiter, Policy
from focushub_core.ratelimit.address import parse_networks
from focushub_core.ratelimit.counting import LONGEST, REMEMBERED, Bill, Counting
from focushub_core.ratelimit.gcra import Charge
from focushub_core.ratelimit.policy import lies_under

ALONE = Limiter()
POLICIES = [
    Policy("user", 5),
    Policy("address", 3, by="address"),
    Policy("login", 2, by="address", routes=("/login",), methods=("POST",)),
    Policy("each", 9, by=("user", "route"), exempt_routes=("/free",)),
]
BROUGHT = ((), (Policy("own", 1),), (Policy("part", 1, by="address", routes=("/login/now",)),))

requests = st.fixed_dictionaries(
    {
        "method": st.sampled_from(["GET", "POST"]),
        "path": st.sampled_from(["/", "/login", "/login/now", "/free", "/" + "x" * LONGEST]),
        "route": st.sampled_from(["/", "/a/{b}"]),
        "user": st.sampled_from([None, "ann", "bob"]),
        "peer": st.sampled_from([None, "10.0.0.1", "192.0.2.1"]),
        "forwarded": st.sampled_from([(), ("198.51.100.7",), ("1.1.1.1, 198.51.100.8",)]),
        "brought": st.sampled_from(BROUGHT),
    }
)


def buckets(counting: Counting, request: dict[str, Any]) -> list[str]:
    return [charge.bucket for charge in counting.bill(**request).charges]


@pytest.mark.parametrize("policies", [POLICIES, POLICIES[:2], []])
@given(asked=st.lists(requests, max_size=30))
def test_what_is_remembered_is_what_would_be_counted(
    policies: list[Policy], asked: list[dict[str, Any]]
) -> None:
    trusted = parse_networks("10.0.0.0/8")
    counting = Counting(ALONE, policies, trusted)
    for request in asked:
        assert buckets(counting, request) == buckets(Counting(ALONE, policies, trusted), request)


PREFIXES = ["/", "/v1", "/v1/", "/v1/auth", "/v1/auth/login", "/v1//", "/v1/auth/", "/x"]
paths = st.lists(st.sampled_from(["v1", "auth", "login", "x", "", "%41"]), max_size=5).map(
    lambda segments: "/" + "/".join(segments)
)


@given(path=paths, named=st.lists(st.sampled_from(PREFIXES), max_size=4), apart=st.integers(0, 4))
def test_what_holds_for_a_zone_holds_for_each_path_in_it(path: str, named: list[str], apart: int) -> None:
    routes, exempt = tuple(named[:apart]), tuple(named[apart:])
    zone = Counting(ALONE, [Policy("p", 1, routes=routes, exempt_routes=exempt)]).zone(path)

    for prefix in named:
        assert lies_under(zone, prefix) == lies_under(path, prefix)


def test_what_is_remembered_is_bounded_and_does_not_grow_with_paths_that_clients_make_up() -> None:
    counting = Counting(ALONE, POLICIES)
    for number in range(3 * REMEMBERED):
        counting.bill("GET", f"/login/{number}", "/", user="ann")
    assert len(counting._remembered) == 1

    for number in range(3 * REMEMBERED):
        counting.bill("GET", "/", "/", user=str(number))
    assert len(counting._remembered) <= REMEMBERED


def test_a_bucket_is_charged_once_by_a_request() -> None:
    with pytest.raises(ValueError, match="twice"):
        Bill.of((Charge(Policy("p", 5), "ann"), Charge(Policy("p", 5), "ann")))
