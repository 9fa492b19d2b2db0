"""Limits as a stack's file says them; a wrong one is refused with its line and the reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from focushub_core.errors import ConfigurationError
from focushub_core.ratelimit import Policy
from focushub_core.ratelimit.configured import policies
from focushub_core.stack import lines_of, parse

STACK = """
[stack]
name = "shop"

[limits.user]
quota = 600
by = "user"
exempt_users = ["0190"]

[limits.login]      # a comment
quota = 30
window = 60
burst = 5
by = ["address", "route"]
routes = ["/v1/auth/login", "/v1/auth/register"]
methods = ["POST"]
on_outage = "refuse"
exempt_addresses = ["10.0.0.0/8"]
exempt_routes = ["/v1/auth/login/help"]
"""


def read(text: str) -> list[Policy]:
    return policies(parse(text, Path()))


def test_a_table_is_a_policy() -> None:
    assert read(STACK) == [
        Policy("user", 600, exempt_users=("0190",)),
        Policy(
            "login",
            30,
            60,
            5,
            by=("address", "route"),
            routes=("/v1/auth/login", "/v1/auth/register"),
            on_outage="refuse",
            methods=("POST",),
            exempt_routes=("/v1/auth/login/help",),
            exempt_addresses=("10.0.0.0/8",),
        ),
    ]


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        ("quota = 600", "quota = 0", "line 6: limits.user.quota: Expected `integer` >= 1"),
        ("quota = 600", 'quota = "many"', "line 6: limits.user.quota: Expected `integer`"),
        ("quota = 600", "", "line 5: limits.user.quota: This field is required"),
        ("quota = 600", "qouta = 600", "line 6: limits.user.qouta: There is no such field"),
        ('by = "user"', 'by = "moon"', "line 7: limits.user.by"),
        ('["address", "route"]', '["address", "moon"]', "line 14: limits.login.by"),
        ('["address", "route"]', "[]", "line 14: limits.login.by"),
        ('"refuse"', '"pray"', "line 17: limits.login.on_outage"),
        ('"/v1/auth/register"', '"v1"', "line 15: limits.login.routes[1]"),
        ('["POST"]', '["post"]', "line 16: limits.login.methods[0]"),
        # what each value alone allows, but the policy does not
        (
            "quota = 600",
            "quota = 1\nwindow = 86400\nburst = 999",
            "line 5: limit 'user': its burst takes longer",
        ),
        ("[limits.login]", "[limits.Login]", "line 10: limit 'Login': its name"),
        ("10.0.0.0/8", "10.0.0.0/99", "line 10: limit 'login': exempt_addresses: '10.0.0.0/99'"),
        ('["address", "route"]', '["address", "address"]', "line 10: limit 'login': by must name each once"),
    ],
)
def test_a_wrong_policy_is_refused_with_the_line_and_the_reason(right: str, wrong: str, said: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read(STACK.replace(right, wrong))

    assert said in str(caught.value)


def test_all_wrong_policies_are_told_at_once() -> None:
    with pytest.raises(ConfigurationError) as caught:
        read(STACK.replace("10.0.0.0/8", "x").replace("limits.user", "limits.User"))

    assert "line 5" in str(caught.value)
    assert "line 10" in str(caught.value)


def test_lines_are_found_however_a_table_is_written() -> None:
    text = '[limits."user"]\nquota=1\n  [limits . login]\n\n"by" = "user"\n[a]\nb.c = 1\n'

    assert lines_of(text) == {
        "limits.user": 1,
        "limits.user.quota": 2,
        "limits.login": 3,
        "limits.login.by": 5,
        "a": 6,
        "a.b.c": 7,
    }
