"""The verdict for people, in at most 100 columns, and for programs. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from focushub_generator.local.console import table
from focushub_generator.local.verify.promises import Row, Verdict

HEAD = ("while", "sent", "requests", "failed", "may fail", "limited", "p50 ms", "p99 ms")


def lines(verdict: Verdict) -> list[str]:
    """The report, the verdict last."""
    counts = [
        ("at the end", "found", "of", "may be"),
        ("acknowledged writes that are lost", verdict.lost, verdict.acknowledged, 0),
        ("writes that were done twice", verdict.twice, verdict.writes, 0),
        ("answers that reached another client", verdict.astray, verdict.answers, 0),
    ]
    shown = [*table([HEAD, *_cells(verdict.rows)]), "", *table([tuple(map(str, row)) for row in counts]), ""]
    if any(row.limited for row in verdict.rows):
        shown += ["What a limit refused (429) counts as neither done nor failed.", ""]
    verdicts = [f"BROKEN  {words}" for words in verdict.broken] or ["All promises kept."]
    return [*shown, *verdicts]


def fields(verdict: Verdict) -> dict[str, Any]:
    """The report as JSON has it."""
    return {"kept": verdict.kept, **asdict(verdict)}


def _cells(rows: Sequence[Row]) -> list[tuple[str, ...]]:
    """What happened meanwhile is said once, in the first of its rows."""
    found, last = [], ""
    for row in rows:
        numbers = (row.requests, row.failed, row.allowed, row.limited)
        times = ("-" if ms is None else f"{ms:.1f}" for ms in (row.p50_ms, row.p99_ms))
        found.append(("" if row.during == last else row.during, row.sent, *map(str, numbers), *times))
        last = row.during
    return found
