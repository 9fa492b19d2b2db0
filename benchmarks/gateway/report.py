"""Tables and a chart of raw rounds: ratios within a round, so that what else the machine does falls out."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from bars import Bar, bars
from harness import Round, ratios

OWN, FASTIFY = "FocusHub", "Fastify"
UNLIMITED = "without limits"
VARIED = f"{OWN}, no two requests alike"
SPLICED = f"{FASTIFY}, JSON spliced"
TITLES = {
    "gateway": "The gateway: token, limits per user, one of four services",
    "whole": "The whole way: balancer, gateway, service, one row from PostgreSQL",
    "aggregation": "One answer out of four services",
}
GOALS = {"gateway": 4.0, "whole": 2.5, "aggregation": 2.2}
"""Throughput over Fastify's with 64 connections."""
LOSS = 0.10
"""The most of its throughput that the gateway may lose by its limits."""


def table(result: Mapping[str, Any]) -> str:
    """All scenarios in Markdown."""
    found = result["rounds"]
    first, last = result["load"]
    rounds = max(row["round"] for row in found) + 1
    lines = [
        "# The gateway beside Fastify",
        "",
        f"{result['when']}, {result['machine']}, load average {first:.1f} before, {last:.1f} at the end; "
        f"{rounds} alternating rounds of {result['seconds']} s. Medians; in brackets the least and the most.",
    ]
    for scenario, connections in _parts(found):
        rows = of(found, scenario, connections)
        title = f"{TITLES[scenario]}; {connections} connection{'s' if connections > 1 else ''}"
        lines += ["", f"## {title}", "", *_rows(rows)]
    missed = misses(found)
    lines += ["", *_losses(found), ""]
    return "\n".join([*lines, f"Missed: {'; '.join(missed)}." if missed else "All goals are reached."]) + "\n"


def _rows(rows: Sequence[Round]) -> list[str]:
    lines = [
        "| | requests/s | over Fastify's | CPU per request, us | of Fastify's | p50, ms | p99, ms | core used |",
        "|---" * 8 + "|",
    ]
    for name in _names(rows):
        mine = [row for row in rows if row["name"] == name]
        p50, p99, core = (statistics.median(row[key] for row in mine) for key in ("p50_ms", "p99_ms", "core"))
        cells = [
            name,
            _spread([row["per_second"] for row in mine], 0),
            _over(rows, "per_second", name),
            _spread([row["cpu_us"] for row in mine], 1),
            _over(rows, "cpu_us", name),
            f"{p50:.2f}",
            f"{p99:.2f}",
            f"{core:.0%}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    leased = [row for row in rows if row["name"] == OWN and "leased" in row]
    if leased:
        share, alone = (statistics.median(row[key] for row in leased) for key in ("leased", "degraded"))
        lines.append(
            f"\nOf FocusHub's limits, {share:.0%} were decided from leases, {alone:.0%} alone because Valkey was late."
        )
    return lines


def misses(found: Sequence[Round]) -> list[str]:
    """The goals that are not reached, by the medians of the rounds' ratios."""
    missed = []
    for scenario, goal in GOALS.items():
        rows = of(found, scenario, 64)
        if rows and (rate := ratios(rows, "per_second", OWN, FASTIFY)[0]) < goal:
            missed.append(f"{scenario}, {rate:.2f} x of {goal} x")
    for connections in (64, 1):
        rows = of(found, "gateway", connections)
        if rows and (lost := _lost(rows, OWN)) > LOSS:
            missed.append(f"limits cost {lost:.0%} of the throughput with {connections}, not {LOSS:.0%}")
    return missed


def _losses(found: Sequence[Round]) -> list[str]:
    lines = []
    for scenario, connections in _parts(found):
        if scenario == "gateway":
            rows = of(found, scenario, connections)
            lost = ", ".join(f"{name} {_lost(rows, name):.1%}" for name in (OWN, FASTIFY))
            lines.append(f"Throughput lost by the limits, {connections} connections: {lost}.")
    return lines


def _lost(rows: Sequence[Round], name: str) -> float:
    return 1 - ratios(rows, "per_second", name, f"{name}, {UNLIMITED}")[0]


def chart(result: Mapping[str, Any]) -> str:
    """Throughput over Fastify's, 64 connections."""
    drawn: list[Bar] = []
    for scenario, connections in _parts(result["rounds"]):
        rows = of(result["rounds"], scenario, connections)
        if connections == 64:
            drawn += [
                (f"{scenario}: {name}", _ratios(rows, "per_second", name), name.startswith(OWN))
                for name in _names(rows)
                if UNLIMITED not in name
            ]
    return bars("Requests a second, Fastify = 1 (more is better)", drawn, wide=310)


def of(found: Sequence[Round], scenario: str, connections: int) -> list[Round]:
    """The rounds of one table."""
    return [row for row in found if row["scenario"] == scenario and row["connections"] == connections]


def _parts(found: Sequence[Round]) -> list[tuple[str, int]]:
    return list(dict.fromkeys((row["scenario"], row["connections"]) for row in found))


def _names(rows: Sequence[Round]) -> list[str]:
    """In the order of the first round."""
    return list(dict.fromkeys(row["name"] for row in rows))


def _over(rows: Sequence[Round], key: str, name: str) -> str:
    return "{:.2f} ({:.2f} to {:.2f})".format(*ratios(rows, key, name, FASTIFY))


def _ratios(rows: Sequence[Round], key: str, name: str) -> list[float]:
    by = {(row["round"], row["name"]): row[key] for row in rows}
    return [value / by[number, FASTIFY] for (number, who), value in by.items() if who == name]


def _spread(values: Sequence[float], digits: int) -> str:
    middle, least, most = statistics.median(values), min(values), max(values)
    return f"{middle:.{digits}f} ({least:.{digits}f} to {most:.{digits}f})"
