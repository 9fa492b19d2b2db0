"""Who wants to know what becomes of a request on its way through the engine: an explanation, a trace.

Nobody does of most requests; these cost a look at one attribute.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from focushub_core.balancer import Pool, Upstream
from focushub_core.telemetry.explain import FIELD, HEADER, Explanation, current

Notes = tuple[tuple[str, float, str], ...]


class Witness(Protocol):
    """Hears of each step of one request, ``now`` in seconds by the engine's clock."""

    @property
    def trace_id(self) -> str | None:
        """That of the trace to which the request belongs."""

    def decided(self, notes: Notes) -> None:
        """It is known who serves it: steps, the seconds that each took, and what there is to say of it."""

    def attach(self) -> None:
        """What this task does from now on, it does for the request."""

    def chosen(self, upstream: Upstream, pool: Pool, now: float) -> None:
        """``upstream`` of ``pool`` is to have it."""

    def asked(self, now: float) -> bytes:
        """It is being sent there; further field lines for the upstream."""

    def failed(self, code: str, now: float) -> None:
        """That came to nothing, and why."""

    def told(self, now: float) -> bytes:
        """The answer's head is being written; further field lines for the client."""

    def over(self, route: str, status: int, now: float) -> None:
        """It is over."""


class Several:
    """More than one who wants to know."""

    def __init__(self, witnesses: Sequence[Witness]) -> None:
        self._witnesses = witnesses

    @property
    def trace_id(self) -> str | None:
        return next((each.trace_id for each in self._witnesses if each.trace_id is not None), None)

    def decided(self, notes: Notes) -> None:
        for each in self._witnesses:
            each.decided(notes)

    def attach(self) -> None:
        for each in self._witnesses:
            each.attach()

    def chosen(self, upstream: Upstream, pool: Pool, now: float) -> None:
        for each in self._witnesses:
            each.chosen(upstream, pool, now)

    def asked(self, now: float) -> bytes:
        return b"".join([each.asked(now) for each in self._witnesses])

    def failed(self, code: str, now: float) -> None:
        for each in self._witnesses:
            each.failed(code, now)

    def told(self, now: float) -> bytes:
        return b"".join([each.told(now) for each in self._witnesses])

    def over(self, route: str, status: int, now: float) -> None:
        for each in self._witnesses:
            each.over(route, status, now)


class Explaining:
    """Writes down what is told to an operator who sent ``secret``; ``began`` is when the request's head was there."""

    trace_id = None

    def __init__(self, part: str, secret: bytes, began: float) -> None:
        self._said = Explanation(part)
        self._line = b"%b: %b\r\n" % (HEADER.encode(), secret)
        self._began = began
        self._since = began
        self._why = ""
        self._waiting = False

    def decided(self, notes: Notes) -> None:
        for step, seconds, why in notes:
            self._said.add(step, seconds, why)

    def attach(self) -> None:
        current.set(self._said)

    def chosen(self, upstream: Upstream, pool: Pool, now: float) -> None:
        usable = sum(each.usable(now) for each in pool.upstreams)
        self._why = f"{upstream.url}: {pool.policy}, {usable} of {len(pool.upstreams)} {pool.name} usable"
        self._since = now

    def asked(self, now: float) -> bytes:
        self._said.add("connect", now - self._since)
        self._since = now
        self._waiting = True
        return self._line

    def failed(self, code: str, now: float) -> None:
        self._said.add("tried", now - self._since, f"{self._why}; {code}")
        self._waiting = False

    def told(self, now: float) -> bytes:
        if self._waiting:
            self._said.add("upstream", now - self._since, self._why)
            self._waiting = False
        return f"{FIELD}: {self._said.text(now - self._began)}\r\n".encode()

    def over(self, route: str, status: int, now: float) -> None:
        """Everything is told by then."""
