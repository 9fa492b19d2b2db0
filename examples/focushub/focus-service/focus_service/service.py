"""The focus service: one open session a person, and the time that was spent in sessions."""

from __future__ import annotations

from datetime import UTC, datetime

from focushub_core import Database, Secret, Service, ServiceSettings, Settings
from focushub_core.stack import Stack
from stack_shared.day import HEADER, DaySettings

from . import handlers, summary
from .handlers import SessionPager
from .sessions import Clock, Sessions


def system_clock() -> datetime:
    """The moment at which it is called."""
    return datetime.now(UTC)


class FocusSettings(ServiceSettings, frozen=True, kw_only=True):
    """What the service reads from the environment beside what every service does."""

    cursor_secret: Secret


class FocusService(Service):
    """Answers ``/v1/focus``."""

    name = "focus-service"
    settings_type = FocusSettings
    settings: FocusSettings
    database: Database = Database(migrations="migrations")
    routes = (handlers.routes, summary.routes)
    clock: Clock = staticmethod(system_clock)
    """Tests put another one here."""

    def __init__(self, settings: Settings | None = None, *, stack: Stack | None = None) -> None:
        super().__init__(settings, stack=stack)
        self.provide(Sessions, Sessions(self.database, self.clock))
        self.provide(SessionPager, SessionPager(self.settings.cursor_secret.reveal()))
        self.providers[DaySettings] = lambda request: DaySettings.parse(request.headers.get(HEADER))
