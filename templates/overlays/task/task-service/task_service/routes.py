"""Paths, and what answers them."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from focushub_core import Conflict, IfMatch, Invalid, Page, Paging, Query, Routes, User
from stack_shared.day import Day, DaySettings

from .projects import NewProject, Project, ProjectChange, Projects, inbox_protected, no_such_project
from .tasks import Complete, Completed, NewTask, Task, TaskChange, TaskFilter, Tasks, no_such_task
from .today import Days, Today

projects = Routes("/v1/projects")
tasks = Routes("/v1/tasks")


@projects.get()
async def list_projects(user: User, store: Projects, page: Paging) -> Page[Project]:
    """All projects, the Inbox among them."""
    return await store.page(user.id, page)


@projects.post(status=201)
async def create_project(body: NewProject, user: User, store: Projects) -> Project:
    """A new project."""
    return await store.create(user.id, body)


@projects.get("/{project_id}", raises=[no_such_project()])
async def get_project(project_id: UUID, user: User, store: Projects) -> Project:
    """One project."""
    return await store.get(user.id, project_id)


@projects.patch("/{project_id}", raises=[no_such_project()])
async def change_project(
    project_id: UUID, body: ProjectChange, user: User, store: Projects, if_match: IfMatch
) -> Project:
    """Changes a project."""
    return await store.change(user.id, project_id, body, if_match)


@projects.delete("/{project_id}", raises=[no_such_project(), inbox_protected()])
async def delete_project(project_id: UUID, user: User, store: Projects, if_match: IfMatch) -> None:
    """Deletes a project with its tasks; for 30 days it can be restored."""
    await store.delete(user.id, project_id, if_match)


@projects.post("/{project_id}/restore", raises=[no_such_project()])
async def restore_project(project_id: UUID, user: User, store: Projects) -> Project:
    """Brings a deleted project back, with the tasks that were deleted with it."""
    return await store.restore(user.id, project_id)


@tasks.get()
async def list_tasks(
    user: User, store: Tasks, wanted: Annotated[TaskFilter, Query()], page: Paging
) -> Page[Task]:
    """Tasks, filtered."""
    return await store.page(user.id, wanted, page)


@tasks.post(status=201, raises=[no_such_project()])
async def create_task(body: NewTask, user: User, store: Tasks) -> Task:
    """A new task."""
    return await store.create(user.id, body)


@tasks.get("/today")
async def today(user: User, person: DaySettings, days: Days, date: Day | None = None) -> Today:
    """What is due and overdue on the person's logical day, or on ``date``, and how much is done."""
    return await days.of(user.id, person, date)


@tasks.get("/{task_id}", raises=[no_such_task()])
async def get_task(task_id: UUID, user: User, store: Tasks) -> Task:
    """One task."""
    return await store.get(user.id, task_id)


@tasks.patch("/{task_id}", raises=[no_such_task(), no_such_project()])
async def change_task(task_id: UUID, body: TaskChange, user: User, store: Tasks, if_match: IfMatch) -> Task:
    """Changes a task."""
    return await store.change(user.id, task_id, body, if_match)


@tasks.delete("/{task_id}", raises=[no_such_task()])
async def delete_task(task_id: UUID, user: User, store: Tasks, if_match: IfMatch) -> None:
    """Deletes a task; for 30 days it can be restored."""
    await store.delete(user.id, task_id, if_match)


@tasks.post("/{task_id}/restore", raises=[no_such_task(), Conflict(code="parent_deleted")])
async def restore_task(task_id: UUID, user: User, store: Tasks) -> Task:
    """Brings a deleted task back, unless its project is deleted."""
    return await store.restore(user.id, task_id)


@tasks.post("/{task_id}/complete", raises=[no_such_task(), Invalid(code="in_future")])
async def complete_task(task_id: UUID, user: User, store: Tasks, body: Complete | None = None) -> Completed:
    """Completes a task; again, it is ``already_completed``."""
    return await store.complete(user.id, task_id, body.completed_at if body else None)


@tasks.post("/{task_id}/reopen", raises=[no_such_task()])
async def reopen_task(task_id: UUID, user: User, store: Tasks) -> Task:
    """Undoes the completion of a task."""
    return await store.reopen(user.id, task_id)
