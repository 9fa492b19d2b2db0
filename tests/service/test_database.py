"""What a service's client sees of its database: full, late, left alone, of another release."""

import asyncio
import os
import subprocess
import sys
import time

import pytest

from focushub_core import Database, Service, get
from focushub_core.database import Database as AnyDatabase
from focushub_core.database import migrate


class Sleeping(Service):
    name = "sleeping-service"
    database = Database(max_size=2)

    @get("/v1/sleep/{seconds}")
    async def sleep(self, seconds: float, database: Database) -> dict[str, float]:
        await database.fetch("SELECT pg_sleep($1)", seconds)
        return {"slept": seconds}


PROGRAM = """
from focushub_core import Database, Service, get

class Notes(Service):
    name = "note-service"
    database = Database(migrations=("CREATE TABLE notes (id int)", "ALTER TABLE notes ADD text text"))

    @get("/v1/notes")
    async def count(self, database: Database) -> int:
        return await database.fetchval("SELECT count(*) FROM notes")

Notes.run()
"""

ACTIVE = "SELECT count(*) FROM pg_stat_activity WHERE query ~ '^SELECT pg_sleep' AND state = 'active'"


async def _until(database: AnyDatabase, count: int) -> None:
    """Wait until so many queries sleep at the server."""
    async with asyncio.timeout(10):
        while await database.fetchval(ACTIVE) != count:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


@pytest.fixture
async def onlooker(database_url):
    """Looks at the database beside the service."""
    database = AnyDatabase()
    await database.open(database_url)
    yield database
    await database.close()


async def test_a_query_ends_when_its_requests_sender_waits_no_longer(serve, onlooker):
    """`X-Request-Timeout-Ms` is what the sender still waits."""
    client = await serve(Sleeping)
    started = time.monotonic()
    reply = await client.get("/v1/sleep/30", headers={"X-Request-Timeout-Ms": "200"})
    assert (reply.status, reply.body["code"]) == (504, "database_timeout")
    assert time.monotonic() - started < 1
    await _until(onlooker, 0)


async def test_a_service_has_a_limit_of_its_own(serve):
    client = await serve(Sleeping, REQUEST_SECONDS="0.2")
    reply = await client.get("/v1/sleep/30", headers={"X-Request-Timeout-Ms": "60000"})
    assert reply.status == 504


async def test_a_query_ends_when_its_client_goes_away(serve, onlooker):
    """Its connection serves the next."""
    client = await serve(Sleeping)
    gone = [asyncio.create_task(client.get("/v1/sleep/30")) for _ in range(2)]
    await _until(onlooker, 2)
    for request in gone:
        request.cancel()
    await asyncio.gather(*gone, return_exceptions=True)
    await _until(onlooker, 0)
    assert (await client.get("/v1/sleep/0")).status == 200


async def test_a_full_pool_is_503_within_a_second_and_says_when_to_come_back(serve, onlooker):
    """And the service stays healthy: its database is there."""
    client = await serve(Sleeping)
    held = [asyncio.create_task(client.get("/v1/sleep/30")) for _ in range(2)]
    await _until(onlooker, 2)
    started = time.monotonic()
    reply = await client.get("/v1/sleep/0")
    assert time.monotonic() - started < 1
    assert (reply.status, reply.body["code"]) == (503, "database_unavailable")
    assert reply.headers["Retry-After"] == "1"
    assert (await client.get("/health")).status == 200
    for request in held:
        request.cancel()
    await asyncio.gather(*held, return_exceptions=True)


def _run(url: str) -> subprocess.CompletedProcess[str]:
    environ = os.environ | {"DATABASE_URL": url, "PORT": "0", "LOG_FORMAT": "text"}
    command = [sys.executable, "-c", PROGRAM]
    return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=20)


@pytest.mark.parametrize(
    ("applied", "said"),
    [
        (1, "0002_inline.sql is not applied: the schema is older than this code; `focushub migrate`"),
        (3, "0003_inline.sql was applied and is unknown here: the schema is newer than this code"),
    ],
)
async def test_a_service_starts_on_no_schema_but_its_own(applied, said, database_url):
    texts = ("CREATE TABLE notes (id int)", "ALTER TABLE notes ADD text text", "ALTER TABLE notes ADD n int")
    await migrate(database_url, texts[:applied])
    process = await asyncio.to_thread(_run, database_url)
    assert process.returncode == 1
    assert f"cannot start: {said}" in process.stdout + process.stderr
    assert "Traceback" not in process.stderr


async def test_a_driver_that_is_none_is_a_wrong_setting(database_url):
    environ = os.environ | {"DATABASE_URL": database_url, "DATABASE_DRIVER": "psycopg"}
    command = [sys.executable, "-c", PROGRAM]
    process = await asyncio.to_thread(subprocess.run, command, env=environ, capture_output=True, text=True)
    assert (process.returncode, "DATABASE_DRIVER" in process.stderr) == (1, True)
