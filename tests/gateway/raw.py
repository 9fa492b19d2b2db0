"""A gateway in front of two services, and clients and services that speak bytes."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from typing import cast

from aiohttp import web
from uuid_utils.compat import uuid7

from focushub_core import User, get
from focushub_core.gateway import Gateway, Section
from focushub_core.proxy.http1 import End, RequestHead, RequestReader, ResponseHead, ResponseReader
from focushub_core.testing import TokenMint

STACK = """
[stack]
name = "shop"
[gateway]
replicas = 1
[services.auth]
port = 3001
prefixes = ["/v1/auth", "/v1/me"]
public = ["/v1/auth"]
[services.task]
port = 3002
prefixes = ["/v1/tasks"]
day_aware = ["/v1/tasks/today"]
[limits.user]
quota = 5
by = "user"
[limits.address]
quota = 50
by = "address"
[limits.login]
quota = 3
by = "address"
routes = ["/v1/auth/login"]
"""


class Reply:
    """An answer: its status, fields (lower case) and body."""

    def __init__(self, head: ResponseHead) -> None:
        self.status = head.status
        self.lines = [(name.lower(), value) for name, value in head.fields.all]
        self.fields = dict(self.lines)
        self.body = b""

    @property
    def code(self) -> object:
        """Of a problem."""
        return json.loads(self.body).get("code")


class Wire:
    """One connection to the gateway, in bytes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self._answers = ResponseReader()

    async def ask(self, *requests: bytes) -> list[Reply]:
        """The answers to these requests, sent at once."""
        self.writer.write(b"".join(requests))
        return [await self.reply(request[:4] == b"HEAD") for request in requests]

    async def reply(self, to_head: bool = False) -> Reply:
        """The next answer."""
        self._answers.expect(b"HEAD" if to_head else b"GET")
        found: Reply | None = None
        async with asyncio.timeout(8):
            while True:
                event = self._answers.next()
                if isinstance(event, ResponseHead):
                    found = Reply(event)
                elif isinstance(event, bytes):
                    assert found is not None
                    found.body += event
                elif isinstance(event, End):
                    assert found is not None
                    if found.status >= 200:
                        return found
                else:
                    data = await self.reader.read(65536)
                    assert data, "the connection ended"
                    self._answers.receive(data)

    def reset(self) -> None:
        """Close it so that the other side sees at once that nobody is there."""
        connection = self.writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def close(self) -> None:
        """Close it at once."""
        self.writer.transport.abort()
        with suppress(ConnectionError):
            await self.writer.wait_closed()

    async def ended(self) -> bool:
        """Whether nothing more comes."""
        async with asyncio.timeout(8):
            return not await self.reader.read(1)


class Upstream:
    """A service that reads by the kit's own reader, remembers what it is asked, and answers as told."""

    def __init__(self) -> None:
        self.heads: list[RequestHead] = []
        self.bodies: list[bytes] = []
        self.delay_s = 0.0
        self.connections: set[Upstream.Connection] = set()

    async def start(self, running: AsyncExitStack) -> None:
        """Listen until the end."""
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: Upstream.Connection(self), "127.0.0.1", 0)
        running.push_async_callback(self._close, server)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"

    @property
    def targets(self) -> list[bytes]:
        """What was asked for."""
        return [head.target for head in self.heads]

    def sent(self, name: bytes) -> list[bytes]:
        """The values of a field in the last request."""
        return [value for given, value in self.heads[-1].fields.all if given.lower() == name]

    async def _close(self, server: asyncio.Server) -> None:
        server.close()
        for connection in self.connections:
            connection.transport.abort()
        await asyncio.sleep(0)

    class Connection(asyncio.Protocol):
        transport: asyncio.Transport

        def __init__(self, upstream: Upstream) -> None:
            self._upstream = upstream
            self._requests = RequestReader()
            self._body = b""

        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport = cast(asyncio.Transport, transport)
            self._upstream.connections.add(self)

        def connection_lost(self, exc: Exception | None) -> None:
            self._upstream.connections.discard(self)

        def data_received(self, data: bytes) -> None:
            upstream = self._upstream
            self._requests.receive(data)
            while (event := self._requests.next()) is not None:
                if isinstance(event, RequestHead):
                    self._asks_whether_it_is_ready = event.target == b"/readyz"
                    if not self._asks_whether_it_is_ready:
                        upstream.heads.append(event)
                elif isinstance(event, bytes):
                    self._body += event
                elif self._asks_whether_it_is_ready:
                    self._answer(b"{}")
                else:
                    upstream.bodies.append(self._body)
                    self._body = b""
                    said = b'{"target":"%b"}' % upstream.heads[-1].target
                    asyncio.get_running_loop().call_later(upstream.delay_s, self._answer, said)

        def _answer(self, said: bytes) -> None:
            self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(said), said))


class Shop(Gateway):
    mint = TokenMint()

    async def fetch_keys(self) -> bytes:
        return self.mint.document()

    async def person_fields(self, user: User, authorization: str) -> dict[str, str]:
        return {"X-User-Day": f"of {user.id}"}

    @get("/v1/both")
    async def both(self, request: web.Request, user: User) -> dict[str, object]:
        sections = [Section("tasks", "task", "/v1/tasks")]
        return (await self.aggregate(request, sections, {})).sections() | {"user": str(user.id)}

    def add_routes(self, app: web.Application) -> None:
        super().add_routes(app)
        app.router.add_post("/heard", self.heard)
        app.router.add_get("/heard", self.heard)
        app.router.add_get("/echo", self.echo)
        app.router.add_get("/hangs", self.hangs)
        app.router.add_get("/gives-up", self.gives_up)

    async def heard(self, request: web.Request) -> web.Response:
        fields = [[name.lower(), value] for name, value in request.headers.items()]
        return web.json_response({"fields": fields, "body": await request.text()})

    async def echo(self, request: web.Request) -> web.Response:
        return web.Response(headers={"X-Echo": request.query["q"]})

    async def hangs(self, _: web.Request) -> web.Response:
        await asyncio.Event().wait()
        return web.Response()

    async def gives_up(self, _: web.Request) -> web.Response:
        waited: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waited.cancel()
        await waited
        return web.Response()


class Rig:
    """A gateway in front of two services."""

    def __init__(self, gateway: Shop, auth: Upstream, task: Upstream, running: AsyncExitStack) -> None:
        self.gateway, self.auth, self.task = gateway, auth, task
        self.ann, self.bob = uuid7(), uuid7()
        self.token = Shop.mint.token(self.ann).encode()
        self.bobs = Shop.mint.token(self.bob).encode()
        self._running = running

    async def connect(self) -> Wire:
        """A new connection."""
        port = int(self.gateway.url.rpartition(":")[2])
        wire = Wire(*await asyncio.open_connection("127.0.0.1", port))
        self._running.push_async_callback(wire.close)
        return wire

    async def ask(self, *requests: bytes) -> list[Reply]:
        """The answers to these requests, sent at once on a connection of their own."""
        return await (await self.connect()).ask(*requests)

    @property
    def bearer(self) -> bytes:
        """Ann's ``Authorization``, as a line."""
        return b"Authorization: Bearer %b" % self.token


def request(target: bytes, *lines: bytes, method: bytes = b"GET", body: bytes = b"") -> bytes:
    """A request as bytes."""
    framed = (b"Content-Length: %d" % len(body),) if body else ()
    head = b"\r\n".join([b"%b %b HTTP/1.1" % (method, target), b"Host: shop", *lines, *framed])
    return head + b"\r\n\r\n" + body


async def until(condition: Callable[[], bool]) -> None:
    """Return when ``condition`` holds; fail when it does not in time."""
    async with asyncio.timeout(8):
        while not condition():  # noqa: ASYNC110 (what is waited for has no event)
            await asyncio.sleep(0.005)
