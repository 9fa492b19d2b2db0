"""The one timer: looks once a second, earlier where asked, and never at what is gone."""

from __future__ import annotations

from typing import Any

from focushub_core.proxy.engine.wheel import Wheel


class Timer:
    """A loop's timers and a clock, moved by hand."""

    def __init__(self) -> None:
        self.now = 100.0
        self.due: list[tuple[float, Any]] = []

    def call_later(self, delay: float, call: Any) -> Timer:
        self.due.append((self.now + delay, call))
        return self

    def cancel(self) -> None:
        self.due.pop()

    def pass_to(self, then: float) -> None:
        while self.due and self.due[0][0] <= then + 1e-9:
            self.now, call = self.due.pop(0)
            call()
        self.now = then


class Entry:
    """Something watched, that notes when it was looked at."""

    def __init__(self, timer: Timer, last: float = 1e9) -> None:
        self.slot = 0
        self.timer = timer
        self.looks: list[float] = []
        self.last = last

    def look(self, now: float) -> float | None:
        self.looks.append(round(now, 1))
        return None if now >= self.last else 1e9


def wheel(timer: Timer) -> Wheel:
    return Wheel(timer, lambda: timer.now)  # type: ignore[arg-type]


def test_what_is_watched_is_looked_at_once_a_second() -> None:
    timer = Timer()
    entry = Entry(timer)
    wheel(timer).watch(entry)
    timer.pass_to(103.5)

    assert entry.looks == [101.0, 102.0, 103.0]


def test_a_near_deadline_is_kept_to_the_tick_and_looked_at_once() -> None:
    timer = Timer()
    entry = Entry(timer)
    turning = wheel(timer)
    turning.watch(entry)
    turning.soon(entry, 100.25)
    turning.soon(entry, 100.75)
    timer.pass_to(102.4)

    assert entry.looks[0] == 100.3
    assert len(entry.looks) == 3  # once more a second


def test_nothing_is_scheduled_when_nothing_is_watched() -> None:
    timer = Timer()
    turning = wheel(timer)
    turning.watch(Entry(timer, last=0))
    timer.pass_to(105)

    assert timer.due == []
