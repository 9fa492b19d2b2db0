"""Prepared statements, while tables change below them: by our short way through asyncpg, and by its own."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from focushub_core.database import Database, TransactionConflict, UniqueViolation
from focushub_core.errors import GatewayTimeout

if os.environ.get("DATABASE_DRIVER", "asyncpg") != "asyncpg":
    pytest.skip("they are asyncpg's", allow_module_level=True)

from focushub_core.database import asyncpg_driver

ALL = "SELECT * FROM people ORDER BY id"


@pytest_asyncio.fixture(params=["short", "own"])
async def people(
    request: pytest.FixtureRequest, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Database]:
    """A table, on one session that has asked for all of it before."""
    if request.param == "own":
        monkeypatch.setattr(asyncpg_driver, "KNOWN", ("another",))
    database = Database(max_size=1)
    await database.open(database_url)
    await database.execute("CREATE TABLE people (id int PRIMARY KEY)")
    await database.execute("INSERT INTO people VALUES (1), (2)")
    for _ in range(2):
        assert [dict(row) for row in await database.fetch(ALL)] == [{"id": 1}, {"id": 2}]
        assert dict(await database.fetchrow(ALL) or {}) == {"id": 1}
    yield database
    await database.close()


async def test_this_asyncpg_is_known() -> None:
    assert asyncpg_driver.asyncpg.__version__.startswith(asyncpg_driver.KNOWN)


async def test_a_column_that_came_is_there_at_once(people: Database) -> None:
    await people.execute("ALTER TABLE people ADD name text DEFAULT 'Ann'")
    for _ in range(2):
        assert dict(await people.fetchrow(ALL) or {}) == {"id": 1, "name": "Ann"}
        assert [row["name"] for row in await people.fetch(ALL)] == ["Ann", "Ann"]


async def test_within_a_transaction_it_is_a_conflict_that_the_next_attempt_does_not_meet(
    people: Database,
) -> None:
    await people.execute("ALTER TABLE people ADD name text DEFAULT 'Ann'")
    with pytest.raises(TransactionConflict):
        async with people.transaction() as connection:
            await connection.fetch(ALL)
    async with people.transaction() as connection:
        assert [row["name"] for row in await connection.fetch(ALL)] == ["Ann", "Ann"]


async def test_errors_and_deadlines_are_the_same_the_second_time(people: Database) -> None:
    """When the statement is prepared already."""
    for _ in range(3):
        with pytest.raises(UniqueViolation):
            await people.fetchrow("INSERT INTO people VALUES ($1) RETURNING id", 1)
        with pytest.raises(GatewayTimeout):
            await people.fetch("SELECT pg_sleep($1)", 5, timeout=0.05)
    assert await people.fetchval("SELECT count(*) FROM people WHERE id > $1", 0) == 2


async def test_no_rows_are_no_rows(people: Database) -> None:
    for _ in range(2):
        assert await people.fetch("SELECT id FROM people WHERE id = $1", 9) == []
        assert await people.fetchrow("SELECT id FROM people WHERE id = $1", 9) is None
