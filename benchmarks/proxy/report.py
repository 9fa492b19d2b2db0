"""A table and a chart of raw rounds: ratios within a round, so that what else the machine does falls out."""

from __future__ import annotations

import statistics
from typing import Any

import starts
from bars import bars

BASE = "nginx"


def ratios(result: dict[str, Any], load: str, figure: str, peer: str, base: str = BASE) -> list[float]:
    """``peer``'s figure over ``base``'s, for each round that has both."""
    by: dict[tuple[int, str], float] = {
        (one["round"], one["peer"]): one[figure] for one in result["rounds"] if one["load"] == load
    }
    numbers = sorted({number for number, _ in by})
    return [
        by[number, peer] / by[number, base]
        for number in numbers
        if (number, peer) in by and by.get((number, base))
    ]


def names(result: dict[str, Any]) -> list[str]:
    """The peers, in the order in which they were first asked."""
    return list(dict.fromkeys(one["peer"] for one in result["rounds"]))


def table(result: dict[str, Any]) -> str:
    """In Markdown."""
    lines = [
        f"Measured {result['when']}; Python {result['machine']['python']}, {result['machine']['cores']} cores, "
        f"load average {result['machine']['load_before'][0]:.1f} (of others, too); "
        f"{result['seconds']:g} s a round, {result['connections']} connections.",
        "",
        "| proxy | CPU per request, us | ratio to nginx | throughput over Fastify's | p99 at half of its load, ms |",
        "|---|---|---|---|---|",
    ]
    for name in names(result):
        full = [one for one in result["rounds"] if one["peer"] == name and one["load"] == "full"]
        half = [one for one in result["rounds"] if one["peer"] == name and one["load"] == "half"]
        lines.append(
            f"| {name} | {_spread([one['cpu_us'] for one in full], 1)} "
            f"| {_spread(ratios(result, 'full', 'cpu_us', name), 2)} "
            f"| {_spread(ratios(result, 'full', 'per_second', name, 'fastify'), 2)} "
            f"| {_spread([one['p99_ms'] for one in half], 1)} |"
        )
    for missing in result["missing"]:
        lines.append(f"\nNot compared: {missing}.")
    lines += [
        "",
        "Median (least to most) of the rounds.",
        "",
        *_large(result),
        *starts.table(result["starts"]),
    ]
    return "\n".join(lines) + "\n"


def _large(result: dict[str, Any]) -> list[str]:
    lines = []
    for name in dict.fromkeys(one["peer"] for one in result["large"]):
        mine = [one for one in result["large"] if one["peer"] == name]
        ways = (
            f"{way}: {_spread([one[f'{way}_mb_s'] for one in mine], 0)} MB/s, "
            f"{_spread([one[f'{way}_cpu_ms'] for one in mine], 0)} ms of CPU"
            for way in ("down", "up")
        )
        held = max(one["peak_mb"] for one in mine)
        lines.append(f"- 100 MB through {name}, {'; '.join(ways)}; it never held more than {held:.0f} MB.")
    for way in ("down", "up"):
        by = {
            name: [one[f"{way}_mb_s"] for one in result["large"] if one["peer"] == name]
            for name in ("nginx", "focushub")
        }
        both = [mine / theirs for mine, theirs in zip(by["focushub"], by["nginx"], strict=False)]
        lines.append(f"- Speed {way}, nginx = 1: {_spread(both, 2)}.")
    return lines


def _spread(values: list[float], digits: int) -> str:
    if not values:
        return "-"
    middle, least, most = statistics.median(values), min(values), max(values)
    return f"{middle:.{digits}f} ({least:.{digits}f} to {most:.{digits}f})"


def chart(result: dict[str, Any]) -> str:
    """Bars of CPU per request against nginx's, with their spread, as SVG."""
    rows = [
        (name, ratios(result, "full", "cpu_us", name), name.startswith("focushub")) for name in names(result)
    ]
    return bars("CPU per proxied request, nginx = 1 (less is better)", [row for row in rows if row[1]])
