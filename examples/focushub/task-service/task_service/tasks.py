"""Tasks: what is to be done, in which project, and when it is due."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from uuid_utils.compat import uuid7

from focushub_core import (
    UNSET,
    Body,
    Clock,
    Database,
    FieldError,
    IfMatch,
    Instant,
    Invalid,
    NotFound,
    Page,
    Paging,
    Patch,
    SoftDelete,
    Unset,
)
from focushub_core.database import Connection, Queries, Record, retry_conflicts

from .due import Due, DueColumns, due_of
from .projects import Projects, hold

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


class TaskChange(Patch, frozen=True):
    """The body that changes one: what is left out stays, ``null`` clears, ``due`` is replaced whole."""

    title: Title | Unset = UNSET
    project_id: UUID | Unset = UNSET
    description: Description | Unset | None = UNSET
    priority: Priority | Unset = UNSET
    due: Due | Unset | None = UNSET
    estimate_s: Seconds | Unset | None = UNSET


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

    @property
    def version(self) -> int:
        """The task's, which the answer's entity tag names."""
        return self.task.version


def no_such_task() -> NotFound:
    """The task is not there, or another person's."""
    return NotFound("There is no such task.", code="task_not_found")


_COLUMNS = [name for name in Task.__struct_fields__ if name not in {"status", "due"}]
DELETED = SoftDelete("tasks", missing=no_such_task, parents={"projects": "project_id"})


class Tasks:
    """The tasks of all people, each of them seen by its owner only: `NotFound` for anybody else."""

    def __init__(self, database: Database, projects: Projects, now: Clock) -> None:
        self._database = database
        self._projects = projects
        self._now = now

    @retry_conflicts()
    async def create(self, user_id: UUID, new: NewTask) -> Task:
        """A further task; `NotFound` (``project_not_found``) where the project is not the person's."""
        due = _columns(new.due)
        project_id = new.project_id or await self._projects.inbox(user_id)
        async with self._database.transaction() as connection:
            await hold(connection, user_id, project_id)
            row = await connection.fetchrow(
                "INSERT INTO tasks (id, user_id, project_id, title, description, priority, estimate_s, created_at,"
                " due_date, due_time, due_tz) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) RETURNING *",
                *(uuid7(), user_id, project_id, new.title, new.description, new.priority, new.estimate_s),
                *(self._now(), *due),
            )
        return task_of(row)

    async def page(self, user_id: UUID, wanted: TaskFilter, page: Paging) -> Page[Task]:
        """The wanted ones of the person's tasks, in the order they were made."""
        rows = await self._database.fetch(
            "SELECT * FROM tasks WHERE user_id = $1 AND deleted_at IS NULL"
            " AND ($2::uuid IS NULL OR project_id = $2)"
            " AND ($3::text IS NULL OR (completed_at IS NULL) = ($3 = 'open'))"
            " AND ($4::date IS NULL OR due_date >= $4)"
            " AND ($5::date IS NULL OR due_date <= $5)"
            " AND ($6::uuid IS NULL OR id > $6)"
            " ORDER BY id LIMIT $7",
            *(user_id, wanted.project_id, wanted.status, wanted.due_from, wanted.due_to),
            *(page.after(UUID), page.fetch),
        )
        return page.of([task_of(row) for row in rows], lambda task: task.id)

    async def get(self, user_id: UUID, task_id: UUID) -> Task:
        """One task."""
        return await _find(self._database, user_id, task_id)

    @retry_conflicts()
    async def change(self, user_id: UUID, task_id: UUID, patch: TaskChange, if_match: IfMatch) -> Task:
        """Changes one; one that says nothing new keeps its version. Of two with the same ``If-Match`` one is made."""
        async with self._database.transaction() as connection:
            if patch.project_id is not UNSET:
                await hold(connection, user_id, patch.project_id)
            task = await _find(connection, user_id, task_id, "FOR UPDATE")
            if_match.require(task.version)
            wanted = patch.applied_to(task)
            return task if wanted == task else await _store(connection, wanted)

    @retry_conflicts()
    async def complete(self, user_id: UUID, task_id: UUID, at: datetime | None) -> Completed:
        """Completes one at ``at``, by default now; once only, whoever asks how often."""
        now = self._now()
        if at is not None and at > now + CLOCK_SKEW:
            wrong = FieldError("completed_at", "in_future", "This moment has not come yet.")
            raise Invalid(wrong.detail, code="in_future", errors=[wrong])
        async with self._database.transaction() as connection:
            task = await _find(connection, user_id, task_id, "FOR UPDATE")
            if task.completed_at is not None:
                return Completed(task, Completion(task.completed_at), None, already_completed=True)
            task = await _set_completed(connection, task_id, at or now)
            return Completed(task, Completion(task.completed_at or now), None, already_completed=False)

    @retry_conflicts()
    async def reopen(self, user_id: UUID, task_id: UUID) -> Task:
        """Undoes the completion; a task that is open stays as it is."""
        async with self._database.transaction() as connection:
            task = await _find(connection, user_id, task_id, "FOR UPDATE")
            return task if task.status == "open" else await _set_completed(connection, task_id, None)

    async def delete(self, user_id: UUID, task_id: UUID, if_match: IfMatch) -> None:
        """Deletes one."""
        await DELETED.delete(self._database, user_id, task_id, self._now(), if_match)

    async def restore(self, user_id: UUID, task_id: UUID) -> Task:
        """Brings one back; `Conflict` (``parent_deleted``) while its project is deleted."""
        await DELETED.restore(self._database, user_id, task_id, self._now())
        return await self.get(user_id, task_id)


def task_of(row: Record | None) -> Task:
    """A row of the table; `NotFound` where there is none."""
    if row is None:
        raise no_such_task()
    status: Status = "open" if row["completed_at"] is None else "done"
    due = due_of(DueColumns(row["due_date"], row["due_time"], row["due_tz"]))
    return Task(status=status, due=due, **{name: row[name] for name in _COLUMNS})


async def _find(database: Queries, user_id: UUID, task_id: UUID, lock: str = "") -> Task:
    sql = f"SELECT * FROM tasks WHERE user_id = $1 AND id = $2 AND deleted_at IS NULL {lock}"  # noqa: S608
    return task_of(await database.fetchrow(sql, user_id, task_id))


async def _store(connection: Connection, task: Task) -> Task:
    return task_of(
        await connection.fetchrow(
            "UPDATE tasks SET project_id = $2, title = $3, description = $4, priority = $5, estimate_s = $6,"
            " due_date = $7, due_time = $8, due_tz = $9, version = version + 1 WHERE id = $1 RETURNING *",
            *(task.id, task.project_id, task.title, task.description, task.priority, task.estimate_s),
            *_columns(task.due),
        )
    )


async def _set_completed(connection: Connection, task_id: UUID, at: datetime | None) -> Task:
    return task_of(
        await connection.fetchrow(
            "UPDATE tasks SET completed_at = $2, version = version + 1 WHERE id = $1 RETURNING *", task_id, at
        )
    )


def _columns(due: Due | None) -> DueColumns:
    return due.columns() if due else DueColumns()
