"""Habits on a real database, looked at on a day of the test's choice."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from hypothesis import settings

from habit_service.service import HabitService

if TYPE_CHECKING:
    from focushub_core.testing import Person, Serve, ServiceClient

pytest_plugins = ["focushub_core.testing"]

settings.register_profile("habits", deadline=None)
settings.load_profile("habits")


class Moment:
    """The service's clock: it stands still at ``now`` (UTC) until a test sets another moment."""

    now = "2026-05-06T12:00"

    def __call__(self) -> datetime:
        return datetime.fromisoformat(self.now).replace(tzinfo=UTC)


@pytest.fixture
def moment(monkeypatch: pytest.MonkeyPatch) -> Moment:
    """Noon of Wednesday, 6 May 2026."""
    chosen = Moment()
    monkeypatch.setattr(HabitService, "clock", chosen)
    return chosen


@pytest_asyncio.fixture
async def habits(serve: Serve, moment: Moment) -> ServiceClient:
    """A running habit service."""
    return await serve(HabitService)


class Keeper:
    """A person with one habit; ``day`` is their X-User-Day."""

    def __init__(self, person: Person, habit: dict[str, Any]) -> None:
        self.person, self.habit, self.day = person, habit, "UTC;1;0"
        self.path = f"/v1/habits/{habit['id']}"

    async def enter(self, date: str, **entry: Any) -> Any:
        """Sets a day's entry, by default to done; the reply."""
        path = f"{self.path}/entries/{date}"
        return await self.person.put(path, json=entry or {"state": "done"}, headers={"X-User-Day": self.day})

    async def get(self, path: str) -> Any:
        """The body of an answer for this person's day."""
        return (await self.person.get(path, headers={"X-User-Day": self.day})).body

    async def streaks(self) -> tuple[int, int]:
        """The current streak and the best one."""
        stats = await self.get(f"{self.path}/stats")
        return stats["current_streak"], stats["best_streak"]


async def keeper(habits: ServiceClient, **habit: Any) -> Keeper:
    """Somebody who has just made a habit."""
    person = habits.person()
    return Keeper(person, (await person.post("/v1/habits", json={"name": "Read"} | habit)).body)
