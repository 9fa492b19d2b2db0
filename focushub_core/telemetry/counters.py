"""The metrics of `focushub_core.telemetry.metrics`, counted without a library: a request costs a look-up and two sums.

Same names, labels and buckets, in the same text format (Prometheus' version 0.0.4). prometheus_client costs 6 us a
request and 10 MB a process, which is most of what the balancer has.
"""

from __future__ import annotations

import os
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

from focushub_core.health import Report

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
"""Upper bounds in seconds."""

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
"""Any other is counted as ``other``: what a client makes up is no label."""


class _Series:
    """One method, route and status: seconds in all, and requests by bucket."""

    __slots__ = ("buckets", "seconds")

    def __init__(self) -> None:
        self.seconds = 0.0
        self.buckets = [0] * (len(BUCKETS) + 1)


class RequestCounters:
    """Requests by method, route and status; their durations by method and route; how many are in flight."""

    def __init__(self) -> None:
        self.in_flight = 0
        self._series: dict[tuple[str, str, int], _Series] = {}

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Counts one answer."""
        series = self._series.get((method, route, status))
        if series is None:
            known = method if method in METHODS else "other"
            series = self._series.setdefault((known, route, status), _Series())
        series.seconds += seconds
        series.buckets[bisect_left(BUCKETS, seconds)] += 1

    def render(self) -> bytes:
        """All of it in Prometheus' text format."""
        return _text(self._requests(), self._durations(), self._flying())

    def _requests(self) -> Iterator[str]:
        yield "# HELP http_requests_total Requests answered."
        yield "# TYPE http_requests_total counter"
        for (method, route, status), series in self._series.items():
            labels = f'method="{method}",route="{route}",status="{status}"'
            yield f"http_requests_total{{{labels}}} {float(sum(series.buckets))}"

    def _durations(self) -> Iterator[str]:
        name = "http_request_duration_seconds"
        yield f"# HELP {name} From the request's head to the answer's end."
        yield f"# TYPE {name} histogram"
        merged: defaultdict[tuple[str, str], list[_Series]] = defaultdict(list)
        for (method, route, _), series in self._series.items():
            merged[method, route].append(series)
        for (method, route), of_one in merged.items():
            labels = f'method="{method}",route="{route}"'
            total = 0
            for number, bound in enumerate((*BUCKETS, "+Inf")):
                total += sum(series.buckets[number] for series in of_one)
                yield f'{name}_bucket{{{labels},le="{bound}"}} {float(total)}'
            yield f"{name}_count{{{labels}}} {float(total)}"
            yield f"{name}_sum{{{labels}}} {sum(series.seconds for series in of_one)}"

    def _flying(self) -> Iterator[str]:
        return _gauge("http_requests_in_flight", "Requests being served.", [("", self.in_flight)])


def dependencies(report: Report) -> bytes:
    """What the checks found, and whether the part drains."""
    rows = [
        (
            f'dependency="{finding.check.name}",required="{"yes" if finding.check.required else "no"}"',
            finding.ok,
        )
        for finding in report.findings
    ]
    return _text(
        _gauge("dependency_up", "1 while it answers.", rows),
        _gauge("part_draining", "1 while the part asks for no more work.", [("", report.draining)]),
    )


def process() -> bytes:
    """Memory, processor time, descriptors and start, where the system tells them in /proc."""
    try:
        stat = Path("/proc/self/stat").read_text("ascii").rpartition(")")[2].split()
        boot = next(
            line for line in Path("/proc/stat").read_text("ascii").splitlines() if line[:5] == "btime"
        )
        descriptors = len(os.listdir("/proc/self/fd")) - 1  # noqa: PTH208 (the names are not looked at)
    except OSError:
        return b""
    ticks = os.sysconf("SC_CLK_TCK")
    cpu_s = (int(stat[11]) + int(stat[12])) / ticks
    started_s = int(boot.split()[1]) + int(stat[19]) / ticks
    resident = int(stat[21]) * os.sysconf("SC_PAGE_SIZE")
    return _text(
        _gauge("process_resident_memory_bytes", "Resident memory size in bytes.", [("", resident)]),
        _gauge("process_cpu_seconds_total", "Total user and system CPU time.", [("", cpu_s)], "counter"),
        _gauge("process_open_fds", "Number of open file descriptors.", [("", descriptors)]),
        _gauge(
            "process_start_time_seconds", "Start time of the process since unix epoch.", [("", started_s)]
        ),
    )


def _gauge(name: str, text: str, rows: Iterable[tuple[str, float]], kind: str = "gauge") -> Iterator[str]:
    yield f"# HELP {name} {text}"
    yield f"# TYPE {name} {kind}"
    for labels, value in rows:
        yield f"{name}{{{labels}}} {float(value)}" if labels else f"{name} {float(value)}"


def _text(*families: Iterable[str]) -> bytes:
    return "".join(f"{line}\n" for family in families for line in family).encode()
