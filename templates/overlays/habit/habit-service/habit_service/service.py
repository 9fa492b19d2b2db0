"""The habit service: habits, check-ins, and the streaks that follow from them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler

from focushub_core import Database, EntityTags, Idempotent, Invalid, Located, Service, Settings
from focushub_core.stack import Stack
from stack_shared.day import DaySettings

from . import entries, progress
from .days import Today
from .habits import DELETED, Habits, routes
from .progress import WholeDay


@web.middleware
async def name_invalid_schedules(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Gives a problem in which nothing but the schedule is wrong the code ``invalid_schedule``."""
    try:
        return await handler(request)
    except Invalid as error:
        if error.errors and all(wrong.field.split(".")[0] == "schedule" for wrong in error.errors):
            raise Invalid(error.detail, code="invalid_schedule", errors=error.errors) from None
        raise


class HabitService(Service):
    """Answers ``/v1/habits``."""

    name = "habit-service"
    database: Database = Database(migrations="migrations")
    habits = (Idempotent(), EntityTags(), Located())
    routes = (progress.routes, routes, entries.routes)
    soft_deletes = (DELETED,)

    def __init__(self, settings: Settings | None = None, *, stack: Stack | None = None) -> None:
        super().__init__(settings, stack=stack)
        self.providers[Today] = self.today_of
        self.provide(Habits, Habits(self.database))
        self.provide_pages(WholeDay)

    def middlewares(self) -> Iterable[Any]:
        return (*super().middlewares(), name_invalid_schedules)

    def today_of(self, request: web.Request) -> Today:
        """The day that it is for the person who asks, by the settings that the gateway sends along."""
        return Today.at(self.clock(), DaySettings.of(request))
