"""The service of the kit: ``python service.py own|stock|aiopg PORT``, with ``DATABASE_URL``.

``own``: as it comes. ``stock``: the same on `asyncpg.Pool`. ``aiopg``: the same with the second driver.
"""

from __future__ import annotations

import os
import sys
from typing import Annotated
from uuid import UUID

import msgspec
from notes import CREATE, INSERT, LIST, ONE, PERSON, PROJECT, NewNote, Note, Notes
from stock import StockDatabase
from uuid_utils.compat import uuid7

from focushub_core import Database, NotFound, Routes, Service, User
from focushub_core.http.idempotency import Idempotent
from focushub_core.settings import Settings
from focushub_core.stack import Stack

POOL = 10
routes = Routes("/v1/notes")


@routes.get("/{note_id}")
async def read(note_id: UUID, database: Database) -> Note:
    """One note."""
    note = await database.one(Note, ONE, note_id)
    if note is None:
        raise NotFound("There is no such note.")
    return note


@routes.get()
async def some(
    database: Database,
    project_id: UUID = PROJECT,
    limit: Annotated[int, msgspec.Meta(ge=1, le=100)] = 20,
) -> Notes:
    """The first notes of a project."""
    return Notes(await database.all(Note, LIST, project_id, limit))


@routes.post(status=201, habits=(Idempotent(),))
async def create(body: NewNote, user: User, database: Database) -> Note:
    """A new note; with an Idempotency-Key, only once."""
    note = await database.one(
        Note, INSERT, uuid7(), body.project_id, body.title, body.description, body.priority
    )
    assert note is not None
    return note


class NotesService(Service):
    """Notes."""

    name = "notes-service"
    database = (StockDatabase if sys.argv[1] == "stock" else Database)(
        migrations=CREATE,
        min_size=POOL,
        max_size=POOL,
        driver="aiopg" if sys.argv[1] == "aiopg" else "asyncpg",
    )
    routes = (routes,)

    def __init__(self, settings: Settings | None = None, *, stack: Stack | None = None) -> None:
        super().__init__(settings, stack=stack)
        someone = User(PERSON, PERSON)

        async def everybody_is(_: object) -> User:
            return someone

        self.providers[User] = everybody_is


if __name__ == "__main__":
    os.environ["PORT"] = sys.argv.pop()
    os.environ["AUTH_JWKS_URL"] = "http://127.0.0.1:1/"
    sys.argv[1:] = []
    NotesService.run()
