"""Transactions in each other's way are run again."""

from __future__ import annotations

import asyncio

import pytest

from focushub_core import deadline
from focushub_core.database import Database
from focushub_core.database.conflicts import retry_conflicts
from focushub_core.database.errors import TransactionConflict, UniqueViolation

pytestmark = pytest.mark.slow


class Failing:
    """Raises ``errors`` one after the other, then gives 7."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.calls = 0

    async def __call__(self) -> int:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return 7


async def test_a_conflict_is_tried_again() -> None:
    work = Failing(TransactionConflict(), TransactionConflict())
    assert await retry_conflicts()(work)() == 7
    assert work.calls == 3


async def test_the_last_conflict_is_the_callers() -> None:
    work = Failing(*(TransactionConflict() for _ in range(9)))
    with pytest.raises(TransactionConflict):
        await retry_conflicts(attempts=3)(work)()
    assert work.calls == 3


async def test_nothing_else_is_tried_again() -> None:
    work = Failing(UniqueViolation())
    with pytest.raises(UniqueViolation):
        await retry_conflicts()(work)()
    assert work.calls == 1


async def test_a_request_whose_time_is_over_tries_nothing_again() -> None:
    work = Failing(*(TransactionConflict() for _ in range(9)))
    deadline.start(0)
    with pytest.raises(TransactionConflict):
        await retry_conflicts()(work)()
    assert work.calls == 1


async def test_no_update_is_lost_and_none_done_twice(database: Database) -> None:
    """Eight that read, then write what they read plus one, each in each other's way."""
    await database.execute("CREATE TABLE counter AS SELECT 0 AS n")
    conflicts, readers, four = 0, 0, asyncio.Event()

    @retry_conflicts(attempts=50)
    async def increment() -> None:
        nonlocal conflicts, readers
        try:
            async with database.transaction(isolation="serializable") as within:
                n = await within.fetchval("SELECT n FROM counter")
                readers += 1
                if readers == 4:
                    four.set()
                await four.wait()  # at first, four read the same
                await within.execute("UPDATE counter SET n = $1", n + 1)
        except TransactionConflict:
            conflicts += 1
            raise

    await asyncio.gather(*(increment() for _ in range(8)))
    assert await database.fetchval("SELECT n FROM counter") == 8
    assert conflicts >= 3


async def test_two_that_lock_in_opposite_order_both_end(database: Database) -> None:
    """PostgreSQL ends the deadlock by failing one (40P01), which is run again."""
    await database.execute("CREATE TABLE a AS SELECT 0 AS n; CREATE TABLE b AS SELECT 0 AS n")
    both = asyncio.Barrier(2)
    met = False

    @retry_conflicts()
    async def change(first: str, second: str) -> None:
        nonlocal met
        async with database.transaction() as within:
            await within.execute(f"UPDATE {first} SET n = n + 1")
            if not met:
                await both.wait()
                met = True
            await within.execute(f"UPDATE {second} SET n = n + 1")

    await asyncio.gather(change("a", "b"), change("b", "a"))
    assert await database.fetchval("SELECT a.n + b.n FROM a, b") == 4
