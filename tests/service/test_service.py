"""A service on its own database, with people who are signed in."""

from uuid import UUID

import msgspec
import pytest
from uuid_utils.compat import uuid7

from focushub_core import Body, ConfigurationError, Database, NotFound, Service, User, get, post
from focushub_core.settings import load


class NewNote(Body):
    text: str


class Note(msgspec.Struct):
    id: UUID
    text: str


class Notes(Service):
    name = "note-service"
    database = Database(migrations="migrations")

    @post("/v1/notes", status=201)
    async def create(self, body: NewNote, user: User, database: Database) -> Note:
        note = Note(uuid7(), body.text)
        await database.execute("INSERT INTO notes VALUES ($1, $2, $3)", note.id, user.id, note.text)
        return note

    @get("/v1/notes/{note_id}")
    async def read(self, note_id: UUID, user: User, database: Database) -> Note:
        sql = "SELECT id, text FROM notes WHERE id = $1 AND user_id = $2"
        note = await database.one(Note, sql, note_id, user.id)
        if note is None:
            raise NotFound("There is no such note.")
        return note


class Stateless(Service):
    name = "plain-service"

    @get("/v1/plain")
    async def read(self) -> dict[str, int]:
        return {"n": 1}


async def test_a_note_is_its_writers(serve):
    client = await serve(Notes)
    ann, bob = client.person(), client.person()
    note = (await ann.post("/v1/notes", json={"text": "milk"})).body
    assert (await ann.get(f"/v1/notes/{note['id']}")).body == note
    assert (await bob.get(f"/v1/notes/{note['id']}")).status == 404


async def test_without_a_token_it_is_401_before_the_body_is_looked_at(serve):
    client = await serve(Notes)
    reply = await client.post("/v1/notes", json={"text": 3})
    assert (reply.status, reply.body["code"]) == (401, "unauthorized")
    assert (await client.bearer("nonsense").post("/v1/notes", json={"text": "a"})).status == 401


async def test_health_names_the_database(serve):
    reply = await (await serve(Notes)).get("/health")
    assert (reply.status, reply.body["status"], reply.body["database"]) == (200, "healthy", "connected")


async def test_without_a_database_the_service_is_unhealthy_and_alive(serve):
    client = await serve(Stateless)
    assert "database" not in (await client.get("/health")).body
    lost = await serve(NotesElsewhere, DATABASE_URL="postgresql://nobody:x@127.0.0.1:1/nothing")
    health = await lost.get("/health")
    assert (health.status, health.body["status"], health.body["database"]) == (
        503,
        "unhealthy",
        "disconnected",
    )
    assert (await lost.get("/livez")).status == 200
    reply = await lost.person().get(f"/v1/notes/{uuid7()}")
    assert (reply.status, reply.body["code"]) == (503, "database_unavailable")


class NotesElsewhere(Notes):
    database = Database()


def test_what_it_needs_is_asked_for_by_its_own_name():
    with pytest.raises(
        ConfigurationError,
        match=r"NOTE_DATABASE_URL or DATABASE_URL is not set.* or AUTH_JWKS_URL is not set",
    ):
        Notes()


def test_a_service_without_signed_in_routes_and_database_needs_nothing():
    assert Stateless(load(Stateless.settings_type, environ={})).port == 8000


async def test_two_services_of_one_class_have_a_pool_each(serve):
    first, second = await serve(Notes), await serve(Notes)
    assert first.service.database is not second.service.database
