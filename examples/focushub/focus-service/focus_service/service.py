"""The focus service: one open session a person, and the time that was spent in sessions."""

from __future__ import annotations

from focushub_core import Database, EntityTags, Idempotent, Located, Service, Settings
from focushub_core.stack import Stack
from stack_shared.day import DaySettings

from . import handlers, summary
from .sessions import Sessions


class FocusService(Service):
    """Answers ``/v1/focus``."""

    name = "focus-service"
    database: Database = Database(migrations="migrations")
    habits = (Idempotent(), EntityTags(), Located())
    routes = (handlers.routes, summary.routes)

    def __init__(self, settings: Settings | None = None, *, stack: Stack | None = None) -> None:
        super().__init__(settings, stack=stack)
        self.provide(Sessions, Sessions(self.database, self.clock))
        self.providers[DaySettings] = DaySettings.of
