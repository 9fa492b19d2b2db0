"""Prometheus metrics of an HTTP part: requests by route template, their duration, how many are in flight; which
dependencies are there; and the process itself (memory, processor time, descriptors, start) where the system tells.

Labels are bounded: a route is its template (``/v1/tasks/{task_id}``) or ``unmatched``, never a path that a client
made up.
Imported when a part is built, not by ``import focushub_core``.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from focushub_core.health import Report

CONTENT_TYPE = CONTENT_TYPE_LATEST
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
"""Upper bounds in seconds."""


class HttpMetrics:
    """The metrics of one part, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "http_requests", "Requests answered.", ("method", "route", "status"), registry=self.registry
        )
        self._duration = Histogram(
            "http_request_duration_seconds",
            "From the request's head to the answer's end.",
            ("method", "route"),
            buckets=BUCKETS,
            registry=self.registry,
        )
        self.in_flight = Gauge("http_requests_in_flight", "Requests being served.", registry=self.registry)
        self._dependencies = Gauge(
            "dependency_up", "1 while it answers.", ("dependency", "required"), registry=self.registry
        )
        self._draining = Gauge(
            "part_draining", "1 while the part asks for no more work.", registry=self.registry
        )
        ProcessCollector(registry=self.registry)

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Counts one answer."""
        self._requests.labels(method, route, str(status)).inc()
        self._duration.labels(method, route).observe(seconds)

    def examined(self, report: Report) -> None:
        """Shows what the checks found."""
        for finding in report.findings:
            required = "yes" if finding.check.required else "no"
            self._dependencies.labels(finding.check.name, required).set(finding.ok)
        self._draining.set(report.draining)

    def render(self) -> bytes:
        """The registry in Prometheus' text format."""
        return generate_latest(self.registry)
