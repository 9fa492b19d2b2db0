"""Prometheus metrics of an HTTP part: requests by route template, their duration, how many are in flight; which
dependencies are there; and the process itself (memory, processor time, descriptors, start) where the system tells.

Labels are bounded: a route is its template (``/v1/tasks/{task_id}``) or ``unmatched``, never a path that a client
made up.
Imported when a part is built, not by ``import focushub_core``.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Gauge, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from focushub_core.health import Report
from focushub_core.telemetry.counters import RequestCounters

CONTENT_TYPE = CONTENT_TYPE_LATEST


class HttpMetrics:
    """The metrics of one part, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = RequestCounters()
        """Counted without prometheus_client, which takes 6 us for each."""
        self._dependencies = Gauge(
            "dependency_up", "1 while it answers.", ("dependency", "required"), registry=self.registry
        )
        self._draining = Gauge(
            "part_draining", "1 while the part asks for no more work.", registry=self.registry
        )
        ProcessCollector(registry=self.registry)

    def examined(self, report: Report) -> None:
        """Shows what the checks found."""
        for finding in report.findings:
            required = "yes" if finding.check.required else "no"
            self._dependencies.labels(finding.check.name, required).set(finding.ok)
        self._draining.set(report.draining)

    def render(self) -> bytes:
        """All of it in Prometheus' text format."""
        return self.requests.render() + generate_latest(self.registry)
