"""The habit service: habits, check-ins, and the streaks that follow from them."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from focushub_core import Database, EntityTags, Idempotent, Invalid, Located, Service, Settings
from focushub_core.http.habit import Call, Habit
from focushub_core.http.handlers import Operation
from focushub_core.stack import Stack
from stack_shared.day import DaySettings

from . import entries, progress
from .days import Today
from .habits import DELETED, Habits, routes
from .progress import WholeDay


class NamedSchedules(Habit):
    """A problem in which nothing but the schedule is wrong has the code ``invalid_schedule``."""

    def fits(self, operation: Operation) -> bool:
        return operation.signature.body is not None

    def wrap(self, call: Call, operation: Operation) -> Call:
        async def named(request: web.Request) -> Any:
            try:
                return await call(request)
            except Invalid as error:
                if error.errors and all(wrong.field.split(".")[0] == "schedule" for wrong in error.errors):
                    raise Invalid(error.detail, code="invalid_schedule", errors=error.errors) from None
                raise

        return named


class HabitService(Service):
    """Answers ``/v1/habits``."""

    name = "habit-service"
    database: Database = Database(migrations="migrations")
    habits = (NamedSchedules(), Idempotent(), EntityTags(), Located())
    routes = (progress.routes, routes, entries.routes)
    soft_deletes = (DELETED,)

    def __init__(self, settings: Settings | None = None, *, stack: Stack | None = None) -> None:
        super().__init__(settings, stack=stack)
        self.providers[Today] = self.today_of
        self.provide(Habits, Habits(self.database))
        self.provide_pages(WholeDay)

    def today_of(self, request: web.Request) -> Today:
        """The day that it is for the person who asks, by the settings that the gateway sends along."""
        return Today.at(self.clock(), DaySettings.of(request))
