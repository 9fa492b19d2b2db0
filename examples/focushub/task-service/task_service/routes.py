"""Paths, and what answers them."""

from __future__ import annotations

from datetime import date
from typing import Annotated
from uuid import UUID

from focushub_core import Answer, Header, Limit, Page, Routes, User
from focushub_core.http.conditional import etag
from stack_shared.day import DaySettings

from .projects import NewProject, Project, ProjectChange, Projects
from .tasks import Complete, Completed, NewTask, Status, Task, TaskChange, TaskFilter, Tasks
from .today import Days, Today

IfMatch = Annotated[str | None, Header("If-Match")]

projects = Routes("/v1/projects")
tasks = Routes("/v1/tasks")


@projects.get()
async def list_projects(
    user: User, store: Projects, limit: Limit = 50, cursor: str | None = None
) -> Page[Project]:
    """All projects, the Inbox among them."""
    return await store.page(user.id, cursor, limit)


@projects.post(status=201)
async def create_project(body: NewProject, user: User, store: Projects) -> Answer[Project]:
    """A new project."""
    project = await store.create(user.id, body)
    return Answer(project, headers=_tag(project) | {"Location": f"/v1/projects/{project.id}"})


@projects.get("/{project_id}")
async def get_project(project_id: UUID, user: User, store: Projects) -> Answer[Project]:
    """One project."""
    project = await store.get(user.id, project_id)
    return Answer(project, headers=_tag(project))


@projects.patch("/{project_id}")
async def change_project(
    project_id: UUID, body: ProjectChange, user: User, store: Projects, if_match: IfMatch = None
) -> Answer[Project]:
    """Changes a project; 412 where it is no longer the version that ``If-Match`` names."""
    project = await store.change(user.id, project_id, body, if_match)
    return Answer(project, headers=_tag(project))


@tasks.get()
async def list_tasks(
    *,
    user: User,
    store: Tasks,
    project_id: UUID | None = None,
    status: Status | None = None,
    due_from: date | None = None,
    due_to: date | None = None,
    limit: Limit = 50,
    cursor: str | None = None,
) -> Page[Task]:
    """Tasks, filtered."""
    return await store.page(user.id, TaskFilter(project_id, status, due_from, due_to), cursor, limit)


@tasks.post(status=201)
async def create_task(body: NewTask, user: User, store: Tasks) -> Answer[Task]:
    """A new task."""
    task = await store.create(user.id, body)
    return Answer(task, headers=_tag(task) | {"Location": f"/v1/tasks/{task.id}"})


@tasks.get("/today")
async def today(user: User, person: DaySettings, days: Days) -> Today:
    """What is due and overdue on the person's logical day, and how much is done."""
    return await days.today(user.id, person)


@tasks.get("/{task_id}")
async def get_task(task_id: UUID, user: User, store: Tasks) -> Answer[Task]:
    """One task."""
    task = await store.get(user.id, task_id)
    return Answer(task, headers=_tag(task))


@tasks.patch("/{task_id}")
async def change_task(
    task_id: UUID, body: TaskChange, user: User, store: Tasks, if_match: IfMatch = None
) -> Answer[Task]:
    """Changes a task; 412 where it is no longer the version that ``If-Match`` names."""
    task = await store.change(user.id, task_id, body, if_match)
    return Answer(task, headers=_tag(task))


@tasks.post("/{task_id}/complete")
async def complete_task(
    task_id: UUID, user: User, store: Tasks, body: Complete | None = None
) -> Answer[Completed]:
    """Completes a task; again, it is ``already_completed``."""
    done = await store.complete(user.id, task_id, body.completed_at if body else None)
    return Answer(done, headers=_tag(done.task))


@tasks.post("/{task_id}/reopen")
async def reopen_task(task_id: UUID, user: User, store: Tasks) -> Answer[Task]:
    """Undoes the completion of a task."""
    task = await store.reopen(user.id, task_id)
    return Answer(task, headers=_tag(task))


def _tag(item: Project | Task) -> dict[str, str]:
    return {"ETag": etag(item.version)}
