"""What a process writes in one turn of the loop, to whomever, leaves at the turn's end.

A process that is written to is woken, which costs the writer more than the writing, and it sleeps again before the next
message is ready. Written one after the other, messages find it awake. With 64 connections that saves a third of what a
forwarded request costs (docs/decisions/proxy-engine.md).

Rules that hold here:

* The order of what goes to one connection is that in which it was written.
* While there is one request only, what is written leaves at once: there is nothing to wait for.
* Whoever ends a connection flushes first.
* What waits is bounded: large pieces gain nothing by it, and who takes them slowly has to be noticed.
* One connection that fails keeps nothing from the others.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

from focushub_core.telemetry.counters import RequestCounters

MOST = 64 * 1024
"""Bytes that wait, after which they are sent before the turn's end."""


class Sender(Protocol):
    """A connection."""

    def send(self, data: bytes) -> None:
        """Write now, if the connection is still there."""


class Outbox:
    """For all connections of an engine; ``counters`` know how many requests there are."""

    def __init__(self, loop: asyncio.AbstractEventLoop, counters: RequestCounters) -> None:
        self._loop = loop
        self._counters = counters
        self._waiting: list[tuple[Sender, bytes]] = []
        self._size = 0

    def write(self, to: Sender, data: bytes) -> None:
        """Have ``data`` sent, behind all that was written before."""
        if not self._waiting:
            if self._counters.in_flight < 2:
                to.send(data)
                return
            self._loop.call_soon(self.flush)
        self._waiting.append((to, data))
        self._size += len(data)
        if self._size > MOST:
            self.flush()

    def flush(self) -> None:
        """Send what waits."""
        waiting, self._waiting, self._size = iter(self._waiting), [], 0
        try:
            for to, data in waiting:
                to.send(data)
        finally:
            if rest := list(waiting):
                self._waiting = rest + self._waiting
                self._loop.call_soon(self.flush)
