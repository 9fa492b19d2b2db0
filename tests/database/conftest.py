"""A database that is open."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest_asyncio

from focushub_core.database import Database
from focushub_core.database.migrations import Source

Opener = Callable[..., Awaitable[Database]]

DRIVER = os.environ.get("DATABASE_DRIVER", "asyncpg")
"""The driver that these tests are for; `tox -e aiopg` runs them for the other one."""


@pytest_asyncio.fixture
async def opened() -> AsyncIterator[Opener]:
    """Open databases: ``await opened(url, max_size=1)``. They are closed after the test."""
    made: list[Database] = []

    async def opener(url: str, *, schema: Source | None = None, **options: Any) -> Database:
        made.append(Database(**{"driver": DRIVER} | options))
        await made[-1].open(url, schema=schema)
        return made[-1]

    yield opener
    for database in made:
        await database.close()


@pytest_asyncio.fixture
async def database(database_url: str, opened: Opener) -> Database:
    """An empty database, open, with at most four connections."""
    return await opened(database_url, max_size=4)
