"""Balancing: which of several replicas serves the next request, and which are fit to.

Pure, with the clock as an argument: any program can balance with it, however it talks to its replicas.

>>> pool = Pool.of("replicas", ["http://10.0.0.1", "http://10.0.0.2", "http://10.0.0.3"])
>>> [pool.choose(now=0.0).url for _ in range(4)]
['http://10.0.0.1', 'http://10.0.0.2', 'http://10.0.0.3', 'http://10.0.0.1']

It hears what came of each request, and of each check (`checker.Checker` makes these):

>>> first, second, third = pool.upstreams
>>> for _ in range(5):
...     first.health.observed(Outcome.UNREACHABLE, now=1.0)
>>> first.health.state(now=2.0), first.health.why(now=2.0)
(<State.EJECTED: 'ejected'>, 'nobody could connect; for 29 s more, at most')
>>> second.health.checked(CheckResult.PASSED, now=2.0)
>>> {pool.choose(now=2.0).url for _ in range(10)} == {second.url, third.url}
True

A request that failed may go to another one, if it acts once:

>>> may_resend(Stage.SENT, replayable=True), may_resend(Stage.SENT, replayable=False)
(True, False)
>>> pool.choose(now=2.0, tried=[second]) is third
True
"""

from __future__ import annotations

from focushub_core.balancer.health import CheckResult, Health, HealthSettings, Outcome, State
from focushub_core.balancer.policies import POLICIES, LeastRequests, RoundRobin
from focushub_core.balancer.retry import RetryBudget, Stage, may_resend
from focushub_core.balancer.upstreams import Change, Pool, Upstream

__all__ = [
    "POLICIES",
    "Change",
    "CheckResult",
    "Health",
    "HealthSettings",
    "LeastRequests",
    "Outcome",
    "Pool",
    "RetryBudget",
    "RoundRobin",
    "Stage",
    "State",
    "Upstream",
    "may_resend",
]
