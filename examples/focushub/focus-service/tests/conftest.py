"""The service on a real database, and a clock that goes only when a test says so."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from focus_service.service import FocusService

if TYPE_CHECKING:
    from focushub_core.testing import Serve, ServiceClient

pytest_plugins = ["focushub_core.testing"]


class FakeClock:
    """Shows one moment until it is set: ``clock.at("10:10")`` on its day, or another day in full."""

    def __init__(self) -> None:
        self.now = datetime(2026, 5, 4, 10, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def at(self, moment: str) -> None:
        """Sets it, in UTC."""
        text = moment if "T" in moment else f"{self.now:%Y-%m-%d}T{moment}"
        self.now = datetime.fromisoformat(text).replace(tzinfo=UTC)

    def go(self, **duration: float) -> None:
        """Goes on by so many ``hours``, ``minutes`` or ``seconds``."""
        self.now += timedelta(**duration)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    """The service's clock, at 2026-05-04T10:00Z."""
    clock = FakeClock()
    monkeypatch.setattr(FocusService, "clock", clock)
    return clock


@pytest_asyncio.fixture
async def focus(serve: Serve, clock: FakeClock) -> ServiceClient:
    """A running focus service."""
    return await serve(FocusService)
