"""The verdict for people, in at most 100 columns, and for programs. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from focushub_generator.local.console import table
from focushub_generator.local.verify.promises import Row, Verdict

HEAD = ("while", "sent", "requests", "failed", "may fail", "limited", "p50 ms", "p99 ms")
LEFT = 2
"""Columns of words; numbers stand to the right."""


def lines(verdict: Verdict) -> list[str]:
    """The report, the verdict last."""
    counts = [
        ("at the end", "", "of", "may be"),
        ("acknowledged writes that are lost", verdict.lost, verdict.acknowledged, 0),
        ("writes that were done twice", verdict.twice, verdict.writes, 0),
        ("answers that reached another client", verdict.astray, verdict.answers, 0),
    ]
    shown = [*_aligned([HEAD, *_cells(verdict.rows)], LEFT), ""]
    shown += [*_aligned([tuple(map(str, row)) for row in counts], 1), ""]
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


def _aligned(rows: Sequence[Sequence[str]], left: int) -> list[str]:
    """As `table`, with the columns from ``left`` on flush right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    flush = [
        [cell if number < left else cell.rjust(widths[number]) for number, cell in enumerate(row)]
        for row in rows
    ]
    return table(flush)
