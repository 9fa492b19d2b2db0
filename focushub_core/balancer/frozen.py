"""Which upstreams stand still: they have requests, and nothing comes from them.

A process that is stopped, or whose loop hangs, still accepts connections: the kernel does it for it. No error shows
that, and each request would wait until its deadline. A slow one looks the same from outside, so whoever stands still
is probed before anything is made of it.

Rules that hold here:

* It is looked at several times a second, whatever the number of requests: no request has a timer of its own.
* Who shows any sign of life, to whichever request, does not stand still; nor does who has nothing to answer.
* One that was probed is probed again only when it has stood still for as long once more.
"""

from __future__ import annotations

from collections.abc import Iterable

from focushub_core.balancer.upstreams import Upstream

QUIET_S = 1.0
"""Seconds without a sign of life after which an upstream is probed."""


class Stillness:
    """Remembers when each upstream last moved."""

    def __init__(self, quiet_s: float = QUIET_S) -> None:
        self._quiet_s = quiet_s
        self._seen: dict[
            Upstream, tuple[int, float]
        ] = {}  # signs of life, and since when there are that many

    def look(self, upstreams: Iterable[Upstream], now: float) -> list[Upstream]:
        """Those of ``upstreams`` that have to be probed at ``now``; the others are forgotten."""
        before, self._seen = self._seen, {}
        still = []
        for upstream in upstreams:
            if not upstream.in_flight:
                continue
            signs = upstream.signs
            seen, since = before.get(upstream, (signs, now))
            if seen != signs:
                since = now
            elif now - since >= self._quiet_s:
                still.append(upstream)
                since = now
            self._seen[upstream] = (signs, since)
        return still
