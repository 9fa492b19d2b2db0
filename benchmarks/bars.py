"""Bars with their spread, as SVG."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from html import escape

Bar = tuple[str, Sequence[float], bool]
"""A name, the values of all rounds, and whether it is one of ours."""


def bars(title: str, rows: Sequence[Bar], *, wide: int = 180) -> str:
    """A bar for each row's median, with a line from its least to its most; names take ``wide`` pixels."""
    scale = 420 / max(max(values) for _, values, _ in rows)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{wide + 540}" height="{50 + 34 * len(rows)}" '
        'font-family="sans-serif" font-size="13">',
        f'<text x="10" y="22" font-weight="bold">{escape(title)}</text>',
    ]
    for number, (name, values, ours) in enumerate(rows):
        y, middle = 40 + 34 * number, statistics.median(values)
        least, most = min(values) * scale, max(values) * scale
        parts += [
            f'<text x="10" y="{y + 15}">{escape(name)}</text>',
            f'<rect x="{wide}" y="{y}" width="{middle * scale:.1f}" height="20" '
            f'fill="{"#2b6cb0" if ours else "#a0aec0"}"/>',
            f'<line x1="{wide + least:.1f}" x2="{wide + most:.1f}" y1="{y + 10}" '
            f'y2="{y + 10}" stroke="#1a202c" stroke-width="2"/>',
            f'<text x="{wide + 10 + most:.1f}" y="{y + 15}">{middle:.2f}</text>',
        ]
    return "\n".join([*parts, "</svg>"]) + "\n"
