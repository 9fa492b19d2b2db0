"""What both servers answer: one row of a table, on the same pool."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import msgspec

from focushub_core import Database

NOTE = UUID("0190a5c2-f7e8-7b3c-9d1e-2f6a4b8c0d1e")
SQL = "SELECT id, text, done, priority, created_at FROM notes WHERE id = $1"
CREATE = """
    CREATE TABLE notes (id uuid PRIMARY KEY, text text NOT NULL, done boolean NOT NULL, priority integer NOT NULL,
                        created_at timestamptz NOT NULL);
    INSERT INTO notes VALUES
        ('0190a5c2-f7e8-7b3c-9d1e-2f6a4b8c0d1e', 'Buy milk', false, 4, '2026-05-10T09:00:00Z')
"""


class Note(msgspec.Struct, frozen=True):
    """A note as it is answered."""

    id: UUID
    text: str
    done: bool
    priority: int
    created_at: datetime


def pool() -> Database:
    """The same for both."""
    return Database(min_size=4, max_size=8)
