"""Upstreams as people and Prometheus see them: the same numbers, said in two ways.

`described` is what ``/readyz?verbose`` and ``/health?verbose`` answer under ``upstreams``, and what ``focushub status``
shows: a list with an object for each upstream, ::

    {"pool": "gateways", "origin": "http://gateway:3000", "url": "http://10.0.0.7:3000", "state": "down",
     "why": "a check was answered 500", "in_flight": 0, "answered": 811, "faulty": 3, "unreachable": 0, "frozen": 0,
     "ejections": 0, "last_check": {"result": "failed", "seconds_ago": 1.2}}

``state`` is one of unknown, up, draining, down, ejected, or unresolved: then a name has no address, and ``url`` is
None. ``why`` is empty for one that is up. ``last_check`` is None before the first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from focushub_core.balancer.health import Health
from focushub_core.balancer.upstreams import Pool, Upstream
from focushub_core.telemetry.families import Family

REASONS = ("connect", "sent", "frozen")
"""For which a request is sent once more: no connection; no answer, or half of one; an upstream that stands still."""


def described(pools: Iterable[Pool], now: float) -> list[dict[str, object]]:
    """Every upstream of ``pools`` with its state at ``now``."""
    return [shown for pool in pools for shown in _pool(pool, now)]


def _pool(pool: Pool, now: float) -> Iterator[dict[str, object]]:
    for upstream in pool.upstreams:
        yield {"pool": pool.name, "origin": upstream.origin, "url": upstream.url, **_upstream(upstream, now)}
    for origin in sorted(set(pool.names) - {upstream.origin for upstream in pool.upstreams}):
        why = "its name has no address"
        yield {"pool": pool.name, "origin": origin, "url": None, "state": "unresolved", "why": why}


def _upstream(upstream: Upstream, now: float) -> dict[str, object]:
    health = upstream.health
    return {
        "state": health.state(now).value,
        "why": health.why(now),
        "in_flight": upstream.in_flight,
        "answered": health.answered,
        "faulty": health.faulty,
        "unreachable": health.unreachable,
        "frozen": health.frozen,
        "ejections": health.ejected,
        "last_check": _last_check(health, now),
    }


def _last_check(health: Health, now: float) -> dict[str, object] | None:
    check = health.last_check
    return None if check is None else {"result": check.result.value, "seconds_ago": round(now - check.at, 1)}


def families(pools: Iterable[Pool], now: float) -> list[Family]:
    """The metrics of ``pools``.

    ``upstream_requests_total`` is what the balancer's decisions came to: it counts every request that was given to an
    upstream, but those that their client gave up.
    """
    pools = tuple(pools)
    named = [({"pool": pool.name, "upstream": u.url}, u) for pool in pools for u in pool.upstreams]
    outcomes = [({**of, "outcome": what}, count) for of, u in named for what, count in _outcomes(u.health)]
    retries = [
        ({"pool": pool.name, "reason": reason}, pool.retries[reason]) for pool in pools for reason in REASONS
    ]
    up = [(of, u.usable(now)) for of, u in named]
    flying = [(of, u.in_flight) for of, u in named]
    ejections = [(of, u.health.ejected) for of, u in named]
    return [
        Family("gauge", "upstream_up", "1 unless down, ejected or draining.", up),
        Family("gauge", "upstream_requests_in_flight", "Requests that run there.", flying),
        Family("counter", "upstream_requests_total", "Requests given to it, by what came of them.", outcomes),
        Family("counter", "upstream_ejections_total", "How often requests showed it unfit.", ejections),
        Family("counter", "upstream_retries_total", "Requests sent once more, by the reason.", retries),
    ]


def _outcomes(health: Health) -> Iterator[tuple[str, int]]:
    yield "answered", health.answered
    yield "faulty", health.faulty
    yield "unreachable", health.unreachable
    yield "frozen", health.frozen
