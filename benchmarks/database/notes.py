"""What all contenders answer about, and what each asks PostgreSQL: the same statements on the same tables."""

# ruff: noqa: S608 - the columns come from here

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec

from focushub_core import Body

PROJECT = UUID("0190a5c2-0000-7b3c-9d1e-2f6a4b8c0d1e")
"""Whose notes are listed; it has 1,000."""
NOTE = UUID("0190a5c2-0000-7000-8000-000000000500")
PERSON = UUID("0190a5c2-f7e8-7b3c-9d1e-2f6a4b8c0d1e")
"""Who asks: no contender looks at a token, for that is no matter of the database."""

COLUMNS = "id, project_id, title, description, done, priority, created_at, updated_at"
ONE = f"SELECT {COLUMNS} FROM notes WHERE id = $1"
LIST = f"SELECT {COLUMNS} FROM notes WHERE project_id = $1 ORDER BY id LIMIT $2"
INSERT = (
    "INSERT INTO notes (id, project_id, title, description, priority) VALUES ($1, $2, $3, $4, $5)"
    f" RETURNING {COLUMNS}"
)

CREATE = (
    """
    CREATE TABLE notes (
        id          uuid PRIMARY KEY,
        project_id  uuid NOT NULL,
        title       text NOT NULL,
        description text,
        done        boolean NOT NULL DEFAULT false,
        priority    integer NOT NULL,
        created_at  timestamptz NOT NULL DEFAULT date_trunc('milliseconds', now()),
        updated_at  timestamptz NOT NULL DEFAULT date_trunc('milliseconds', now())
    );
    CREATE INDEX notes_by_project ON notes (project_id, id);
    INSERT INTO notes (id, project_id, title, description, priority)
        SELECT ('0190a5c2-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid,
               ('0190a5c2-' || lpad((n / 1000)::text, 4, '0') || '-7b3c-9d1e-2f6a4b8c0d1e')::uuid,
               'Buy milk, number ' || n,
               CASE WHEN n % 2 = 0 THEN 'Two litres, and "bread" if there is any.' END, n % 4 + 1
        FROM generate_series(0, 99999) AS n;
    ANALYZE notes;
    """,
)
"""The service's migrations; what idempotency needs comes with the kit."""


class Note(msgspec.Struct, frozen=True):
    """A note as it is answered."""

    id: UUID
    project_id: UUID
    title: str
    description: str | None
    done: bool
    priority: int
    created_at: datetime
    updated_at: datetime


class Notes(msgspec.Struct, frozen=True):
    """Some of them."""

    items: list[Note]


class NewNote(Body):
    """What is sent."""

    project_id: UUID
    title: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    description: Annotated[str, msgspec.Meta(max_length=2000)] | None = None
    priority: Annotated[int, msgspec.Meta(ge=1, le=4)] = 4
