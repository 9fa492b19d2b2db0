"""A unit of work: one transaction for all that a task asks, noticed by none of those who ask."""

from __future__ import annotations

import asyncio

import pytest
import pytest_asyncio

from focushub_core.database import Connection, Database, Record, UniqueViolation
from focushub_core.errors import Internal, Unavailable


@pytest_asyncio.fixture
async def numbers(database: Database) -> Database:
    """A database with an empty table of numbers, each of which is there once."""
    await database.execute("CREATE TABLE numbers (n int PRIMARY KEY)")
    database.acquire_timeout = 10  # a second session, on a machine that does other work
    return database


async def add(database: Database, *wanted: int) -> None:
    for number in wanted:
        await database.execute("INSERT INTO numbers VALUES ($1)", number)


async def seen(database: Database) -> list[int]:
    return [row["n"] for row in await database.fetch("SELECT n FROM numbers ORDER BY n")]


async def test_all_of_it_is_kept_or_none(numbers: Database) -> None:
    """What asks the database knows nothing of the unit, and other tasks see nothing before its end."""
    other = asyncio.Event(), asyncio.Event()

    async def look() -> list[int]:
        await other[0].wait()
        found = await seen(numbers)
        other[1].set()
        return found

    looking = asyncio.create_task(look())
    async with numbers.unit_of_work():
        await add(numbers, 1, 2)
        assert await seen(numbers) == [1, 2]
        other[0].set()
        await other[1].wait()
    assert await looking == []
    with pytest.raises(UniqueViolation):
        async with numbers.unit_of_work():
            await add(numbers, 3, 3)
    assert await seen(numbers) == [1, 2]


async def test_a_statement_or_a_block_that_fails_undoes_only_itself(numbers: Database) -> None:
    """As it would alone."""
    async with numbers.unit_of_work():
        await add(numbers, 1)
        with pytest.raises(UniqueViolation):
            await add(numbers, 1)
        with pytest.raises(UniqueViolation):
            async with numbers.transaction() as connection:
                await connection.execute("INSERT INTO numbers VALUES (2), (1)")
        async with numbers.transaction() as connection:
            await connection.execute("INSERT INTO numbers VALUES (3)")
            assert await seen(numbers) == [1, 3]
    assert await seen(numbers) == [1, 3]


async def test_savepoints_cost_one_round_trip_before_each_statement_but_the_first(
    numbers: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first one comes with BEGIN; after a failure there is a fresh one."""
    said: list[str] = []
    execute, fetchrow = Connection.execute, Connection.fetchrow

    async def noted(self: Connection, sql: str, *args: object, timeout: float | None = None) -> str:
        said.append(sql.partition(" ")[0])
        return await execute(self, sql, *args, timeout=timeout)

    async def asked(self: Connection, sql: str, *args: object, timeout: float | None = None) -> Record | None:
        said.append(sql.partition(" ")[0])
        return await fetchrow(self, sql, *args, timeout=timeout)

    monkeypatch.setattr(Connection, "execute", noted)
    monkeypatch.setattr(Connection, "fetchrow", asked)
    async with numbers.unit_of_work():
        await numbers.fetchval("SELECT 1")
        await add(numbers, 1)
        with pytest.raises(UniqueViolation):
            await add(numbers, 1)
        await add(numbers, 2)
    assert said == ["BEGIN;", "SELECT", "RELEASE", "INSERT", "RELEASE", "INSERT", "INSERT", "COMMIT"]


async def test_its_lock_is_held_to_its_end_whatever_fails_within(numbers: Database) -> None:
    """Going back to a savepoint would give back a lock that was taken after it."""

    async def free() -> bool:
        return bool(await asyncio.create_task(outside()))

    async def outside() -> bool:
        async with other.transaction() as connection:
            return bool(await connection.fetchval("SELECT pg_try_advisory_xact_lock(7)"))

    other = Database(max_size=1)
    await other.open(numbers._url)
    async with numbers.unit_of_work(lock=7):
        await add(numbers, 1)
        with pytest.raises(UniqueViolation):
            await add(numbers, 1)
        assert not await free()
    assert await free()
    await other.close()


async def test_tasks_of_the_unit_take_turns(numbers: Database) -> None:
    """Statements and whole blocks: a connection does one thing at a time."""

    async def both(first: int, second: int) -> None:
        async with numbers.transaction() as connection:
            await connection.execute("INSERT INTO numbers VALUES ($1)", first)
            await asyncio.sleep(0)
            await connection.execute("INSERT INTO numbers VALUES ($1)", second)

    async with numbers.unit_of_work():
        await asyncio.gather(*(add(numbers, n) for n in range(10)), *(both(n, n + 1) for n in (20, 30)))
    assert await seen(numbers) == [*range(10), 20, 21, 30, 31]


async def test_a_task_that_outlives_the_unit_is_on_its_own(numbers: Database) -> None:
    over = asyncio.Event()

    async def late() -> None:
        await over.wait()
        await add(numbers, 2)

    async with numbers.unit_of_work():
        await add(numbers, 1)
        task = asyncio.create_task(late())
    over.set()
    await task
    assert await seen(numbers) == [1, 2]


async def test_who_waits_for_a_turn_of_its_own_making_is_told(numbers: Database) -> None:
    """A block that waits for another task's statement can only end by its deadline."""
    numbers.acquire_timeout = 0.05
    async with numbers.unit_of_work(), numbers.transaction():
        with pytest.raises(Unavailable):
            await asyncio.create_task(add(numbers, 1))


async def test_what_it_cannot_keep_it_does_not_promise(numbers: Database) -> None:
    """No unit within a unit, no other isolation."""
    async with numbers.unit_of_work():
        with pytest.raises(Internal):
            async with numbers.unit_of_work():
                pass
        with pytest.raises(Internal):
            async with numbers.transaction(isolation="serializable"):
                pass
        async with numbers.transaction(isolation="read committed"):
            pass
