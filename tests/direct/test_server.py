"""A service's own server answers as aiohttp alone does; seen on raw sockets, with both side by side."""

from __future__ import annotations

import asyncio
import gzip
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from aiohttp import ClientSession as Session
from aiohttp import WSMsgType, web

from focushub_core import Answer, Body, Conflict, WebPart, get, post
from focushub_core.direct.lane import Lane, Way
from focushub_core.direct.server import Server
from focushub_core.settings import Secret, Settings

Ask = Callable[..., Awaitable[bytes]]
_DIFFERS = re.compile(rb"\r\n(Date|Server): [^\r]*")


class Said(Body, frozen=True):
    word: str


class Word(msgspec.Struct):
    word: str
    more: str | None = None


class Desk(WebPart):
    """Answers in all the ways that there are, and says what its handlers saw."""

    name = "desk"

    def __init__(self, settings: Settings | None = None) -> None:
        super().__init__(settings)
        self.cancelled, self.entered, self.free = asyncio.Event(), asyncio.Event(), asyncio.Event()

    @get("/one/{word}")
    async def one(self, word: str, more: str | None = None) -> Word:
        return Word(word, more)

    @get("/of/{word}/kind")
    async def kind(self, word: str) -> Word:
        return Word(word)

    @get("/slow/{word}")
    async def slow(self, word: str) -> Word:
        self.entered.set()
        try:
            await self.free.wait()
        finally:
            self.cancelled.set()
        return Word(word)

    @post("/echo", status=201)
    async def echo(self, body: Said) -> Answer[Word]:
        return Answer(Word(body.word), headers={"Location": f"/one/{body.word}"})

    @post("/none")
    async def none(self) -> None: ...

    @get("/typed")
    async def typed(self) -> Answer[Word]:
        return Answer(Word("it"), headers={"content-type": "application/vnd.word+json", "X-More": "yes"})

    @get("/taken")
    async def taken(self) -> Word:
        raise Conflict("It is taken.", code="taken")

    @get("/broken")
    async def broken(self) -> Word:
        raise ZeroDivisionError

    @get("/seen")
    async def seen(self, request: web.Request) -> dict[str, Any]:
        return {"path": request.path, "word": request.query.get("word"), "remote": request.remote}

    @get("/undeclared/{word}")
    async def undeclared(self, word: str):  # type: ignore[no-untyped-def]
        return web.Response(text=word)

    def add_routes(self, app: web.Application) -> None:
        super().add_routes(app)
        app.router.add_get("/plain/{word}", self.plain)
        app.router.add_get("/stream", self.stream)
        app.router.add_post("/upload", self.upload)
        app.router.add_get("/cookie", self.cookie)
        app.router.add_get("/moved", self.moved)
        app.router.add_get("/talk", self.talk)

    async def plain(self, request: web.Request) -> web.Response:
        return web.Response(text=request.match_info["word"])

    async def stream(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for piece in (b"piece ", b"by ", b"piece"):
            await response.write(piece)
        return response

    async def upload(self, request: web.Request) -> web.Response:
        size = 0
        async for piece in request.content.iter_chunked(2**16):
            size += len(piece)
        return web.Response(text=str(size))

    async def cookie(self, _: web.Request) -> web.Response:
        response = web.Response(body=b"crumbs")
        response.set_cookie("a", "b")
        return response

    async def moved(self, _: web.Request) -> web.Response:
        raise web.HTTPFound("/one/1")

    async def talk(self, request: web.Request) -> web.WebSocketResponse:
        talking = web.WebSocketResponse()
        await talking.prepare(request)
        async for message in talking:
            if message.type is WSMsgType.TEXT:
                await talking.send_str(message.data.upper())
        return talking


@pytest_asyncio.fixture
async def ours() -> AsyncIterator[Server]:
    server = Server(Desk(Settings(port=0, focushub_env="production")))
    await server.listen()
    yield server
    await server.stop(1)


@pytest_asyncio.fixture
async def theirs() -> AsyncIterator[tuple[str, int]]:
    made = web.AppRunner(Desk(Settings(focushub_env="production")).application(), access_log=None)
    await made.setup()
    await web.TCPSite(made, "127.0.0.1", 0).start()
    yield made.addresses[0][:2]
    await made.cleanup()


def desk(server: Server) -> Desk:
    part: Any = server._part
    assert isinstance(part, Desk)
    return part


async def said(address: tuple[str, int], *pieces: bytes) -> bytes:
    """What is answered to ``pieces``, the last of which closes the connection."""
    reader, writer = await asyncio.open_connection(*address)
    async with asyncio.timeout(10):
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
        answer = await reader.read()
    writer.close()
    return _DIFFERS.sub(b"", answer)


def request(line: str, *fields: str, body: bytes = b"") -> bytes:
    fixed = ("Host: here", "X-Request-Id: 0123456789abcdef")
    return "\r\n".join([f"{line} HTTP/1.1", *fixed, *fields, "", ""]).encode() + body


def sends(line: str, body: bytes, *fields: str) -> bytes:
    return request(line, "Content-Type: application/json", f"Content-Length: {len(body)}", *fields, body=body)


LAST = request("GET /one/last", "Connection: close")
JSON = "Content-Type: application/json"
CHUNKED = (JSON, "Transfer-Encoding: chunked")
PACKED = gzip.compress(b'{"word":"hello"}')


def normal(answer: bytes) -> list[tuple[bytes, frozenset[bytes]]]:
    """Heads as sets, with what follows them: the order of fields says nothing, nor does what a status is called."""
    found = []
    for part in filter(None, re.split(rb"(?=HTTP/1\.[01] \d{3})", answer)):
        head, _, body = part.partition(b"\r\n\r\n")
        first, _, fields = head.partition(b"\r\n")
        plain = b"%b\r\n%b" % (first[:12], fields)
        plain = plain.replace(b"; charset=utf-8", b"").replace(b"\r\nConnection: keep-alive", b"")
        found.append((body, frozenset(plain.split(b"\r\n"))))
    return found


SAME = [
    [request("GET /one/1")],
    [request("GET /one/1"), request("GET /one/2?more=y")],
    [request("GET /one/1") + request("GET /one/2") + request("GET /one/3")],
    [b"GET /one/1 HT", b"TP/1.1\r\nHost: he", b"re\r\nX-Request-Id: 0123456789abcdef\r\n\r\n"],
    [request("GET /of/1/kind"), request("GET /one/2")],
    [request("GET /one/a%20b")],
    [request("GET /one/a%2Fb")],
    [request("GET /one/%ff")],
    [request("GET /one/1?wrong=1")],
    [request("GET /one/1?more=1&more=2")],
    [sends("POST /echo", b'{"word":"hello"}')],
    [sends("POST /echo", b'{"word":"hello"}')[:-4], b'lo"}'],
    [sends("POST /echo", b'{"word":7}')],
    [sends("POST /echo", b"{")],
    [request("POST /echo", "Content-Length: 2", body=b"{}")],
    [request("POST /echo", *CHUNKED, body=b'10\r\n{"word":"hello"}\r\n'), b"0\r\n\r\n"],
    [sends("POST /echo", b'{"word":"hi"}', "Expect: 100-continue")],
    [sends("POST /echo", PACKED, "Content-Encoding: gzip")],
    [request("POST /echo", "Content-Length: 0")],
    [request("POST /none")],
    [request("HEAD /one/1")],
    [request("GET /typed")],
    [request("GET /taken")],
    [request("GET /broken")],
    [request("GET /seen?word=w")],
    [request("GET /undeclared/it")],
    [request("GET /plain/it")],
    [request("GET /stream")],
    [request("GET /cookie")],
    [request("GET /moved")],
    [request("GET /nowhere")],
    [request("PUT /echo")],
    [request("GET /livez")],
    [request("OPTIONS /one/1")],
    [request("GET /one/1") + request("GET /plain/2") + sends("POST /echo", b'{"word":"3"}')],
    [request("POST /upload", "Content-Length: 5", body=b"12"), b"345" + request("GET /one/2")],
    [request("POST /upload", "Content-Length: 4", "Expect: 100-continue"), b"1234"],
]


@pytest.mark.parametrize("pieces", SAME, ids=lambda pieces: pieces[0][:40].decode().partition(" HTTP")[0])
async def test_both_ways_answer_the_same(pieces: list[bytes], ours: Server, theirs: tuple[str, int]) -> None:
    """Whole messages and pieces of them, several at once, with bodies and without; and a connection goes on."""
    mine = await said(ours.address, *pieces, LAST)
    assert normal(mine) == normal(await said(theirs, *pieces, LAST))
    assert b'"word":"last"' in mine


async def test_own_routes_are_served_directly(ours: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lest all that is said here be said of aiohttp alone: those with a type of result, in whichever form of path."""
    direct: list[str] = []
    answer = Way.answer

    async def noted(self: Way, asked: Any) -> Any:
        direct.append(self.label)
        return await answer(self, asked)

    monkeypatch.setattr(Way, "answer", noted)
    for way in ours._lane._ways.values():  # type: ignore[union-attr]
        monkeypatch.setattr(way.route, "handler", way.answer)
    lines = ("GET /one/1", "GET /of/1/kind", "POST /none", "GET /livez", "GET /nowhere", "GET /plain/1")
    for line in lines:
        await said(ours.address, request(line, "Connection: close"))
    assert direct == ["/one/{word}", "/of/{word}/kind", "/none", "/livez", "unmatched"]


@pytest.mark.parametrize("observed", [True, False])
async def test_a_part_that_is_not_observed_says_nothing(
    observed: bool, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Desk, "observed", observed)
    caplog.set_level("INFO")
    part = Desk(Settings(port=0))
    server = Server(part)
    await server.listen()
    await said(server.address, LAST)
    await server.stop(1)
    lines = [record for record in caplog.records if record.name == "focushub.access"]
    assert bool(lines) is observed
    assert (b"/one/{word}" in part.metrics.render()) is observed


async def test_an_operator_is_told_how_it_was_served() -> None:
    """With the stack's secret; nobody else is, and the trace that a request belongs to stands in its line."""
    secret = "s" * 32
    server = Server(Desk(Settings(port=0, explain_secret=Secret(secret))))
    await server.listen()
    told = await said(server.address, request("GET /one/1", f"X-Explain: {secret}", "Connection: close"))
    untold = await said(server.address, request("GET /one/1", "X-Explain: wrong", "Connection: close"))
    await server.stop(1)
    assert re.search(rb"\r\nServer-Timing: desk;dur=[0-9.]+\r\n", told)
    assert b"Server-Timing" not in untold


async def test_a_content_type_of_ones_own_is_the_only_one(ours: Server) -> None:
    answer = await said(ours.address, request("GET /typed", "Connection: close"))
    assert re.findall(rb"(?i)\r\ncontent-type: ([^\r]*)", answer) == [b"application/vnd.word+json"]


async def test_what_is_no_request_is_a_problem(ours: Server) -> None:
    answer = await said(ours.address, b"nonsense\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\nContent-Type: application/problem+json\r\n")


async def test_others_middlewares_and_signals_see_aiohttps_requests() -> None:
    """An application with something of others around its handlers is served by aiohttp alone."""
    seen: list[type] = []

    @web.middleware
    async def looks(asked: web.Request, handler: Any) -> web.StreamResponse:
        seen.append(type(asked))
        response: web.StreamResponse = await handler(asked)
        return response

    async def signs(_: web.Request, response: web.StreamResponse) -> None:
        response.headers["X-Signed"] = "yes"

    class Watched(Desk):
        def middlewares(self) -> Any:
            return (looks,)

    class Signed(Desk):
        def add_routes(self, app: web.Application) -> None:
            super().add_routes(app)
            app.on_response_prepare.append(signs)

    for part in (Watched, Signed):
        server = Server(part(Settings(port=0)))
        await server.listen()
        answer = await said(server.address, LAST)
        await server.stop(1)
    assert seen == [web.Request]
    assert b"X-Signed: yes" in answer


async def test_a_path_that_somebody_waits_for_is_found() -> None:
    """A kind of resource of somebody's own may look elsewhere before it knows; routes beside it are ours."""

    class Waits(web.PlainResource):
        async def resolve(self, request: web.Request) -> Any:
            await asyncio.sleep(0)
            return await super().resolve(request) if "X-Wanted" in request.headers else (None, set())

    class Waiting(Desk):
        def add_routes(self, app: web.Application) -> None:
            found = Waits("/waits")
            app.router.register_resource(found)
            found.add_route("GET", self.plain_word)
            super().add_routes(app)

        async def plain_word(self, _: web.Request) -> web.Response:
            return web.Response(text="waited")

    server = Server(Waiting(Settings(port=0)))
    await server.listen()
    statuses = {}
    for path, *fields in (("/waits", "X-Wanted: yes"), ("/waits",), ("/one/1",), ("/nowhere",)):
        answer = await said(server.address, request(f"GET {path}", *fields), LAST)
        statuses[path, *fields] = re.findall(rb"HTTP/1.1 (\d+)", answer)
    await server.stop(1)
    assert statuses == {
        ("/waits", "X-Wanted: yes"): [b"200", b"200"],
        ("/waits",): [b"404", b"200"],
        ("/one/1",): [b"200", b"200"],
        ("/nowhere",): [b"404", b"200"],
    }


async def test_a_websocket_talks(ours: Server) -> None:
    host, port = ours.address
    async with Session() as session, session.ws_connect(f"http://{host}:{port}/talk") as talking:
        await talking.send_str("hello")
        assert (await talking.receive(5)).data == "HELLO"


async def test_an_upload_is_read_as_it_comes(ours: Server) -> None:
    """Larger than what a route may take whole."""
    size = 8 * 2**20
    head = request("POST /upload", f"Content-Length: {size}", "Connection: close")
    assert (await said(ours.address, head, *([b"x" * 2**20] * 8))).endswith(str(size).encode())


async def test_a_body_over_the_limit_is_refused(ours: Server) -> None:
    head = request("POST /echo", JSON, f"Content-Length: {2**21}")
    answer = await said(ours.address, head)
    assert answer.startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize("path", ["/slow/1", "/slow/%31"])
async def test_a_client_that_goes_away_takes_its_handler_along(ours: Server, path: str) -> None:
    _, writer = await asyncio.open_connection(*ours.address)
    writer.write(request(f"GET {path}"))
    async with asyncio.timeout(5):
        await desk(ours).entered.wait()
        writer.close()
        await desk(ours).cancelled.wait()


async def test_a_stop_waits_for_what_runs_and_closes_what_is_idle(ours: Server) -> None:
    """As long as it is told to; on connections that aiohttp has, too."""
    idle, idle_writer = await asyncio.open_connection(*ours.address)
    busy, busy_writer = await asyncio.open_connection(*ours.address)
    elsewhere, elsewhere_writer = await asyncio.open_connection(*ours.address)
    async with asyncio.timeout(5):
        idle_writer.write(request("GET /one/1"))
        assert b"200 OK" in await idle.readuntil(b"\r\n")
        elsewhere_writer.write(request("GET /plain/1"))
        assert b"200 OK" in await elsewhere.readuntil(b"\r\n")
        busy_writer.write(request("GET /slow/1"))
        await desk(ours).entered.wait()
        ours.draining = True
        stopping = asyncio.create_task(ours.stop(5))
        await asyncio.sleep(0)
        desk(ours).free.set()
        answer = await busy.read()
        assert answer.endswith(b'{"word":"1","more":null}')
        assert b"Connection: close" in answer
        await asyncio.gather(idle.read(), elsewhere.read(), stopping)
    for writer in (idle_writer, busy_writer, elsewhere_writer):
        writer.close()


async def test_what_is_in_flight_is_counted_once(ours: Server) -> None:
    """Also where aiohttp has the connection."""
    for line in ("GET /one/1", "GET /plain/1", "GET /nowhere"):
        await said(ours.address, request(line, "Connection: close"))
    counted = desk(ours).metrics.render().decode()
    assert "http_requests_in_flight 0" in counted
    for route in ("/one/{word}", "/plain/{word}", "unmatched"):
        assert (
            len(re.findall(rf'http_requests_total\{{[^}}]*"{re.escape(route)}"[^}}]*\}} 1\.?0?\n', counted))
            == 1
        )


def test_a_lane_knows_its_handlers_only(ours: Server) -> None:
    assert isinstance(ours._lane, Lane)
    labels = {way.label for way in ours._lane._ways.values()}
    assert "/plain/{word}" not in labels
    assert "/undeclared/{word}" not in labels
    assert "/seen" not in labels
