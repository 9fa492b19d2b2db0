"""Upstreams as Prometheus sees them."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from focushub_core.balancer import CheckResult, Pool
from focushub_core.balancer.metrics import UpstreamCollector


def test_upstreams_show_whether_they_get_requests_and_how_many_they_have() -> None:
    """One that no check has asked yet counts as up: it gets requests."""
    pool = Pool.of("gateways", ["http://a:1", "http://b:1", "http://c:1"])
    _, down, draining = pool.upstreams
    down.health.checked(CheckResult.FAILED, 0.0)
    draining.health.checked(CheckResult.NOT_READY, 0.0)
    registry = CollectorRegistry()
    registry.register(UpstreamCollector([pool], clock=lambda: 1.0))
    with draining.busy():
        samples = [sample for family in registry.collect() for sample in family.samples]
    shown = {(sample.name, sample.labels["upstream"]): sample.value for sample in samples}
    assert shown == {
        ("upstream_up", "http://a:1"): 1,
        ("upstream_up", "http://b:1"): 0,
        ("upstream_up", "http://c:1"): 0,
        ("upstream_requests_in_flight", "http://a:1"): 0,
        ("upstream_requests_in_flight", "http://b:1"): 0,
        ("upstream_requests_in_flight", "http://c:1"): 1,
    }
    assert {sample.labels["pool"] for sample in samples} == {"gateways"}
