"""A PostgreSQL that is stopped, killed, frozen: errors only while it is, and nothing waits for ever."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING

import psutil
import pytest
import pytest_asyncio

from focushub_core.database import Database
from focushub_core.errors import FocusHubError, GatewayTimeout, Unavailable
from focushub_core.testing.servers import PostgresServer, postgres

if TYPE_CHECKING:
    from tests.database.conftest import Opener

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """One that may be harmed; each test leaves it running."""
    with postgres() as server:
        yield server


@pytest_asyncio.fixture
async def database(server: PostgresServer, opened: Opener) -> AsyncIterator[Database]:
    with server.database() as url:
        database = await opened(url, max_size=4, query_timeout=1.0)
        await database.check(5)
        yield database
        # First: on 15 a half-open login of a loop that stands still stops DROP DATABASE.
        await database.close()


async def _until_healthy(database: Database, deadline: float) -> float:
    """Seconds until a check passes."""
    started = time.monotonic()
    while True:
        try:
            await database.check(0.5)
        except Unavailable:
            assert time.monotonic() - started < deadline
            await asyncio.sleep(0.02)
        else:
            return time.monotonic() - started


async def _failing_check(database: Database, deadline: float) -> float:
    started = time.monotonic()
    with pytest.raises(Unavailable) as caught:
        await database.check(deadline)
    assert caught.value.code == "database_unavailable"
    return time.monotonic() - started


def _family(server: PostgresServer) -> list[int]:
    parent = psutil.Process(server.process.pid)
    return [parent.pid, *(child.pid for child in parent.children(recursive=True))]


async def test_a_frozen_server_is_unhealthy_in_time_and_recovers_by_itself(
    server: PostgresServer, database: Database
) -> None:
    """Postmaster and all backends: connections are accepted by the kernel, but nothing is answered."""
    family = _family(server)
    for pid in family:
        os.kill(pid, signal.SIGSTOP)
    try:
        for _ in range(3):
            assert await _failing_check(database, 0.3) < 0.6
        started = time.monotonic()
        results = await asyncio.gather(
            *(database.fetch("SELECT 1") for _ in range(12)), return_exceptions=True
        )
        assert all(isinstance(one, Unavailable | GatewayTimeout) for one in results)
        assert time.monotonic() - started < 2.5
    finally:
        for pid in family:
            os.kill(pid, signal.SIGCONT)
    assert await _until_healthy(database, 5) < 1.5


async def test_one_frozen_backend_is_replaced(server: PostgresServer, database: Database) -> None:
    backend = await database.fetchval("SELECT pg_backend_pid()")
    os.kill(backend, signal.SIGSTOP)
    try:
        with pytest.raises(GatewayTimeout):
            await database.fetch("SELECT 1", timeout=0.2)
        assert await database.fetchval("SELECT pg_backend_pid()") != backend
        await database.check(0.5)
    finally:
        os.kill(backend, signal.SIGCONT)


async def test_a_transaction_on_a_frozen_backend_ends_at_its_deadline(
    server: PostgresServer, database: Database
) -> None:
    """Its rollback waits for nobody either."""
    started = time.monotonic()
    backend = 0
    try:
        with pytest.raises(GatewayTimeout):  # noqa: PT012
            async with database.transaction() as within:
                backend = await within.fetchval("SELECT pg_backend_pid()")
                os.kill(backend, signal.SIGSTOP)
                await within.execute("SELECT 1", timeout=0.2)
        assert time.monotonic() - started < 1
    finally:
        os.kill(backend, signal.SIGCONT)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT, signal.SIGKILL])
async def test_a_restart_fails_only_what_runs_while_it_is_down(
    how: signal.Signals, server: PostgresServer, database: Database
) -> None:
    """Fast, immediate, kill -9: 503 at once while it is down, well again at once after."""
    family = [psutil.Process(pid) for pid in _family(server)]
    server.process.stop(how)
    psutil.wait_procs(family, timeout=5)  # a backend may outlive a killed postmaster for a moment, and answer
    assert await _failing_check(database, 1.0) < 0.5
    with pytest.raises(Unavailable):
        await database.fetch("SELECT 1")
    server.process.start()
    assert await _until_healthy(database, 5) < 0.5


async def _hammer(database: Database, failures: list[float]) -> None:
    """Ask again and again, and note when it failed."""
    while True:
        try:
            await database.fetchval("SELECT 1")
        except FocusHubError:
            failures.append(time.monotonic())
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT, signal.SIGKILL])
async def test_under_load_a_restart_fails_nothing_half_a_second_after_it(
    how: signal.Signals, server: PostgresServer, database: Database
) -> None:
    """Nor before it."""
    failures: list[float] = []
    users = [asyncio.create_task(_hammer(database, failures)) for _ in range(8)]
    await asyncio.sleep(0.1)
    down = time.monotonic()
    await asyncio.to_thread(server.process.stop, how)
    await asyncio.to_thread(server.process.start)
    up = time.monotonic()
    await asyncio.sleep(1)
    for user in users:
        user.cancel()
    await asyncio.gather(*users, return_exceptions=True)
    assert failures
    assert down <= min(failures)
    assert max(failures) < up + 0.5


async def test_no_acknowledged_write_is_lost_by_a_kill(server: PostgresServer, database: Database) -> None:
    """`kill -9` of all its processes at once, in the midst of what four are writing."""
    await database.execute("CREATE TABLE written (writer int, n int)")
    acknowledged: set[tuple[int, int]] = set()

    async def write(writer: int) -> None:
        n = 0
        while True:
            await database.execute("INSERT INTO written VALUES ($1, $2)", writer, n)
            acknowledged.add((writer, n))
            n += 1
            if len(acknowledged) == 200:
                for pid in _family(server):
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)

    ends = await asyncio.gather(*(write(writer) for writer in range(4)), return_exceptions=True)
    assert [type(end) for end in ends if not isinstance(end, FocusHubError)] == []
    server.process.stop()
    server.process.start()
    await _until_healthy(database, 5)
    written = {tuple(row.values()) for row in await database.fetch("SELECT * FROM written")}
    assert len(acknowledged) >= 200
    assert acknowledged <= written


async def test_a_service_opens_before_its_database_is_there(
    server: PostgresServer, opened: Opener, caplog: pytest.LogCaptureFixture
) -> None:
    """It is said once that it is away and once that it is back, not for each request."""
    caplog.set_level(logging.INFO, "focushub.database")
    with server.database() as url:
        server.process.stop()
        database = await opened(url)
        for _ in range(3):
            await _failing_check(database, 1.0)
        server.process.start()
        await _until_healthy(database, 5)
        await database.close()
    said = [record.message.split(":")[0] for record in caplog.records if record.name == "focushub.database"]
    assert said == ["the database cannot be used", "the database can be used again"]


async def test_a_server_out_of_connections_serves_with_what_there_is(opened: Opener) -> None:
    """53300: those who have connections go on, and waiters get theirs."""
    few = {"max_connections": "6", "superuser_reserved_connections": "3"}
    with postgres(**few) as small, small.database() as url:
        database = await opened(url, max_size=10)
        values = await asyncio.gather(*(database.fetchval("SELECT 1 FROM pg_sleep(0.02)") for _ in range(20)))
        assert database.status is not None
        assert (values, database.status.size <= 3) == ([1] * 20, True)
        await database.close()


async def test_a_server_whose_connections_others_have_is_503_in_time(opened: Opener) -> None:
    """It says when to come back, and is well as soon as one is free."""
    few = {"max_connections": "6", "superuser_reserved_connections": "3"}
    with postgres(**few) as small, small.database() as url:
        others = await opened(url, min_size=3, max_size=3)
        async with others.transaction(), others.transaction(), others.transaction() as last:
            assert await last.fetchval("SELECT 1") == 1
            database = await opened(url)
            started = time.monotonic()
            with pytest.raises(Unavailable) as caught:
                await database.fetch("SELECT 1")
            assert time.monotonic() - started < 1
            assert (caught.value.code, caught.value.headers["Retry-After"]) == ("database_unavailable", "1")
        await others.close()
        assert await _until_healthy(database, 5) < 0.5
        await database.close()


async def test_a_lock_held_for_five_seconds_harms_those_who_need_it(
    server: PostgresServer, opened: Opener
) -> None:
    """They get 504 at their deadline, or 503 while those wait. The service is healthy, and what is left ends."""
    waiting = (
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND usename = current_user"
    )
    with server.database() as url:
        database, holder = await opened(url, max_size=4, query_timeout=0.7), await opened(url)
        await database.execute("CREATE TABLE kept (n int)")
        async with holder.transaction() as lock:
            await lock.execute("LOCK TABLE kept IN ACCESS EXCLUSIVE MODE")
            released = time.monotonic() + 5
            while time.monotonic() < released:
                started = time.monotonic()
                writes = [database.execute("INSERT INTO kept VALUES (1)") for _ in range(8)]
                *results, checked = await asyncio.gather(*writes, database.check(0.5), return_exceptions=True)
                assert time.monotonic() - started < 0.9 + 0.7 + 0.3
                assert checked is None
                assert all(isinstance(one, GatewayTimeout | Unavailable) for one in results)
            async with asyncio.timeout(10):
                while await lock.fetchval(waiting) != 0:  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
        assert await database.execute("INSERT INTO kept VALUES (1)") == "INSERT 0 1"
        assert await database.fetchval("SELECT count(*) FROM kept") == 1
        await database.close()
        await holder.close()
