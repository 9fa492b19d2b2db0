"""Balancing: which of several replicas serves the next request, and which are fit to."""

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
