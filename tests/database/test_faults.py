"""A PostgreSQL that is stopped, killed, frozen: errors only while it is, and nothing waits for ever."""

from __future__ import annotations

import asyncio
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


async def test_no_acknowledged_write_is_lost_by_a_kill(server: PostgresServer, database: Database) -> None:
    await database.execute("CREATE TABLE written (n int)")
    acknowledged = 0

    async def write() -> None:
        nonlocal acknowledged
        while True:
            await database.execute("INSERT INTO written VALUES ($1)", acknowledged + 1)
            acknowledged += 1
            if acknowledged == 100:
                os.kill(server.process.pid, signal.SIGKILL)
                os.kill(backend, signal.SIGKILL)

    backend = await database.fetchval("SELECT pg_backend_pid()")
    with pytest.raises(FocusHubError):
        await write()
    server.process.stop()
    server.process.start()
    await _until_healthy(database, 5)
    assert await database.fetchval("SELECT max(n) FROM written") >= acknowledged >= 100


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
