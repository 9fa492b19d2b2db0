"""What a request costs, remembered or not."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from focushub_core.ratelimit import Policy
from focushub_core.ratelimit.address import parse_networks
from focushub_core.ratelimit.counting import LONGEST, REMEMBERED, Counting

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
    return [charge.bucket for charge in counting.charges(**request)]


@pytest.mark.parametrize("policies", [POLICIES, POLICIES[:2], []])
@given(asked=st.lists(requests, max_size=30))
def test_what_is_remembered_is_what_would_be_counted(
    policies: list[Policy], asked: list[dict[str, Any]]
) -> None:
    trusted = parse_networks("10.0.0.0/8")
    counting = Counting(policies, trusted)
    for request in asked:
        assert buckets(counting, request) == buckets(Counting(policies, trusted), request)


def test_what_is_remembered_is_bounded() -> None:
    counting = Counting(POLICIES)
    for number in range(3 * REMEMBERED):
        counting.charges("GET", f"/{number}", "/", user=str(number))

    assert len(counting._remembered) <= REMEMBERED
