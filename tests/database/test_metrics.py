"""A pool as Prometheus sees it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from prometheus_client import CollectorRegistry

from focushub_core.database import Database
from focushub_core.database.metrics import families
from focushub_core.errors import Unavailable
from focushub_core.telemetry.families import register


def shown(registry: CollectorRegistry) -> dict[str, float]:
    samples = [sample for family in registry.collect() for sample in family.samples]
    return {sample.labels.get("state", sample.name): sample.value for sample in samples}


async def test_it_shows_connections_by_state_and_who_waits(
    database_url: str, opened: Callable[..., Awaitable[Database]]
) -> None:
    database, registry = await opened(database_url, max_size=1, acquire_timeout=0.5), CollectorRegistry()
    register(lambda: families(database), registry)
    async with database.transaction() as connection:
        await connection.execute("SELECT 1")
        waiting = asyncio.create_task(database.execute("SELECT 1"))
        await asyncio.sleep(0)
        busy = {"idle": 0, "opening": 0, "busy": 1, "database_connections_max": 1, "database_waiters": 1}
        assert shown(registry) == busy
    await waiting
    assert shown(registry) == busy | {"idle": 1, "busy": 0, "database_waiters": 0}


async def test_a_database_that_is_not_open_shows_nothing() -> None:
    registry = CollectorRegistry()
    register(lambda: families(Database()), registry)
    assert shown(registry) == {}


async def test_a_server_that_is_away_leaves_no_connection(opened: Callable[..., Awaitable[Database]]) -> None:
    database, registry = await opened("postgresql://a:b@127.0.0.1:1/c"), CollectorRegistry()
    register(lambda: families(database), registry)
    with contextlib.suppress(Unavailable):
        await database.execute("SELECT 1")
    assert shown(registry)["busy"] == shown(registry)["idle"] == 0
