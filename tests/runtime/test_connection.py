"""The short way answers as aiohttp's own does; seen on raw sockets, with both side by side."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web

from focushub_core.runtime import connection
from focushub_core.runtime.connection import runner

Ask = Callable[[bytes], Awaitable[bytes]]
_DIFFERS = re.compile(rb"\r\nDate: [^\r]*")


class Desk:
    """An application, and what its handlers saw."""

    def __init__(self) -> None:
        self.app = web.Application()
        self.cancelled = asyncio.Event()
        self.entered = asyncio.Event()
        for method, path, handler in (
            ("GET", "/one/{id}", self.one),
            ("POST", "/echo", self.echo),
            ("GET", "/none", self.none),
            ("GET", "/stream", self.stream),
            ("GET", "/broken", self.broken),
            ("GET", "/moved", self.moved),
            ("GET", "/cookie", self.cookie),
            ("GET", "/slow", self.slow),
            ("GET", "/large", self.large),
        ):
            self.app.router.add_route(method, path, handler)
        self.app.router.add_route("HEAD", "/one/{id}", self.one)
        self.app.on_response_prepare.append(self.sign)

    async def sign(self, request: web.Request, response: web.StreamResponse) -> None:
        response.headers["X-Of"] = request.path

    async def one(self, request: web.Request) -> web.Response:
        return web.Response(body=request.match_info["id"].encode(), content_type="text/plain")

    async def echo(self, request: web.Request) -> web.Response:
        return web.Response(body=await request.read())

    async def none(self, _: web.Request) -> web.Response:
        return web.Response(status=204)

    async def stream(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"piece by piece")
        return response

    async def broken(self, _: web.Request) -> web.Response:
        raise ZeroDivisionError

    async def moved(self, _: web.Request) -> web.Response:
        raise web.HTTPFound("/one/1")

    async def cookie(self, _: web.Request) -> web.Response:
        response = web.Response(body=b"crumbs")
        response.set_cookie("a", "b")
        return response

    async def slow(self, _: web.Request) -> web.Response:
        self.entered.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.cancelled.set()
        raise AssertionError

    async def large(self, _: web.Request) -> web.Response:
        return web.Response(body=b"x" * 300_000)


async def served(made: web.AppRunner) -> int:
    await made.setup()
    site = web.TCPSite(made, "127.0.0.1", 0)
    await site.start()
    return int(made.addresses[0][1])


@pytest_asyncio.fixture
async def short() -> AsyncIterator[tuple[Desk, int]]:
    desk = Desk()
    made = runner(desk.app, access_log=None, handler_cancellation=True)
    yield desk, await served(made)
    await made.cleanup()


@pytest_asyncio.fixture
async def long() -> AsyncIterator[int]:
    made = web.AppRunner(Desk().app, access_log=None, handler_cancellation=True)
    yield await served(made)
    await made.cleanup()


async def said(port: int, *pieces: bytes) -> bytes:
    """What is answered to ``pieces``, the last of which closes the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    async with asyncio.timeout(20):
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
        answer = await reader.read()
    writer.close()
    return _DIFFERS.sub(b"", answer)


def request(line: str, *fields: str, body: bytes = b"") -> bytes:
    return "\r\n".join([f"{line} HTTP/1.1", "Host: here", *fields, "", ""]).encode() + body


LAST = request("GET /one/last", "Connection: close")


def normal(answer: bytes) -> list[tuple[bytes, frozenset[bytes]]]:
    """Heads as sets, with what follows them: the order of fields says nothing."""
    parts = re.split(rb"(?=HTTP/1\.[01] \d{3})", answer)
    found = []
    for part in filter(None, parts):
        head, _, body = part.partition(b"\r\n\r\n")
        found.append((body, frozenset(head.split(b"\r\n"))))
    return found


@pytest.mark.parametrize(
    "pieces",
    [
        [request("GET /one/1")],
        [request("GET /one/1"), request("GET /one/2?x=y")],
        [request("GET /one/1") + request("GET /one/2") + request("GET /one/3")],
        [b"GET /one/1 HT", b"TP/1.1\r\nHost: he", b"re\r\n\r\n"],
        [request("POST /echo", "Content-Length: 5", body=b"hello")],
        [request("POST /echo", "Content-Length: 5", body=b"he"), b"llo"],
        [request("POST /echo", "Transfer-Encoding: chunked", body=b"2\r\nhe\r\n"), b"3\r\nllo\r\n0\r\n\r\n"],
        [request("POST /echo", "Expect: 100-continue", "Content-Length: 2"), b"hi"],
        [request("POST /echo", "Content-Length: 0")],
        [request("HEAD /one/1")],
        [request("GET /none")],
        [request("GET /stream")],
        [request("GET /cookie")],
        [request("GET /moved")],
        [request("GET /nowhere")],
        [request("PUT /echo")],
        [request("GET /large")],
        [request("GET /one/a%20b")],
        [
            request("GET /none")
            + request("POST /echo", "Content-Length: 3", body=b"one")
            + request("GET /one/2")
        ],
        [b"GET /one/1 HTTP/1.0\r\nHost: here\r\nConnection: keep-alive\r\n\r\n"],
    ],
)
async def test_both_ways_answer_the_same(pieces: list[bytes], short: tuple[Desk, int], long: int) -> None:
    """Whole messages and pieces of them, several at once, with bodies and without."""
    ours, theirs = await said(short[1], *pieces, LAST), await said(long, *pieces, LAST)
    assert normal(ours) == normal(theirs)
    assert ours.endswith(b"last")


@pytest.mark.parametrize(
    "raw",
    [
        b"nonsense\r\n\r\n",
        b"GET /one/1 HTTP/1.1\r\nHost: a\r\n: no name\r\n\r\n",
        b"GET /one/1 HTTP/1.0\r\nHost: here\r\n\r\n",
        request("GET /broken"),
    ],
)
async def test_what_closes_the_one_closes_the_other(raw: bytes, short: tuple[Desk, int], long: int) -> None:
    ours, theirs = await said(short[1], raw), await said(long, raw)
    assert normal(ours) == normal(theirs)
    assert ours.startswith(b"HTTP/1.")


async def test_most_go_the_short_way(short: tuple[Desk, int], monkeypatch: pytest.MonkeyPatch) -> None:
    """Lest all that is said here be said of aiohttp alone."""
    written: list[str] = []
    write = connection._Connection._write

    def noted(self: connection._Connection, asked: web.Request, response: web.Response) -> bool:
        written.append(asked.path)
        return write(self, asked, response)

    monkeypatch.setattr(connection._Connection, "_write", noted)
    await said(short[1], request("GET /one/1"), request("POST /echo", "Content-Length: 2", body=b"hi"), LAST)
    assert written[:2] == ["/one/1", "/echo"]


async def test_a_client_that_goes_away_takes_its_handler_along(short: tuple[Desk, int]) -> None:
    desk, port = short
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request("GET /slow"))
    async with asyncio.timeout(20):
        await desk.entered.wait()
        writer.close()
        await desk.cancelled.wait()


async def test_a_stop_waits_for_what_runs_and_closes_what_is_idle() -> None:
    """As long as it is told to."""
    desk, free = Desk(), asyncio.Event()

    async def waits(_: web.Request) -> web.Response:
        desk.entered.set()
        await free.wait()
        return web.Response(body=b"done")

    desk.app.router.add_get("/waits", waits)
    made = runner(desk.app, access_log=None, shutdown_timeout=5)
    port = await served(made)
    idle, idle_writer = await asyncio.open_connection("127.0.0.1", port)
    busy, busy_writer = await asyncio.open_connection("127.0.0.1", port)
    async with asyncio.timeout(20):
        idle_writer.write(request("GET /one/1"))
        assert b"200 OK" in await idle.readuntil(b"\r\n")
        busy_writer.write(request("GET /waits"))
        await desk.entered.wait()
        stopping = asyncio.create_task(made.cleanup())
        await asyncio.sleep(0)
        free.set()
        assert (await busy.read()).endswith(b"done")
        await idle.read()
        await stopping
    busy_writer.close()
    idle_writer.close()


async def test_a_slow_answer_is_not_taken_for_an_idle_connection() -> None:
    """The keep-alive timer fires while a request of the short way runs."""
    desk = Desk()

    async def takes_a_while(_: web.Request) -> web.Response:
        await asyncio.sleep(0.3)
        return web.Response(body=b"at last")

    desk.app.router.add_get("/while", takes_a_while)
    made = runner(desk.app, access_log=None, keepalive_timeout=0.05)
    port = await served(made)
    answer = await said(port, request("GET /while"))
    assert answer.endswith(b"at last")
    await made.cleanup()


def test_with_another_aiohttp_there_is_its_own_way_only(monkeypatch: pytest.MonkeyPatch) -> None:
    assert type(runner(web.Application())) is not web.AppRunner, f"say that {aiohttp.__version__} is known"
    monkeypatch.setattr(aiohttp, "__version__", "4.0.0")
    assert type(runner(web.Application())) is web.AppRunner
