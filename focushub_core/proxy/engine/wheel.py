"""One coarse timer for everything that has a deadline.

Rules that hold here:

* What is watched is looked at once a second, and says itself whether its time is over. Setting a deadline is setting an
  attribute; nothing is scheduled for a request, and nothing is cancelled after it.
* A deadline less than a second away is said with `Wheel.soon`. It is kept to within `TICK`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from math import ceil
from typing import Protocol

TICK = 0.1
"""Seconds."""
ROUND = 1.0
"""Seconds between two looks."""


class Watched(Protocol):
    """Something with deadlines. ``slot`` is the wheel's own mark on it."""

    slot: int

    def look(self, now: float) -> float | None:
        """Act on what is due at ``now``. When is the next deadline, or None: watch it no more."""


class Wheel:
    """The timer. ``clock`` gives seconds."""

    def __init__(self, loop: asyncio.AbstractEventLoop, clock: Callable[[], float]) -> None:
        self._loop = loop
        self._clock = clock
        self._slots: dict[int, list[Watched]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._next = 0

    def watch(self, entry: Watched) -> None:
        """Look at ``entry`` from now on."""
        self._put(entry, self._clock() + ROUND)

    def soon(self, entry: Watched, when: float) -> None:
        """Look at ``entry``, which is watched, by ``when``, too."""
        if ceil(when / TICK) < entry.slot:
            self._put(entry, when)

    def close(self) -> None:
        """Look at nothing any more."""
        self._slots.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _put(self, entry: Watched, when: float) -> None:
        entry.slot = number = ceil(when / TICK)
        self._slots.setdefault(number, []).append(entry)
        if self._timer is None or number < self._next:
            self._schedule(number)

    def _schedule(self, number: int) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._next = number
        self._timer = self._loop.call_later(max(0.0, number * TICK - self._clock()), self._turn)

    def _turn(self) -> None:
        self._timer = None
        now = self._clock()
        due = sorted(number for number in self._slots if number * TICK <= now)
        for number in due:
            for entry in self._slots.pop(number):
                if entry.slot == number and (next_look := entry.look(now)) is not None:
                    self._put(entry, min(max(next_look, now + TICK), now + ROUND))
        if self._timer is None and self._slots:
            self._schedule(min(self._slots))
