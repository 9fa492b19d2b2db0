"""The kit's own tables: made by every migration, apart from the service's."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

from focushub_core.database import Database, discover, migrate, status
from focushub_core.database.migrations import KIT
from focushub_core.http.idempotency import Attempt

Opener = Callable[..., Awaitable[Database]]
NOTES = ("CREATE TABLE notes (id int)",)
_TABLES = """
    SELECT array_agg(name ORDER BY name COLLATE "C")
    FROM (SELECT schemaname || '.' || tablename AS name FROM pg_tables WHERE tableowner = current_user) AS own"""


async def tables(database: Database) -> Any:
    return await database.fetchval(_TABLES)


async def test_they_come_with_the_services_own(database_url: str, database: Database) -> None:
    """Counted apart: a service's numbers, its status and what was applied are only its own."""
    done = await asyncio.gather(*(migrate(database_url, NOTES) for _ in range(4)))
    assert sorted(one.file for applied in done for one in applied) == ["0001_inline.sql"]
    assert await tables(database) == [
        "focushub.idempotency_keys",
        "focushub.schema_migrations",
        "public.notes",
        "public.schema_migrations",
    ]
    assert [state.file for state in await status(database_url, NOTES)] == ["0001_inline.sql"]
    counted = await database.fetchval("SELECT count(*) FROM focushub.schema_migrations")
    assert counted == len(discover(KIT))


async def test_a_service_without_migrations_has_them_too(database_url: str, database: Database) -> None:
    assert await migrate(database_url, ()) == []
    assert "focushub.idempotency_keys" in await tables(database)


async def test_a_database_of_an_older_kit_gets_them_at_the_next_migration(
    database_url: str, database: Database, tmp_path: Path
) -> None:
    """Though no file of its own is new."""
    await migrate(database_url, NOTES)
    await database.execute("DROP SCHEMA focushub CASCADE")
    assert await migrate(database_url, NOTES, dry_run=True) == []
    assert await migrate(database_url, NOTES) == []
    assert "focushub.idempotency_keys" in await tables(database)


async def test_who_asks_for_them_sees_them_before_the_services_own(database_url: str) -> None:
    """Pending, what would be applied, what was."""
    kits = [(one.file, True) for one in discover(KIT)]
    both = [*kits, ("0001_inline.sql", False)]

    async def seen() -> list[tuple[str, bool]]:
        return [(one.file, one.of_kit) for one in await status(database_url, NOTES, with_kit=True)]

    async def migrated(*, dry_run: bool) -> list[tuple[str, bool]]:
        done = await migrate(database_url, NOTES, dry_run=dry_run, with_kit=True)
        return [(one.file, one.of_kit) for one in done]

    assert await seen() == both
    assert await migrated(dry_run=True) == both
    assert await migrated(dry_run=False) == both
    assert await migrated(dry_run=True) == []
    assert {one.state for one in await status(database_url, NOTES, with_kit=True)} == {"applied"}


async def test_whether_a_key_is_taken_is_found_in_the_index(database_url: str, database: Database) -> None:
    """A function takes the collation of its arguments; with another one than the index has, it would read on and on."""
    await migrate(database_url, ())
    asked = Attempt(uuid4(), "r", "new", b"")
    await database.execute(
        "INSERT INTO focushub.idempotency_keys SELECT $1, 'r', n::text, '', 200, '[]', ''"
        " FROM generate_series(1, 2000) AS n",
        asked.user_id,
    )
    async with database.transaction() as connection:
        before = await connection.fetchval(_READ)
        said = f"SELECT focushub.key_is_taken({asked.lock}, {asked.names}, interval '1 day')"
        assert await connection.execute(said) == "SELECT 0"
        assert await connection.fetchval(_READ) - before < 10


_READ = """
    SELECT pg_stat_get_xact_tuples_returned(c.oid)
           + (SELECT sum(pg_stat_get_xact_tuples_returned(indexrelid)) FROM pg_index WHERE indrelid = c.oid)
    FROM pg_class AS c WHERE c.oid = 'focushub.idempotency_keys'::regclass"""
