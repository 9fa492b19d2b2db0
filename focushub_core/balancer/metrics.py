"""Upstreams for Prometheus: which are thought to be up, and what runs there. Labels are addresses from settings."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from focushub_core.balancer.upstreams import Pool


class UpstreamCollector(Collector):
    """Reads ``pools`` when it is asked; ``clock`` is the one that their health is told by."""

    def __init__(self, pools: Iterable[Pool], clock: Callable[[], float] = time.monotonic) -> None:
        self._pools = tuple(pools)
        self._clock = clock

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """All families at this moment."""
        labels = ("pool", "upstream")
        up = GaugeMetricFamily("upstream_up", "1 unless down, ejected or draining.", labels=labels)
        flying = GaugeMetricFamily("upstream_requests_in_flight", "Requests that run there.", labels=labels)
        now = self._clock()
        for pool in self._pools:
            for upstream in pool.upstreams:
                up.add_metric((pool.name, upstream.url), upstream.usable(now))
                flying.add_metric((pool.name, upstream.url), upstream.in_flight)
        yield from (up, flying)


def register(pools: Iterable[Pool], registry: CollectorRegistry) -> None:
    """Shows the upstreams of ``pools`` among the metrics of ``registry``."""
    registry.register(UpstreamCollector(pools))
