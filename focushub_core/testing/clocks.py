"""A clock that a test sets: ``client = await serve(Notes, clock=clock)``, then ``clock.go(hours=3)``."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from focushub_core.clock import Clock

NOON = "2026-05-04T12:00"
"""A Monday."""


class FakeClock(Clock):
    """Stands still at a moment until it is told otherwise."""

    def __init__(self, moment: str = NOON) -> None:
        self.set(moment)

    def __call__(self) -> datetime:
        return self.now

    def set(self, moment: str) -> None:
        """Shows ``moment``, in ISO 8601; one without an offset is in UTC."""
        read = datetime.fromisoformat(moment)
        self.now = read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)

    def go(self, **duration: float) -> None:
        """Goes on by so many ``days``, ``hours``, ``minutes`` or ``seconds``, together."""
        self.now += timedelta(**duration)


@pytest.fixture
def clock() -> FakeClock:
    """A clock at noon (UTC) of Monday, 4 May 2026."""
    return FakeClock()
