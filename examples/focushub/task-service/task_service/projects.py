"""Projects: named lists of tasks, and the Inbox, where a task goes that names none."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec
from uuid_utils.compat import uuid7

from focushub_core import (
    UNSET,
    Body,
    Clock,
    Conflict,
    Database,
    IfMatch,
    NotFound,
    Page,
    Paging,
    Patch,
    SoftDelete,
    Unset,
)
from focushub_core.database import Connection, Queries, Record, retry_conflicts

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


class ProjectChange(Patch, frozen=True):
    """The body that changes one: what is left out stays, ``null`` clears."""

    name: Name | Unset = UNSET
    color: Color | Unset | None = UNSET


def no_such_project() -> NotFound:
    """The project is not there, or another person's."""
    return NotFound("There is no such project.", code="project_not_found")


def inbox_protected() -> Conflict:
    """The Inbox is always there."""
    return Conflict("The Inbox cannot be deleted.", code="inbox_protected")


DELETED = SoftDelete("projects", missing=no_such_project, children={"tasks": "project_id"})


class Projects:
    """The projects of all people, each of them seen by its owner only: `NotFound` for anybody else."""

    def __init__(self, database: Database, now: Clock) -> None:
        self._database = database
        self._now = now

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

    async def page(self, user_id: UUID, page: Paging) -> Page[Project]:
        """The person's projects, the Inbox among them, in the order they were made."""
        after = page.after(UUID)
        await self.inbox(user_id)
        rows = await self._database.fetch(
            "SELECT * FROM projects WHERE user_id = $1 AND deleted_at IS NULL"
            " AND ($2::uuid IS NULL OR id > $2) ORDER BY id LIMIT $3",
            *(user_id, after, page.fetch),
        )
        return page.of([_project(row) for row in rows], lambda project: project.id)

    async def get(self, user_id: UUID, project_id: UUID) -> Project:
        """One project."""
        return await _find(self._database, user_id, project_id)

    @retry_conflicts()
    async def change(
        self, user_id: UUID, project_id: UUID, patch: ProjectChange, if_match: IfMatch
    ) -> Project:
        """Changes one; one that says nothing new keeps its version."""
        async with self._database.transaction() as connection:
            project = await _find(connection, user_id, project_id, "FOR UPDATE")
            if_match.require(project.version)
            wanted = patch.applied_to(project)
            if wanted == project:
                return project
            return _project(
                await connection.fetchrow(
                    "UPDATE projects SET name = $2, color = $3, version = version + 1 WHERE id = $1 RETURNING *",
                    *(project_id, wanted.name, wanted.color),
                )
            )

    async def delete(self, user_id: UUID, project_id: UUID, if_match: IfMatch) -> None:
        """Deletes one with its tasks; `Conflict` (``inbox_protected``) for the Inbox."""
        if (await self.get(user_id, project_id)).is_inbox:
            raise inbox_protected()
        await DELETED.delete(self._database, user_id, project_id, self._now(), if_match)

    async def restore(self, user_id: UUID, project_id: UUID) -> Project:
        """Brings one back with the tasks that were deleted with it, and no others (T16)."""
        await DELETED.restore(self._database, user_id, project_id, self._now())
        return await self.get(user_id, project_id)


async def hold(connection: Connection, user_id: UUID, project_id: UUID) -> None:
    """Sees to it that the project is the person's, and that nobody deletes it before the transaction ends."""
    await _find(connection, user_id, project_id, "FOR SHARE")


async def _find(database: Queries, user_id: UUID, project_id: UUID, lock: str = "") -> Project:
    sql = f"SELECT * FROM projects WHERE user_id = $1 AND id = $2 AND deleted_at IS NULL {lock}"  # noqa: S608
    return _project(await database.fetchrow(sql, user_id, project_id))


def _project(row: Record | None) -> Project:
    """A row of the table; `NotFound` where there is none."""
    if row is None:
        raise no_such_project()
    return Project(**{name: row[name] for name in Project.__struct_fields__})
