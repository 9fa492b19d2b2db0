"""Notes: a whole service in one file."""

from typing import Annotated
from uuid import UUID, uuid4

from focushub_core import Body, Clock, Database, Instant, Meta, NotFound, Service, User, get, post


class NewNote(Body, frozen=True):
    text: Annotated[str, Meta(min_length=1, max_length=1000, examples=["Buy milk"])]


class Note(NewNote, frozen=True):
    id: UUID
    at: Instant


class Notes(Service):
    name = "notes"
    database = Database(migrations=("CREATE TABLE notes (id uuid, owner uuid, text text, at timestamptz)",))

    @post("/v1/notes", status=201)
    async def write(self, body: NewNote, user: User, db: Database, clock: Clock) -> Note:
        """Keeps a note, for its writer's eyes only."""
        note = Note(id=uuid4(), text=body.text, at=clock())
        await db.execute("INSERT INTO notes VALUES ($1, $2, $3, $4)", note.id, user.id, note.text, note.at)
        return note

    @get("/v1/notes/{note_id}", raises=[NotFound])
    async def read(self, note_id: UUID, user: User, db: Database) -> Note:
        """One of your notes."""
        sql = "SELECT id, text, at FROM notes WHERE id = $1 AND owner = $2"
        if note := await db.one(Note, sql, note_id, user.id):
            return note
        raise NotFound("There is no such note.")


if __name__ == "__main__":
    Notes.run()
