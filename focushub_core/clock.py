"""What time it is, as something that is given: what depends on the time takes a clock, so that tests can set it."""

from __future__ import annotations

from datetime import UTC, datetime


class Clock:
    """``clock()`` is the present moment, in UTC. A handler gets its service's by a parameter ``clock: Clock``.

    `focushub_core.testing.FakeClock` shows the moment that a test sets.
    """

    def __call__(self) -> datetime:
        """The present moment, in UTC."""
        return datetime.now(UTC)
