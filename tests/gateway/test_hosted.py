"""The gateway's own routes: ordinary handlers, which get what the engine has read."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from io import BytesIO
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp import ClientSession, web
from yarl import URL

from focushub_core import Body, get, post
from focushub_core.gateway import Gateway, GatewaySettings
from focushub_core.proxy.engine.own import LARGEST
from focushub_core.stack import parse

STACK = '[stack]\nname = "shop"\n[gateway]\nreplicas = 1\n'


class Note(Body, frozen=True):
    text: str


class Shop(Gateway):
    @post("/v1/notes", status=201)
    async def write(self, body: Note) -> Note:
        return body

    @get("/v1/notes/{number}")
    async def read(self, number: int, request: web.Request) -> dict[str, object]:
        return {
            "number": number,
            "remote": request.remote,
            "query": request.query.get("q"),
            "path": request.path,
        }

    def add_routes(self, app: web.Application) -> None:
        super().add_routes(app)
        app.router.add_get("/page", self.page)
        app.router.add_get("/größe", self.page)
        app.router.add_get("/away", self.away)
        app.router.add_get("/broken", self.broken)
        app.router.add_get("/stream", self.stream)
        app.router.add_post("/form", self.form)

    async def page(self, _: web.Request) -> web.Response:
        answer = web.Response(text="page", content_type="text/html")
        answer.set_cookie("a", "1")
        answer.set_cookie("b", "2")
        return answer

    async def away(self, _: web.Request) -> web.Response:
        raise web.HTTPSeeOther("/page")

    async def broken(self, _: web.Request) -> web.Response:
        raise RuntimeError("a detail")

    async def stream(self, request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        return answer

    async def form(self, request: web.Request) -> web.Response:
        return web.json_response({**await request.post()})


Start = Callable[..., Awaitable[ClientSession]]


@pytest_asyncio.fixture
async def start() -> AsyncIterator[Start]:
    async with AsyncExitStack() as running:

        async def start(environment: str = "development") -> ClientSession:
            settings = GatewaySettings(auth_jwks_url="unused", port=0, focushub_env=environment)
            gateway = Shop(settings, stack=parse(STACK, Path("/nowhere")))
            await gateway.listen()
            running.push_async_callback(gateway.stop, 1.0)
            return await running.enter_async_context(ClientSession(gateway.url))

        yield start


async def test_a_typed_handler_gets_its_body_and_answers(start: Start) -> None:
    client = await start()
    async with client.post("/v1/notes", json={"text": "milk"}) as answer:
        assert (answer.status, await answer.json()) == (201, {"text": "milk"})
        assert answer.headers["X-Request-Id"]
        assert "Server" not in answer.headers
    async with client.post("/v1/notes", json={"test": 1}) as answer:
        problem = await answer.json()
        assert (answer.status, problem["request_id"]) == (422, answer.headers["X-Request-Id"])
        assert {error["field"] for error in problem["errors"]} == {"text", "test"}


async def test_a_handler_sees_an_ordinary_request(start: Start) -> None:
    client = await start()
    async with client.get("/v1/notes/7?q=a%20b") as answer:
        seen = await answer.json()
    assert seen == {"number": 7, "remote": "127.0.0.1", "query": "a b", "path": "/v1/notes/7"}


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("/v1/%6eotes/7", 200), ("/v1/notes/%37", 200), ("/v1/notes/%7B", 404), ("/v1/notes/%C3%A4", 422),
        ("/v1/notes/%ff", 400), ("/gr%C3%B6%C3%9Fe", 200), ("/gr%C3%B6%C3%9F%65", 200), ("/%70age", 200),
    ],
)  # fmt: skip
async def test_a_route_is_found_by_every_spelling_of_its_path(start: Start, target: str, status: int) -> None:
    client = await start()
    async with client.get(URL(str(client._base_url).rstrip("/") + target, encoded=True)) as answer:
        assert answer.status == status


async def test_forms_are_read_and_every_cookie_is_set(start: Start) -> None:
    client = await start()
    async with client.post("/form", data={"a": "ä"}) as answer:
        assert await answer.json() == {"a": "ä"}
    async with client.get("/page") as answer:
        assert (await answer.text(), answer.content_type) == ("page", "text/html")
        assert len(answer.headers.getall("Set-Cookie")) == 2


async def test_head_has_the_head_of_get_and_no_body(start: Start) -> None:
    client = await start()
    async with client.get("/page") as whole, client.head("/page") as head:
        assert (head.status, head.headers["Content-Length"]) == (200, whole.headers["Content-Length"])
        assert await head.read() == b""


async def test_a_redirection_is_passed_on(start: Start) -> None:
    client = await start()
    async with client.get("/away", allow_redirects=False) as answer:
        assert (answer.status, answer.headers["Location"]) == (303, "/page")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("DELETE", "/v1/notes/7", 405),
        ("POST", "/page", 405),
        ("GET", "/nowhere", 404),
        ("GET", "/stream", 500),
    ],
)
async def test_what_does_not_fit_is_a_problem(start: Start, method: str, path: str, status: int) -> None:
    client = await start()
    async with client.request(method, path) as answer:
        assert (answer.status, answer.content_type) == (status, "application/problem+json")
        assert (await answer.json())["status"] == status


@pytest.mark.parametrize(("environment", "shown"), [("development", True), ("production", False)])
async def test_an_unexpected_error_shows_its_text_in_development_only(
    start: Start, environment: str, shown: bool
) -> None:
    client = await start(environment)
    async with client.get("/broken") as answer:
        assert answer.status == 500
        assert ("a detail" in await answer.text()) is shown


async def test_a_body_that_is_too_large_is_refused_before_it_is_read(start: Start) -> None:
    client = await start()
    for body in (BytesIO(bytes(LARGEST + 1)), pieces(LARGEST + 1)):
        async with client.post("/v1/notes", data=body) as answer:
            assert answer.status == 413


async def pieces(size: int) -> AsyncIterator[bytes]:
    for _ in range(0, size, 65536):
        yield b"x" * 65536


async def test_a_client_may_ask_first_whether_its_body_is_welcome(start: Start) -> None:
    client = await start()
    async with client.post("/v1/notes", json={"text": "milk"}, expect100=True) as answer:
        assert answer.status == 201
