"""The task service: its settings, its database, its routes, and what their handlers are given."""

from __future__ import annotations

from datetime import UTC, datetime

from aiohttp import web

from focushub_core import Database, Secret, Service, ServiceSettings, Settings
from focushub_core.stack import Stack
from stack_shared.day import HEADER, DaySettings

from . import routes
from .projects import Projects
from .tasks import Tasks
from .today import Days


class TaskSettings(ServiceSettings, frozen=True, kw_only=True):
    """What the task service reads."""

    cursor_secret: Secret
    """Signs the cursors of lists."""


class TaskService(Service):
    """Projects and tasks."""

    name = "task-service"
    settings_type = TaskSettings
    settings: TaskSettings
    database: Database = Database(migrations="migrations")
    routes = (routes.projects, routes.tasks)

    def __init__(self, settings: Settings | None = None, *, stack: Stack | None = None) -> None:
        super().__init__(settings, stack=stack)
        secret = self.settings.cursor_secret.reveal()
        projects = Projects(self.database, self.now, secret)
        self.provide(Projects, projects)
        self.provide(Tasks, Tasks(self.database, projects, self.now, secret))
        self.provide(Days, Days(self.database, self.now))
        self.providers[DaySettings] = day_settings

    def now(self) -> datetime:
        """The clock of everything that the service does; tests stop it."""
        return datetime.now(UTC)


def day_settings(request: web.Request) -> DaySettings:
    """The asking person's, as the gateway says them."""
    return DaySettings.parse(request.headers.get(HEADER))
