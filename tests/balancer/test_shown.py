"""Upstreams as people see them, and as Prometheus does."""

from __future__ import annotations

from focushub_core.balancer import CheckResult, Outcome, Pool
from focushub_core.balancer.shown import described, families
from focushub_core.telemetry.families import render


def test_each_upstream_is_said_with_its_state_the_reason_and_its_last_check() -> None:
    pool = Pool.of("gateways", ["http://gateway:3000"])
    pool.found("http://gateway:3000", ["http://10.0.0.7:3000"])
    upstream = pool.upstreams[0]
    upstream.in_flight = 2
    upstream.health.checked(CheckResult.FAILED, 8.8, "a check was answered 500")

    assert described([pool], 10.0) == [
        {
            "pool": "gateways",
            "origin": "http://gateway:3000",
            "url": "http://10.0.0.7:3000",
            "state": "down",
            "why": "a check was answered 500",
            "in_flight": 2,
            "answered": 0,
            "faulty": 0,
            "unreachable": 0,
            "frozen": 0,
            "ejections": 0,
            "last_check": {"result": "failed", "seconds_ago": 1.2},
        }
    ]


def test_a_name_without_an_address_is_said_too() -> None:
    pool = Pool.of("gateways", ["http://gateway:3000"])
    pool.found("http://gateway:3000", [])

    assert described([pool], 1.0) == [
        {
            "pool": "gateways",
            "origin": "http://gateway:3000",
            "url": None,
            "state": "unresolved",
            "why": "its name has no address",
        }
    ]


def test_decisions_retries_and_ejections_are_counted() -> None:
    pool = Pool.of("gateways", ["http://a:1", "http://b:1"])
    a, b = pool.upstreams
    for _ in range(3):
        a.health.observed(Outcome.ANSWERED, 0)
    b.health.observed(Outcome.FROZEN, 0)
    pool.retries["frozen"] += 2

    text = render(families([pool], 1.0)).decode()

    of_a, of_b = ('pool="gateways",upstream="http://a:1"', 'pool="gateways",upstream="http://b:1"')
    for line in (
        f"upstream_up{{{of_a}}} 1.0",
        f"upstream_up{{{of_b}}} 0.0",
        f"upstream_requests_in_flight{{{of_a}}} 0.0",
        f'upstream_requests_total{{{of_a},outcome="answered"}} 3.0',
        f'upstream_requests_total{{{of_b},outcome="frozen"}} 1.0',
        f"upstream_ejections_total{{{of_b}}} 1.0",
        'upstream_retries_total{pool="gateways",reason="frozen"} 2.0',
    ):
        assert line in text.splitlines()
