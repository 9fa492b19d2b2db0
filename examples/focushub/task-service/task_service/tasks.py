"""Tasks: what is to be done, in which project, and when it is due."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType
from uuid_utils.compat import uuid7

from focushub_core import Body, Database, FieldError, Instant, Invalid, NotFound, Page, Pager
from focushub_core.database import Connection, Record, ReferenceViolation
from focushub_core.http.conditional import require_match

from .changes import merged
from .due import Due, DueColumns, due_of
from .projects import Clock, Projects, no_such_project

Title = Annotated[str, msgspec.Meta(min_length=1, max_length=500, pattern=r"\S")]
Description = Annotated[str, msgspec.Meta(max_length=10_000)]
Priority = Annotated[int, msgspec.Meta(ge=1, le=4, description="1 is the most urgent")]
Seconds = Annotated[int, msgspec.Meta(ge=0, le=366 * 86_400)]
Status = Literal["open", "done"]

CLOCK_SKEW = timedelta(seconds=60)
"""How far a client's clock may be ahead of ours."""


class Task(msgspec.Struct, frozen=True):
    """A task as it is answered."""

    id: UUID
    project_id: UUID
    title: str
    description: str | None
    priority: int
    status: Status
    due: Due | None
    estimate_s: int | None
    created_at: datetime
    completed_at: datetime | None
    version: int


class NewTask(Body, frozen=True):
    """The body that creates a task; without a project it goes to the Inbox."""

    title: Title
    project_id: UUID | None = None
    description: Description | None = None
    priority: Priority = 4
    due: Due | None = None
    estimate_s: Seconds | None = None


class TaskChange(Body, frozen=True):
    """The body that changes one: what is left out stays, ``null`` clears, ``due`` is replaced whole."""

    title: Title | UnsetType = UNSET
    project_id: UUID | UnsetType = UNSET
    description: Description | UnsetType | None = UNSET
    priority: Priority | UnsetType = UNSET
    due: Due | UnsetType | None = UNSET
    estimate_s: Seconds | UnsetType | None = UNSET


class TaskFilter(msgspec.Struct, frozen=True):
    """Which tasks a list holds; ``due_from`` and ``due_to`` are both included, and are days as the tasks say them."""

    project_id: UUID | None = None
    status: Status | None = None
    due_from: date | None = None
    due_to: date | None = None


class Complete(Body, frozen=True):
    """The body that completes a task; ``completed_at`` is now where left out."""

    completed_at: Instant | None = None


class Completion(msgspec.Struct, frozen=True):
    """When a task was completed."""

    completed_at: datetime


class Completed(msgspec.Struct, frozen=True):
    """What completing did: nothing, where the task was ``already_completed``."""

    task: Task
    completion: Completion
    next_due: Due | None
    already_completed: bool


class Tasks:
    """The tasks of all people, each of them seen by its owner only: `NotFound` for anybody else."""

    def __init__(self, database: Database, projects: Projects, now: Clock, cursor_secret: str) -> None:
        self._database = database
        self._projects = projects
        self._now = now
        self._pager: Pager[UUID] = Pager(cursor_secret, "tasks", UUID)

    async def create(self, user_id: UUID, new: NewTask) -> Task:
        """A further task; `NotFound` (``project_not_found``) where the project is not the person's."""
        due = _columns(new.due)
        project_id = new.project_id or await self._projects.inbox(user_id)
        try:
            row = await self._database.fetchrow(
                "INSERT INTO tasks (id, user_id, project_id, title, description, priority, estimate_s, created_at,"
                " due_date, due_time, due_tz) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) RETURNING *",
                *(uuid7(), user_id, project_id, new.title, new.description, new.priority, new.estimate_s),
                *(self._now(), *due),
            )
        except ReferenceViolation:
            raise no_such_project() from None
        return task_of(row)

    async def page(self, user_id: UUID, wanted: TaskFilter, cursor: str | None, limit: int) -> Page[Task]:
        """The wanted ones of the person's tasks, in the order they were made."""
        rows = await self._database.fetch(
            "SELECT * FROM tasks WHERE user_id = $1"
            " AND ($2::uuid IS NULL OR project_id = $2)"
            " AND ($3::text IS NULL OR (completed_at IS NULL) = ($3 = 'open'))"
            " AND ($4::date IS NULL OR due_date >= $4)"
            " AND ($5::date IS NULL OR due_date <= $5)"
            " AND ($6::uuid IS NULL OR id > $6)"
            " ORDER BY id LIMIT $7",
            *(user_id, wanted.project_id, wanted.status, wanted.due_from, wanted.due_to),
            *(self._pager.decode(cursor), limit + 1),
        )
        return self._pager.page([task_of(row) for row in rows], limit, lambda task: task.id)

    async def get(self, user_id: UUID, task_id: UUID) -> Task:
        """One task."""
        return task_of(
            await self._database.fetchrow(
                "SELECT * FROM tasks WHERE user_id = $1 AND id = $2", user_id, task_id
            )
        )

    async def change(self, user_id: UUID, task_id: UUID, patch: TaskChange, if_match: str | None) -> Task:
        """Changes one; one that says nothing new keeps its version. Of two with the same ``If-Match`` one is made."""
        async with self._database.transaction() as connection:
            task = await _locked(connection, user_id, task_id)
            require_match(if_match, task.version)
            wanted = merged(task, patch)
            return task if wanted == task else await _store(connection, wanted)

    async def complete(self, user_id: UUID, task_id: UUID, at: datetime | None) -> Completed:
        """Completes one at ``at``, by default now; once only, whoever asks how often."""
        now = self._now()
        if at is not None and at > now + CLOCK_SKEW:
            wrong = FieldError("completed_at", "in_future", "This moment has not come yet.")
            raise Invalid(wrong.detail, code="in_future", errors=[wrong])
        async with self._database.transaction() as connection:
            task = await _locked(connection, user_id, task_id)
            if task.completed_at is not None:
                return Completed(task, Completion(task.completed_at), None, already_completed=True)
            task = await _set_completed(connection, task_id, at or now)
            return Completed(task, Completion(task.completed_at or now), None, already_completed=False)

    async def reopen(self, user_id: UUID, task_id: UUID) -> Task:
        """Undoes the completion; a task that is open stays as it is."""
        async with self._database.transaction() as connection:
            task = await _locked(connection, user_id, task_id)
            return task if task.status == "open" else await _set_completed(connection, task_id, None)


def task_of(row: Record | None) -> Task:
    """A row of the table; `NotFound` where there is none."""
    if row is None:
        raise NotFound("There is no such task.", code="task_not_found")
    return Task(
        id=row["id"],
        project_id=row["project_id"],
        title=row["title"],
        description=row["description"],
        priority=row["priority"],
        status="open" if row["completed_at"] is None else "done",
        due=due_of(DueColumns(row["due_date"], row["due_time"], row["due_tz"])),
        estimate_s=row["estimate_s"],
        created_at=row["created_at"],
        completed_at=row["completed_at"],
        version=row["version"],
    )


async def _locked(connection: Connection, user_id: UUID, task_id: UUID) -> Task:
    """One task, which nobody else changes until the transaction ends."""
    return task_of(
        await connection.fetchrow(
            "SELECT * FROM tasks WHERE user_id = $1 AND id = $2 FOR UPDATE", user_id, task_id
        )
    )


async def _store(connection: Connection, task: Task) -> Task:
    try:
        row = await connection.fetchrow(
            "UPDATE tasks SET project_id = $2, title = $3, description = $4, priority = $5, estimate_s = $6,"
            " due_date = $7, due_time = $8, due_tz = $9, version = version + 1 WHERE id = $1 RETURNING *",
            *(task.id, task.project_id, task.title, task.description, task.priority, task.estimate_s),
            *_columns(task.due),
        )
    except ReferenceViolation:
        raise no_such_project() from None
    return task_of(row)


async def _set_completed(connection: Connection, task_id: UUID, at: datetime | None) -> Task:
    return task_of(
        await connection.fetchrow(
            "UPDATE tasks SET completed_at = $2, version = version + 1 WHERE id = $1 RETURNING *", task_id, at
        )
    )


def _columns(due: Due | None) -> DueColumns:
    if due is None:
        return DueColumns()
    due.require_known_zone()
    return due.columns()
