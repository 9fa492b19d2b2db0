"""A limiter's numbers for Prometheus. Labels are policies' names, which the stack's file bounds, and no key is one."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from focushub_core.ratelimit.limiter import Limiter

Family = CounterMetricFamily | GaugeMetricFamily


class LimiterCollector(Collector):
    """Reads ``limiter`` when it is asked; nothing is counted twice."""

    def __init__(self, limiter: Limiter) -> None:
        self._limiter = limiter

    def collect(self) -> Iterator[Family]:
        """All families at this moment."""
        decisions = CounterMetricFamily(
            "ratelimit_decisions", "Requests that a policy admitted or refused.", labels=("policy", "outcome")
        )
        leased = CounterMetricFamily(
            "ratelimit_leased_decisions", "Decisions that needed no question to Redis.", labels=("policy",)
        )
        alone = CounterMetricFamily(
            "ratelimit_degraded_decisions", "Decisions while Redis was away.", labels=("policy",)
        )
        for name, tally in self._limiter.tallies:
            decisions.add_metric((name, "admitted"), tally.admitted)
            decisions.add_metric((name, "refused"), tally.refused)
            leased.add_metric((name,), tally.leased)
            alone.add_metric((name,), tally.degraded)
        yield from (decisions, leased, alone)
        yield GaugeMetricFamily("ratelimit_degraded", "1 while Redis is away.", self._limiter.degraded)
        yield GaugeMetricFamily(
            "ratelimit_processes", "Processes that share the limits.", self._limiter.replicas
        )


def register(limiter: Limiter, registry: CollectorRegistry) -> None:
    """Shows ``limiter`` among the metrics of ``registry``."""
    registry.register(LimiterCollector(limiter))
