"""What is counted by hand reads, to Prometheus' own parser, as what its library counts."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from focushub_core.health import Check, Finding, Report
from focushub_core.telemetry import counters
from focushub_core.telemetry.counters import BUCKETS, RequestCounters

ANSWERS = [
    ("GET", "/v1/{tail}", 200, 0.0005),
    ("GET", "/v1/{tail}", 200, 0.003),
    ("GET", "/v1/{tail}", 503, 7.5),
    ("POST", "/v1/{tail}", 201, 0.1),
]


def samples(text: bytes) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
        if sample.name.startswith("http_") and not sample.name.endswith("_created")
    }


def test_requests_are_counted_as_the_library_counts_them() -> None:
    own, registry = RequestCounters(), CollectorRegistry()
    requests = Counter("http_requests", "r", ("method", "route", "status"), registry=registry)
    names = ("method", "route")
    duration = Histogram("http_request_duration_seconds", "d", names, buckets=BUCKETS, registry=registry)
    Gauge("http_requests_in_flight", "f", registry=registry)
    for method, route, status, seconds in ANSWERS:
        own.answered(method, route, status, seconds)
        requests.labels(method, route, str(status)).inc()
        duration.labels(method, route).observe(seconds)

    assert samples(own.render()) == samples(generate_latest(registry))


def test_a_method_that_a_client_made_up_is_no_label() -> None:
    own = RequestCounters()
    for number in range(5):
        own.answered(f"MADE{number}", "/", 200, 0.0)

    assert b'method="other",route="/",status="200"} 5.0' in own.render()


async def test_dependencies_and_the_process_are_told() -> None:
    async def probe() -> None: ...

    finding = Finding(Check("gateways", probe), ok=False)
    text = counters.dependencies(Report("lb", (finding,), draining=True)) + counters.process()
    names = {family.name for family in text_string_to_metric_families(text.decode())}

    assert b'dependency_up{dependency="gateways",required="yes"} 0.0' in text
    assert {"part_draining", "process_resident_memory_bytes", "process_cpu_seconds"} <= names
