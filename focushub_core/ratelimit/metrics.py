"""A limiter's numbers for Prometheus. Labels are policies' names, which the stack's file bounds, and no key is one."""

from __future__ import annotations

from collections.abc import Iterator

from focushub_core.ratelimit.limiter import Limiter
from focushub_core.telemetry.families import Family


def families(limiter: Limiter) -> Iterator[Family]:
    """All of ``limiter`` at this moment; nothing is counted twice."""
    tallies = list(limiter.tallies.items())
    yield Family(
        "counter",
        "ratelimit_decisions_total",
        "Requests that a policy admitted or refused.",
        [
            ({"policy": name, "outcome": outcome}, count)
            for name, tally in tallies
            for outcome, count in (("admitted", tally.admitted), ("refused", tally.refused))
        ],
    )
    yield Family(
        "counter",
        "ratelimit_leased_decisions_total",
        "Decisions that needed no question to Redis.",
        [({"policy": name}, tally.leased) for name, tally in tallies],
    )
    yield Family(
        "counter",
        "ratelimit_degraded_decisions_total",
        "Decisions while Redis was away.",
        [({"policy": name}, tally.degraded) for name, tally in tallies],
    )
    yield Family("gauge", "ratelimit_degraded", "1 while Redis is away.", [({}, limiter.degraded)])
    yield Family("gauge", "ratelimit_processes", "Processes that share the limits.", [({}, limiter.replicas)])
