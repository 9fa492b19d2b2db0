"""The habit service: habits, check-ins, and the streaks that follow from them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler

from focushub_core import Database, Invalid, Secret, Service, ServiceSettings, Settings
from focushub_core.stack import Stack
from stack_shared.day import HEADER, DaySettings

from . import entries, habits, progress
from .days import Clock, Today
from .habits import HabitPager, Habits


def wall_clock() -> datetime:
    """What time it is."""
    return datetime.now(UTC)


@web.middleware
async def name_invalid_schedules(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Gives a problem in which nothing but the schedule is wrong the code ``invalid_schedule``."""
    try:
        return await handler(request)
    except Invalid as error:
        if error.errors and all(wrong.field.split(".")[0] == "schedule" for wrong in error.errors):
            raise Invalid(error.detail, code="invalid_schedule", errors=error.errors) from None
        raise


class HabitSettings(ServiceSettings, frozen=True, kw_only=True):
    """``cursor_secret`` signs the cursors of lists."""

    cursor_secret: Secret


class HabitService(Service):
    """Answers ``/v1/habits``."""

    name = "habit-service"
    settings_type = HabitSettings
    settings: HabitSettings
    database: Database = Database(migrations="migrations")
    routes = (progress.routes, habits.routes, entries.routes)
    clock: Clock = staticmethod(wall_clock)
    """What decides which day it is; a test puts its own here."""

    def __init__(self, settings: Settings | None = None, *, stack: Stack | None = None) -> None:
        super().__init__(settings, stack=stack)
        self.providers[Today] = self.today_of
        self.provide(Habits, Habits(self.database))
        self.provide(HabitPager, HabitPager(self.settings.cursor_secret.reveal()))

    def middlewares(self) -> Iterable[Any]:
        return (name_invalid_schedules,)

    def today_of(self, request: web.Request) -> Today:
        """The day that it is for the person who asks, by the settings that the gateway sends along."""
        return Today.at(self.clock(), DaySettings.parse(request.headers.get(HEADER)))
