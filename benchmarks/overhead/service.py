"""The endpoint as a `Service`: ``python service.py [quiet] PORT``, with ``DATABASE_URL``.

``quiet``: without request ids, log line and metrics.
"""

from __future__ import annotations

import os
import sys
from uuid import UUID

from note import SQL, Note, pool

from focushub_core import Database, NotFound, Service, get


class Notes(Service):
    """Notes."""

    name = "notes-service"
    database: Database = pool()
    observed = sys.argv[1] != "quiet"

    @get("/v1/notes/{note_id}")
    async def read(self, note_id: UUID, database: Database) -> Note:
        """One note."""
        note = await database.one(Note, SQL, note_id)
        if note is None:
            raise NotFound("There is no such note.")
        return note


if __name__ == "__main__":
    os.environ["PORT"] = sys.argv.pop()
    sys.argv[1:] = []
    Notes.run()
