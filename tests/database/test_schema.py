"""Code is used with its own schema, neither an older nor a newer one."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

import pytest

from focushub_core.database import Database, MigrationState, SchemaMismatch, migrations
from focushub_core.database.migrations import State
from focushub_core.database.schema import misfit
from focushub_core.errors import ConfigurationError, Unavailable
from focushub_core.testing.servers import PostgresServer, postgres

if TYPE_CHECKING:
    from tests.database.conftest import Opener

migrate = partial(migrations.migrate, driver=os.environ.get("DATABASE_DRIVER", "asyncpg"))

OLD = ("CREATE TABLE tasks (id int)",)
CODE = (*OLD, "ALTER TABLE tasks ADD title text")
NEW = (*CODE, "ALTER TABLE tasks ADD done bool")
EDITED = (OLD[0], "ALTER TABLE tasks ADD title varchar")


@pytest.mark.parametrize(
    ("states", "said"),
    [
        ([], None),
        (["applied"], None),
        (
            ["applied", "pending"],
            r"^2\.sql is not applied: the schema is older than this code; `focushub migrate`",
        ),
        (["pending", "pending"], r"^1\.sql, 2\.sql is not applied"),
        (
            ["applied", "missing"],
            r"^2\.sql was applied and is unknown here: the schema is newer than this code$",
        ),
        (["edited"], r"^1\.sql changed since being applied"),
        (["edited", "pending"], r"^1\.sql changed .*; 2\.sql is not applied"),
    ],
)
def test_a_schema_fits_if_all_is_applied_and_nothing_more(states: list[State], said: str | None) -> None:
    problem = misfit([MigrationState(f"{number}.sql", state) for number, state in enumerate(states, 1)])
    if said is None:
        assert problem is None
    else:
        assert problem is not None
        assert re.search(said, problem)


@pytest.mark.parametrize(
    ("applied", "said"),
    [(None, "0002_idempotency_functions.sql, 0001_inline.sql, 0002_inline.sql is not"), (OLD, "0002_inline.sql is not"),
     (NEW, "0003_inline.sql was applied and"), (EDITED, "0002_inline.sql changed")],
)  # fmt: skip
async def test_a_schema_that_does_not_fit_is_refused_and_named(
    applied: tuple[str, ...] | None, said: str, database_url: str, opened: Opener
) -> None:
    """At the start, and by every query: nothing is done to it."""
    if applied is not None:
        await migrate(database_url, applied)
    database = await opened(database_url, schema=CODE)
    with pytest.raises(ConfigurationError, match=said):
        await database.verify()
    with pytest.raises(SchemaMismatch, match=said) as caught:
        await database.fetch("SELECT 1")
    assert (caught.value.status, "Retry-After" in caught.value.headers) == (503, True)
    with pytest.raises(SchemaMismatch):
        await database.check()


async def test_a_schema_that_fits_is_looked_at_once(database_url: str, opened: Opener) -> None:
    """The next release's migrations may be applied while this one runs."""
    await migrate(database_url, CODE)
    database = await opened(database_url, schema=CODE, max_size=2)
    await database.verify()
    await migrate(database_url, NEW)
    async with database.transaction() as one, database.transaction() as other:
        assert [await one.fetchval("SELECT 1"), await other.fetchval("SELECT 1")] == [1, 1]


async def test_once_it_is_brought_up_to_date_it_is_used(database_url: str, opened: Opener) -> None:
    database = await opened(database_url, schema=CODE)
    with pytest.raises(SchemaMismatch):
        await database.check()
    await migrate(database_url, CODE)
    assert await database.fetchval("SELECT count(*) FROM tasks") == 0


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """One that may be stopped."""
    with postgres() as server:
        yield server


async def test_a_database_that_is_away_is_looked_at_when_it_answers(
    server: PostgresServer, opened: Opener
) -> None:
    """That it is away stops no start; that it is another one is told once it is there."""
    with server.database() as url:
        await migrate(url, OLD)
        server.process.stop()
        database: Database = await opened(url, schema=CODE)
        await database.verify()
        with pytest.raises(Unavailable, match="did not answer"):
            await database.check()
        server.process.start()
        with pytest.raises(SchemaMismatch, match="0002_inline"):
            await database.check()
        await database.close()
