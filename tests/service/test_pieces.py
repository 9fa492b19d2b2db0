"""A plain `web.Application` takes health, a database and limits one by one, without the base class."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from focushub_core import Check, Clock, Database, Unavailable
from focushub_core.http import probes

Client = TestClient[web.Request, web.Application]
README = Path(__file__).resolve().parents[2] / "README.md"


def add_pieces(app: web.Application, database_url: str) -> Database:
    """What the README shows, run."""
    shown = re.findall(
        r"^<!-- tests/service/test_pieces\.py -->\n```python\n(.*?)^```$",
        README.read_text(encoding="utf-8"),
        re.MULTILINE | re.DOTALL,
    )
    names: dict[str, Any] = {}
    exec(*shown, names)
    database: Database = names["add_pieces"](app, database_url)
    return database


@pytest_asyncio.fixture
async def client(database_url: str) -> AsyncIterator[Client]:
    """An application as others have written it, with the pieces in it."""
    app = web.Application()

    async def count(_: web.Request) -> web.Response:
        return web.json_response({"count": await database.fetchval("SELECT 40 + 2")})

    app.router.add_get("/count", count)
    database = add_pieces(app, database_url)
    async with TestClient(TestServer(app, access_log=None)) as client:
        yield client


async def test_health_is_as_in_every_part(client: Client) -> None:
    health = await client.get("/health")
    body = await health.json()
    assert (health.status, health.headers["Cache-Control"]) == (200, "no-store")
    assert body.pop("timestamp").endswith("Z")
    assert body == {"status": "healthy", "service": "shop", "database": "connected", "version": "0.1.0"}
    assert await (await client.get("/livez")).json() == {"status": "alive"}
    assert await (await client.get("/readyz")).json() == {"status": "ready"}
    verbose = await (await client.get("/readyz?verbose")).json()
    assert verbose["checks"] == {"database": {"status": "connected", "required": True}}


async def test_the_database_is_open_while_the_application_runs(client: Client) -> None:
    assert await (await client.get("/count")).json() == {"count": 42}


async def test_limits_hold_and_leave_probes_alone(client: Client) -> None:
    statuses = [(await client.get("/count")).status for _ in range(120)]
    assert set(statuses) == {200}
    refused = await client.get("/count")
    assert (refused.status, (await refused.json())["code"]) == (429, "rate_limited")
    assert refused.headers["Retry-After"].isdecimal()
    assert (await client.get("/health")).status == 200


async def test_what_is_gone_is_503_and_said_by_name() -> None:
    async def gone() -> None:
        raise Unavailable("refused")

    app = web.Application()
    probes.install(app, [Check("database", gone), Check("cache", gone, required=False)], name="shop")
    async with TestClient(TestServer(app, access_log=None)) as client:
        health = await client.get("/health")
        body = await health.json()
        assert (health.status, body["status"], body["database"]) == (503, "unhealthy", "disconnected")
        assert (await client.get("/readyz")).status == 503
        assert (await client.get("/livez")).status == 200


async def test_the_database_is_closed_with_its_application(database_url: str) -> None:
    app, database = web.Application(), Database()
    database.install(app, database_url)
    assert database.status is None
    async with TestServer(app, access_log=None):
        assert database.status is not None
    assert database.status is None


def test_a_clock_says_the_time_in_utc() -> None:
    now = Clock()()
    assert now.utcoffset() is not None
    assert not now.utcoffset()
