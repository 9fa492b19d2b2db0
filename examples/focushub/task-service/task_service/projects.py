"""Projects: named lists of tasks, and the Inbox, where a task goes that names none."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType
from uuid_utils.compat import uuid7

from focushub_core import Body, Database, NotFound, Page, Pager
from focushub_core.database import Record
from focushub_core.http.conditional import require_match

from .changes import merged

Clock = Callable[[], datetime]
"""Says what time it is, with a zone."""

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=200, pattern=r"\S")]
Color = Annotated[str, msgspec.Meta(max_length=7, pattern="^#[0-9a-fA-F]{6}$", description="#rrggbb")]

INBOX = "Inbox"


class Project(msgspec.Struct, frozen=True):
    """A project as it is answered."""

    id: UUID
    name: str
    color: str | None
    is_inbox: bool
    created_at: datetime
    version: int


class NewProject(Body, frozen=True):
    """The body that creates a project."""

    name: Name
    color: Color | None = None


class ProjectChange(Body, frozen=True):
    """The body that changes one: what is left out stays, ``null`` clears."""

    name: Name | UnsetType = UNSET
    color: Color | UnsetType | None = UNSET


class Projects:
    """The projects of all people, each of them seen by its owner only: `NotFound` for anybody else."""

    def __init__(self, database: Database, now: Clock, cursor_secret: str) -> None:
        self._database = database
        self._now = now
        self._pager: Pager[UUID] = Pager(cursor_secret, "projects", UUID)

    async def create(self, user_id: UUID, new: NewProject) -> Project:
        """A further project."""
        return _project(
            await self._database.fetchrow(
                "INSERT INTO projects (id, user_id, name, color, created_at) VALUES ($1, $2, $3, $4, $5) RETURNING *",
                *(uuid7(), user_id, new.name, new.color, self._now()),
            )
        )

    async def inbox(self, user_id: UUID) -> UUID:
        """The id of the person's Inbox, which is made when it is first needed; there is never a second one."""
        find = "SELECT id FROM projects WHERE user_id = $1 AND is_inbox"
        found = await self._database.fetchrow(find, user_id)
        if found is None:
            await self._database.execute(
                "INSERT INTO projects (id, user_id, name, is_inbox, created_at) VALUES ($1, $2, $3, true, $4)"
                " ON CONFLICT (user_id) WHERE is_inbox DO NOTHING",
                *(uuid7(), user_id, INBOX, self._now()),
            )
            found = await self._database.fetchrow(find, user_id)
        if found is None:
            raise no_such_project()
        inbox: UUID = found["id"]
        return inbox

    async def page(self, user_id: UUID, cursor: str | None, limit: int) -> Page[Project]:
        """The person's projects, the Inbox among them, in the order they were made."""
        last = self._pager.decode(cursor)
        await self.inbox(user_id)
        rows = await self._database.fetch(
            "SELECT * FROM projects WHERE user_id = $1 AND ($2::uuid IS NULL OR id > $2) ORDER BY id LIMIT $3",
            *(user_id, last, limit + 1),
        )
        return self._pager.page([_project(row) for row in rows], limit, lambda project: project.id)

    async def get(self, user_id: UUID, project_id: UUID) -> Project:
        """One project."""
        return _project(
            await self._database.fetchrow(
                "SELECT * FROM projects WHERE user_id = $1 AND id = $2", user_id, project_id
            )
        )

    async def change(
        self, user_id: UUID, project_id: UUID, patch: ProjectChange, if_match: str | None
    ) -> Project:
        """Changes one; one that says nothing new keeps its version."""
        async with self._database.transaction() as connection:
            project = _project(
                await connection.fetchrow(
                    "SELECT * FROM projects WHERE user_id = $1 AND id = $2 FOR UPDATE", user_id, project_id
                )
            )
            require_match(if_match, project.version)
            wanted = merged(project, patch)
            if wanted == project:
                return project
            return _project(
                await connection.fetchrow(
                    "UPDATE projects SET name = $2, color = $3, version = version + 1 WHERE id = $1 RETURNING *",
                    *(project_id, wanted.name, wanted.color),
                )
            )


def no_such_project() -> NotFound:
    """The project is not there, or another person's."""
    return NotFound("There is no such project.", code="project_not_found")


def _project(row: Record | None) -> Project:
    """A row of the table; `NotFound` where there is none."""
    if row is None:
        raise no_such_project()
    return Project(**{name: row[name] for name in Project.__struct_fields__})
