"""The task service: its database, its routes, and what their handlers are given."""

from __future__ import annotations

from focushub_core import Database, EntityTags, Idempotent, Located, Service, Settings
from focushub_core.stack import Stack
from stack_shared.day import DaySettings

from . import projects, routes, tasks
from .projects import Projects
from .tasks import Tasks
from .today import Days


class TaskService(Service):
    """Projects and tasks."""

    name = "task-service"
    database: Database = Database(migrations="migrations")
    habits = (Idempotent(), EntityTags(), Located())
    routes = (routes.projects, routes.tasks)
    soft_deletes = (projects.DELETED, tasks.DELETED)

    def __init__(self, settings: Settings | None = None, *, stack: Stack | None = None) -> None:
        super().__init__(settings, stack=stack)
        projects = Projects(self.database, self.clock)
        self.provide(Projects, projects)
        self.provide(Tasks, Tasks(self.database, projects, self.clock))
        self.provide(Days, Days(self.database, self.clock))
        self.providers[DaySettings] = DaySettings.of
