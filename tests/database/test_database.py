"""`Database` on a real PostgreSQL."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import msgspec
import pytest

from focushub_core import deadline
from focushub_core.database import (
    CheckViolation,
    Database,
    ExclusionViolation,
    InvalidValue,
    MissingValue,
    ReferenceViolation,
    TransactionConflict,
    UniqueViolation,
)
from focushub_core.errors import ConfigurationError, FocusHubError, GatewayTimeout, Internal, Unavailable

if TYPE_CHECKING:
    from tests.database.conftest import Opener

DRIVER = os.environ.get("DATABASE_DRIVER", "asyncpg")

TABLES = """
CREATE TABLE person (id int PRIMARY KEY, name text NOT NULL UNIQUE, age int2 CHECK (age >= 0));
CREATE TABLE pet (id int PRIMARY KEY, owner int REFERENCES person, during tstzrange,
                  EXCLUDE USING gist (during WITH &&));
INSERT INTO person VALUES (1, 'Ada', 36), (2, 'Bob', NULL);
"""


class Person(msgspec.Struct):
    id: int
    name: str
    age: int | None


async def test_rows_come_as_structs_values_and_records(database: Database) -> None:
    await database.execute(TABLES)
    everybody = await database.all(Person, "SELECT * FROM person ORDER BY id")
    assert [Person(1, "Ada", 36), Person(2, "Bob", None)] == everybody
    assert await database.one(Person, "SELECT * FROM person WHERE id = $1", 2) == Person(2, "Bob", None)
    assert await database.one(Person, "SELECT * FROM person WHERE id = $1", 9) is None
    assert await database.fetchval("SELECT name FROM person WHERE id = $1", 1) == "Ada"
    assert await database.fetchval("SELECT name FROM person WHERE id = $1", 9) is None
    assert [dict(row) for row in await database.fetch("SELECT id FROM person ORDER BY id")] == [
        {"id": 1},
        {"id": 2},
    ]
    assert await database.execute("UPDATE person SET age = $1", 5) == "UPDATE 2"


async def test_values_keep_their_types(database: Database) -> None:
    now, one = datetime.now(UTC), uuid4()
    row = await database.fetchrow(
        "SELECT $1::uuid AS id, $2::timestamptz AS at, $3::jsonb AS data, $4::text[] AS names",
        one, now, {"a": [1, None, "ü"]}, ["x", "y"],
    )  # fmt: skip
    assert row is not None
    assert [one, now, {"a": [1, None, "ü"]}, ["x", "y"]] == list(row.values())
    assert isinstance(row["id"], UUID)


@pytest.mark.parametrize(
    ("sql", "args", "kind", "named"),
    [
        ("INSERT INTO person VALUES (1, 'Eve')", (), UniqueViolation, "person_pkey"),
        ("INSERT INTO person VALUES (3, 'Ada')", (), UniqueViolation, "person_name_key"),
        ("INSERT INTO person VALUES (3, NULL)", (), MissingValue, "name"),
        ("INSERT INTO person VALUES (3, 'Eve', -1)", (), CheckViolation, "person_age_check"),
        ("INSERT INTO person VALUES (3, 'Eve', $1)", (70000,), InvalidValue, None),
        ("INSERT INTO person VALUES (3, $1)", ("a\0b",), InvalidValue, None),
        ("INSERT INTO person VALUES (3, $1)", ("\ud800",), InvalidValue, None),
        ("SELECT $1::text::uuid", ("no uuid",), InvalidValue, None),
        ("INSERT INTO pet VALUES (1, 9)", (), ReferenceViolation, "pet_owner_fkey"),
        (
            "INSERT INTO pet (id, during) VALUES (1, '[2020-01-01,2020-01-03)'), (2, '[2020-01-02,2020-01-04)')",
            (),
            ExclusionViolation,
            "pet_during_excl",
        ),
        ("SELECT nonsense", (), Internal, None),
        # asyncpg asks the server for the type first: a value of another one is a bug of ours
        ("SELECT $1::int", ("a string",), Internal if DRIVER == "asyncpg" else InvalidValue, None),
    ],
)
async def test_postgresqls_errors_become_ours(
    sql: str, args: tuple[object, ...], kind: type[FocusHubError], named: str | None, database: Database
) -> None:
    """With the constraint or column by name, and nothing of the message in what a client sees."""
    await database.execute(TABLES)
    with pytest.raises(kind) as caught:
        await database.execute(sql, *args)
    error = caught.value
    assert named == (getattr(error, "constraint", None) or getattr(error, "column", None))
    assert error.__cause__ is not None
    assert str(error.__cause__) not in str(error)
    assert await database.fetchval("SELECT count(*) FROM person") == 2


async def test_a_transaction_is_all_or_nothing(database: Database) -> None:
    await database.execute(TABLES)
    with pytest.raises(UniqueViolation):  # noqa: PT012
        async with database.transaction() as within:
            await within.execute("INSERT INTO person VALUES (3, 'Eve')")
            await within.execute("INSERT INTO person VALUES (3, 'Eve')")
    assert await database.fetchval("SELECT count(*) FROM person") == 2
    async with database.transaction() as within:
        await within.execute("INSERT INTO person VALUES (3, 'Eve')")
    assert await database.fetchval("SELECT count(*) FROM person") == 3


async def test_a_transaction_within_one_undoes_only_itself(database: Database) -> None:
    await database.execute(TABLES)
    async with database.transaction() as within:
        await within.execute("INSERT INTO person VALUES (3, 'Eve')")
        with pytest.raises(UniqueViolation):
            async with within.transaction():
                await within.execute("INSERT INTO person VALUES (4, 'Eve')")
        async with within.transaction():
            await within.execute("INSERT INTO person VALUES (5, 'Dan')")
    assert await database.fetchval("SELECT array_agg(id ORDER BY id) FROM person") == [1, 2, 3, 5]


async def test_a_failure_that_was_passed_over_is_no_commit(database: Database) -> None:
    """PostgreSQL answers COMMIT with ROLLBACK then, and no error."""
    await database.execute(TABLES)
    with pytest.raises(Internal, match="rolled back"):  # noqa: PT012
        async with database.transaction() as within:
            await within.execute("INSERT INTO person VALUES (3, 'Eve')")
            with pytest.raises(UniqueViolation):
                await within.execute("INSERT INTO person VALUES (3, 'Eve')")
    assert await database.fetchval("SELECT count(*) FROM person") == 2


async def test_two_serializable_transactions_in_each_others_way_conflict(database: Database) -> None:
    await database.execute(TABLES)
    with pytest.raises(TransactionConflict):  # noqa: PT012
        async with database.transaction(isolation="serializable") as one:
            await one.fetchval("SELECT sum(age) FROM person")
            async with database.transaction(isolation="serializable") as other:
                await other.fetchval("SELECT sum(age) FROM person")
                await other.execute("UPDATE person SET age = 1 WHERE id = 1")
            await one.execute("UPDATE person SET age = 2 WHERE id = 2")


async def test_a_connection_is_of_no_use_after_its_transaction(database: Database) -> None:
    async with database.transaction() as within:
        pass
    with pytest.raises(Internal, match="after its transaction"):
        await within.fetch("SELECT 1")


async def _nobody_sleeps(database: Database) -> None:
    """No query of ours sleeps at the server any more, or will not long before it has slept enough."""
    sleeping = "SELECT count(*) FROM pg_stat_activity WHERE query ~ '^SELECT pg_sleep' AND state = 'active'"
    async with asyncio.timeout(10):
        while await database.fetchval(sleeping) != 0:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_a_query_ends_at_its_deadline_on_both_sides(database_url: str, opened: Opener) -> None:
    """It is cancelled at the server too, and asyncpg's connection is used again."""
    database = await opened(database_url, max_size=1)
    backend = await database.fetchval("SELECT pg_backend_pid()")
    with pytest.raises(GatewayTimeout) as caught:
        await database.fetch("SELECT pg_sleep(30)", timeout=0.1)
    assert caught.value.code == "database_timeout"
    await _nobody_sleeps(database)
    assert (await database.fetchval("SELECT pg_backend_pid()") == backend) is (DRIVER == "asyncpg")


@pytest.mark.slow
async def test_a_query_ends_at_its_requests_deadline(database: Database) -> None:
    """Which is sooner than its own; what comes after the deadline is not asked at all."""
    started = time.monotonic()
    deadline.start(0.2)
    with pytest.raises(GatewayTimeout):
        await database.fetch("SELECT pg_sleep(30)")
    assert 0.15 < time.monotonic() - started < 0.6
    with pytest.raises(GatewayTimeout):
        await database.execute("CREATE TABLE late ()")
    deadline.start(None)
    assert await database.fetchval("SELECT to_regclass('late') IS NULL") is True
    await _nobody_sleeps(database)


async def test_a_transaction_is_undone_at_its_requests_deadline(database: Database) -> None:
    """Nothing is committed for a client that no longer waits."""
    await database.execute(TABLES)
    with pytest.raises(GatewayTimeout):  # noqa: PT012
        async with database.transaction() as within:
            await within.execute("DELETE FROM pet")
            await within.execute("UPDATE person SET age = 99")
            deadline.start(0)
    deadline.start(None)
    assert await database.fetchval("SELECT count(*) FROM person WHERE age = 99") == 0
    assert await database.execute("UPDATE person SET age = 1 WHERE id = 1", timeout=1) == "UPDATE 1"


async def test_the_roles_ceiling_ends_what_has_no_deadline(database: Database) -> None:
    """Cancelled by PostgreSQL itself (57014), which is no cancellation of the task that asked."""
    with pytest.raises(GatewayTimeout):  # noqa: PT012
        async with database.transaction() as within:
            await within.execute("SET LOCAL statement_timeout = '50ms'")
            await within.execute("SELECT pg_sleep(30)")
    assert await database.fetchval("SELECT 1") == 1


async def test_a_transaction_whose_task_is_cancelled_leaves_nothing(database: Database) -> None:
    """The client went away in the middle of a statement: rolled back, cancelled at the server, no lock held."""
    await database.execute(TABLES)

    async def work() -> None:
        async with database.transaction() as within:
            await within.execute("UPDATE person SET age = 99")
            await within.execute("SELECT pg_sleep(30)")

    task = asyncio.create_task(work())
    sleeping = (
        "SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(30)' AND state = 'active'"
    )
    async with asyncio.timeout(20):
        while await database.fetchval(sleeping) == 0:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await database.execute("UPDATE person SET age = 1 WHERE id = 1", timeout=2) == "UPDATE 1"
    assert await database.fetchval("SELECT count(*) FROM person WHERE age = 99") == 0


@pytest.mark.parametrize(
    ("leave", "look", "clean"),
    [
        ("SET search_path = pg_catalog", "SHOW search_path", '"$user", public'),
        ("SELECT pg_advisory_lock(7)", "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'", 0),
        ("BEGIN; CREATE TABLE ghost ()", "SELECT to_regclass('ghost') IS NULL", True),
    ],
)
async def test_a_session_passes_nothing_on_to_its_next_user(
    leave: str, look: str, clean: object, database_url: str, opened: Opener
) -> None:
    database = await opened(database_url, max_size=1)
    await database.execute(leave)
    assert await database.fetchval(look) == clean


async def test_a_full_pool_is_503_in_time_and_serves_in_order(database_url: str, opened: Opener) -> None:
    database = await opened(database_url, max_size=1, acquire_timeout=0.1)
    async with database.transaction() as within:
        await within.fetch("SELECT 1")
        with pytest.raises(Unavailable) as caught:
            await database.fetch("SELECT 1")
    assert (caught.value.code, caught.value.headers["Retry-After"]) == ("database_unavailable", "1")
    assert await database.fetchval("SELECT 1") == 1


async def test_a_busy_database_is_healthy(database_url: str, opened: Opener) -> None:
    """All connections are in use, but answers come: busy is not away."""
    database = await opened(database_url, max_size=1)

    async def keep_busy() -> None:
        while True:
            await database.fetch("SELECT pg_sleep(0.02)")

    async with asyncio.TaskGroup() as group:
        users = [group.create_task(keep_busy()) for _ in range(5)]
        await asyncio.sleep(0.05)
        await database.check(0.5)
        for user in users:
            user.cancel()


async def test_many_at_once_share_few_connections(database: Database) -> None:
    numbers = await asyncio.gather(*(database.fetchval("SELECT $1::int", n) for n in range(200)))
    assert (list(range(200)), 4) == (numbers, database.status.size if database.status else 0)


async def test_a_database_that_was_never_opened_is_unavailable() -> None:
    with pytest.raises(Unavailable):
        await Database().fetch("SELECT 1")


async def test_an_address_that_is_none_is_refused_at_once() -> None:
    with pytest.raises(ConfigurationError, match="postgresql://"):
        await Database().open("mysql://x")


@pytest.mark.parametrize("name", ["psycopg", "os.path", ""])
async def test_a_driver_that_there_is_not_is_refused_with_those_there_are(name: str) -> None:
    with pytest.raises(ConfigurationError, match="there are asyncpg, aiopg"):
        await Database(driver=name).open("postgresql://nowhere")


def test_without_its_extra_the_second_driver_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['aiopg'] = None\n"
        "from focushub_core.database.driver import load\n"
        "from focushub_core.errors import ConfigurationError\n"
        "try: load('aiopg')\n"
        "except ConfigurationError as error: print(error)"
    )
    said = subprocess.check_output([sys.executable, "-c", code], text=True)
    assert "the extra [aiopg]: pip install" in said


def test_importing_loads_no_driver() -> None:
    code = "import sys, focushub_core.database; print(bool({'asyncpg', 'aiopg'} & set(sys.modules)))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "False\n"
