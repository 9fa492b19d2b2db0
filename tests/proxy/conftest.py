"""Upstreams that behave and upstreams that do not, and a proxy in front of them, on real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass

import pytest
import pytest_asyncio
import uvloop
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer
from aiohttp.typedefs import Handler

from focushub_core.balancer import Pool
from focushub_core.proxy import engine
from focushub_core.proxy.engine import Timeouts

from .raw import Client

Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def until(condition: Callable[[], object], within_s: float = 30.0) -> None:
    """Return when ``condition`` holds; fail when it does not in time."""
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110 (what is waited for has no event)
            await asyncio.sleep(0.005)


@dataclass
class Front:
    """A proxy: where it listens, whom it asks, and a client for it."""

    url: str
    host: str
    port: int
    pool: Pool
    client: ClientSession

    async def raw(self, request: bytes) -> bytes:
        """Everything that comes back on one connection."""
        reader, writer = await asyncio.open_connection(self.host, self.port)
        writer.write(request)
        answer = await reader.read()
        writer.close()
        return answer


class Bench:
    """Starts upstreams and fronts, and closes them after the test."""

    def __init__(self, running: AsyncExitStack) -> None:
        self._running = running
        self.tasks: set[asyncio.Task[object]] = set()
        self.ending = False

    async def end(self) -> None:
        """End the scripts that run, and see all connections closed."""
        self.ending = True
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        for _ in range(5):
            await asyncio.sleep(0)

    async def app(self, handler: Handler) -> str:
        """An aiohttp server with one handler; its origin."""
        app = web.Application(client_max_size=2**30)
        app.router.add_route("*", "/{path:.*}", handler)
        return await self._serve(app)

    async def script(self, script: Script) -> str:
        """A server whose every connection runs ``script``; its origin."""

        async def run(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            self.tasks.add(task)
            try:
                await script(reader, writer)
            except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                pass
            finally:
                if self.ending:
                    writer.transport.abort()
                else:
                    writer.close()
                self.tasks.discard(task)

        server = await asyncio.start_server(run, "127.0.0.1", 0)
        self._running.callback(server.close)
        return f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"

    async def front(self, *upstreams: str, timeouts: Timeouts | None = None) -> Front:
        """A proxy for these origins."""
        return (await self.engine(*upstreams, timeouts=timeouts))[0]

    async def engine(
        self, *upstreams: str, timeouts: Timeouts | None = None, keyed: tuple[str, ...] = ()
    ) -> tuple[Front, engine.Engine]:
        """A proxy on the engine, and the engine."""
        pool = Pool.of("test", upstreams)
        route = engine.Route("/{path}", pool, keyed=keyed)
        made = engine.Engine("test", lambda head, side: route, timeouts=timeouts)
        await made.start()
        self._running.push_async_callback(made.stop, 0.0)
        host, port = await made.listen("127.0.0.1", 0)
        url = f"http://{host}:{port}"
        client = await self._running.enter_async_context(ClientSession(url, auto_decompress=False))
        return Front(url, host, port, pool, client), made

    async def connect(self, front: Front) -> Client:
        """A connection of bytes to ``front``, closed after the test at the latest."""
        client = await Client.to(front.host, front.port)
        self._running.callback(client.close)
        return client

    async def _serve(self, app: web.Application) -> str:
        server = TestServer(app, access_log=None)
        await server.start_server()
        self._running.push_async_callback(server.close)
        return str(server.make_url("/")).rstrip("/")


@pytest.hookimpl(optionalhook=True)
def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The loop that the engine is made for."""
    return {"uvloop": uvloop.new_event_loop}


@pytest_asyncio.fixture
async def bench() -> AsyncIterator[Bench]:
    async with AsyncExitStack() as running:
        made = Bench(running)
        running.push_async_callback(made.end)
        yield made


@pytest.fixture
def refused() -> str:
    """An origin where nobody listens."""
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{taken.getsockname()[1]}"
