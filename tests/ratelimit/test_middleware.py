"""Limits in front of handlers: who is charged for what, and what every answer says."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any

import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from focushub_core.http import problems
from focushub_core.ratelimit import Limiter, LocalStore, Policy, RateLimits
from focushub_core.ratelimit.address import parse_networks
from focushub_core.ratelimit.middleware import REMEMBERED

POLICIES = [
    Policy("user", 5),
    Policy("address", 3, by="address"),
    Policy("login", 2, by="address", routes=("/login",)),
]
Client = TestClient[Any, Any]


async def answer(request: web.Request) -> web.StreamResponse:
    if request.path == "/missing":
        raise web.HTTPNotFound
    if request.path == "/crash":
        raise RuntimeError("boom")
    if request.path == "/stream":
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"x")
        return response
    return web.Response()


def user_of(request: web.Request) -> str | None:
    return request.headers.get("Authorization")


@pytest_asyncio.fixture
async def client(aiohttp_free_client: Callable[[web.Application], Awaitable[Client]]) -> Client:
    app = web.Application(middlewares=[problems.middleware(show_internals=False)])
    app.router.add_route("*", "/{path:.*}", answer)
    limits = RateLimits(
        Limiter(local=LocalStore(clock=lambda: 1)),
        POLICIES,
        user=user_of,
        trusted=parse_networks("127.0.0.0/8"),
    )
    limits.install(app)
    return await aiohttp_free_client(app)


@pytest_asyncio.fixture
async def aiohttp_free_client() -> Any:
    clients: list[Client] = []

    async def make(app: web.Application) -> Client:
        clients.append(TestClient(TestServer(app, access_log=None)))
        await clients[-1].start_server()
        return clients[-1]

    yield make
    for client in clients:
        await client.close()


async def ask(client: Client, path: str = "/", **headers: str) -> tuple[int, str | None]:
    async with client.get(path, headers={k.replace("_", "-"): v for k, v in headers.items()}) as response:
        await response.read()
        return response.status, response.headers.get("RateLimit")


async def test_a_known_user_is_limited_as_that_user_and_nobody_else(client: Client) -> None:
    statuses = [(await ask(client, Authorization="ann"))[0] for _ in range(7)]

    assert statuses == [200] * 5 + [429] * 2
    assert (await ask(client, Authorization="bob"))[0] == 200


async def test_who_is_nobody_is_limited_by_address(client: Client) -> None:
    assert [(await ask(client))[0] for _ in range(4)] == [200] * 3 + [429]
    assert await ask(client, X_Forwarded_For="198.51.100.7") == (200, '"address";r=2;t=20')
    assert await ask(client, X_Forwarded_For="1.1.1.1, 198.51.100.7") == (200, '"address";r=1;t=20')


async def test_policies_stack_and_a_refusal_charges_none(client: Client) -> None:
    assert await ask(client, "/login") == (200, '"address";r=2;t=20, "login";r=1;t=30')
    assert await ask(client, "/login") == (200, '"address";r=1;t=20, "login";r=0;t=30')
    assert await ask(client, "/login") == (429, '"address";r=1;t=20, "login";r=0;t=30')
    assert await ask(client) == (200, '"address";r=0;t=20')


async def test_every_answer_says_what_is_left_errors_and_streams_too(client: Client) -> None:
    for path, status in [("/", 200), ("/missing", 404), ("/crash", 500), ("/stream", 200)]:
        async with client.get(path, headers={"Authorization": path}) as response:
            assert response.status == status
            assert response.headers.getall("RateLimit") == ['"user";r=4;t=12']
            assert response.headers.getall("RateLimit-Policy") == ['"user";q=5;w=60']


async def test_a_refusal_is_a_problem_that_names_the_policy(client: Client) -> None:
    for _ in range(5):
        await ask(client, Authorization="ann")
    async with client.get("/", headers={"Authorization": "ann"}) as response:
        problem = await response.json(content_type="application/problem+json")

    assert response.status == 429
    assert problem["code"] == "rate_limited"
    assert problem["violated-policies"] == ["user"]
    assert problem["type"].endswith("#quota-exceeded")
    t = re.fullmatch(r'"user";r=0;t=(\d+)', response.headers["RateLimit"])
    assert t is not None
    assert int(response.headers["Retry-After"]) >= int(t[1]) == 12


async def test_probes_are_never_limited(client: Client) -> None:
    for path in ("/health", "/livez", "/readyz", "/metrics"):
        for _ in range(5):
            assert await ask(client, path) == (200, None)


async def test_what_is_remembered_of_a_route_is_the_bill_of_nobody_else(
    aiohttp_free_client: Callable[[web.Application], Awaitable[Client]],
) -> None:
    """Two people, two methods, one after the other and again: everybody has their own permits."""
    app = web.Application()
    app.router.add_route("*", "/", answer)
    writing = Policy("write", 3, methods=("POST",))
    limits = RateLimits(Limiter(local=LocalStore(clock=lambda: 1)), [POLICIES[0], writing], user=user_of)
    limits.install(app)
    client = await aiohttp_free_client(app)
    told = []
    for method in ("GET", "POST", "GET"):
        for who in ("ann", "bob"):
            async with client.request(method, "/", headers={"Authorization": who}) as response:
                told.append(response.headers["RateLimit"])

    assert told == [
        '"user";r=4;t=12', '"user";r=4;t=12',
        '"user";r=3;t=12, "write";r=2;t=20', '"user";r=3;t=12, "write";r=2;t=20',
        '"user";r=2;t=12', '"user";r=2;t=12',
    ]  # fmt: skip


async def test_what_is_remembered_of_a_route_is_bounded(
    aiohttp_free_client: Callable[[web.Application], Awaitable[Client]],
) -> None:
    app = web.Application()
    app.router.add_get("/", answer)
    limits = RateLimits(Limiter(), POLICIES[:1], user=user_of)
    limits.install(app)
    client = await aiohttp_free_client(app)
    for number in range(REMEMBERED + 10):
        await ask(client, Authorization=str(number))
    (place,) = limits._places.values()

    assert 0 < len(place.bills) <= REMEMBERED


async def test_somebody_who_has_to_be_waited_for_is_limited_as_well(
    aiohttp_free_client: Callable[[web.Application], Awaitable[Client]],
) -> None:
    """Who it is may be known at once or later; as text and as field lines the same is told."""

    async def later(request: web.Request) -> str | None:
        return user_of(request)

    async def lines(request: web.Request) -> web.Response:
        return web.Response(body=limits.lines(request))

    app = web.Application(middlewares=[problems.middleware(show_internals=False)])
    app.router.add_get("/", lines)
    app.router.add_get("/health", lines)
    limits = RateLimits(Limiter(local=LocalStore(clock=lambda: 1)), POLICIES, user=later)
    limits.install(app)
    client = await aiohttp_free_client(app)
    for left in range(4, -1, -1):
        async with client.get("/", headers={"Authorization": "ann"}) as response:
            assert response.headers["RateLimit"] == f'"user";r={left};t=12'
            assert (
                await response.text()
                == f'RateLimit-Policy: "user";q=5;w=60\r\nRateLimit: "user";r={left};t=12\r\n'
            )
    assert (await ask(client, Authorization="ann"))[0] == 429
    async with client.get("/health") as response:
        assert await response.read() == b""
