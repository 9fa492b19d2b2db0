"""Active checks on real sockets: what an upstream answers, and what is made of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer

from focushub_core.balancer import Pool, State
from focushub_core.balancer.checker import Checker
from focushub_core.proxy.probe import over_http


class Replica:
    """An upstream whose answer to a check is ``status``; 0 means none at all."""

    def __init__(self) -> None:
        self.status = 200
        self.gone = asyncio.Event()

    async def handle(self, request: web.Request) -> web.Response:
        if not self.status:
            await self.gone.wait()
        return web.Response(status=self.status or 200, headers={"Location": "/"})


@pytest_asyncio.fixture
async def replica() -> Replica:
    return Replica()


@pytest_asyncio.fixture
async def server(replica: Replica) -> AsyncIterator[TestServer]:
    app = web.Application()
    app.router.add_get("/readyz", replica.handle)
    server = TestServer(app, access_log=None)
    await server.start_server()
    yield server
    replica.gone.set()
    await server.close()


@pytest_asyncio.fixture
async def pool(server: TestServer) -> AsyncIterator[Pool]:
    made = Pool.of("replicas", [str(server.make_url("/"))])
    checker = Checker(made, over_http("/readyz", 0.1), interval_s=0.04)
    await checker.start()
    yield made
    await checker.close()


async def becomes(pool: Pool, expected: State) -> None:
    async with asyncio.timeout(20):
        while pool.upstreams[0].health.state(time.monotonic()) is not expected:  # noqa: ASYNC110 (no event)
            await asyncio.sleep(0.005)


@pytest.mark.parametrize(
    ("status", "expected"),
    [(503, State.DRAINING), (500, State.DOWN), (404, State.DOWN), (302, State.DOWN), (0, State.DOWN)],
)
async def test_an_upstream_that_stops_answering_well_is_out_until_it_does_again(
    pool: Pool, replica: Replica, status: int, expected: State
) -> None:
    await becomes(pool, State.UP)
    replica.status = status
    await becomes(pool, expected)
    replica.status = 200
    await becomes(pool, State.UP)


async def test_an_upstream_that_is_gone_is_down(pool: Pool, server: TestServer) -> None:
    await becomes(pool, State.UP)
    await server.close()
    await becomes(pool, State.DOWN)
