"""Limits that a handler brings along, in a plain aiohttp application; and the limiter as a library."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from focushub_core import limit
from focushub_core.errors import ConfigurationError
from focushub_core.http import problems
from focushub_core.ratelimit import Leases, Limiter, LocalStore, Policy, RateLimits, RedisStore
from focushub_core.ratelimit.address import parse_networks
from focushub_core.ratelimit.limits import limits_of, one_meaning_each

Client = TestClient[Any, Any]


@limit("2/minute", by="user", name="create")
async def create(request: web.Request) -> web.Response:
    return web.Response()


@limit("3/minute", by=("user", "route"), name="each")
@limit("5/minute", by="address", name="house")
async def read(request: web.Request) -> web.Response:
    return web.Response()


@limit(Policy("part", 1, by="address", routes=("/any/part",)))
async def anything(request: web.Request) -> web.Response:
    return web.Response()


class Notes:
    @limit("9/hour")
    async def create(self, request: web.Request) -> web.Response:
        return web.Response()


@pytest_asyncio.fixture
async def client() -> AsyncIterator[Client]:
    app = web.Application(middlewares=[problems.middleware(show_internals=False)])
    app.router.add_post("/notes", create)
    app.router.add_get("/notes/{note_id}", read)
    app.router.add_get("/lists/{list_id}", read)
    app.router.add_get("/any/{path:.*}", anything)
    limits = RateLimits(
        Limiter(local=LocalStore(clock=lambda: 1)),
        [Policy("all", 50, by="address")],
        user=lambda request: request.headers.get("Authorization"),
        trusted=parse_networks("127.0.0.0/8"),
    )
    limits.install(app)
    async with TestClient(TestServer(app)) as client:
        yield client


async def statuses(
    client: Client, times: int, method: str, path: str, user: str = "", **fields: str
) -> list[int]:
    headers = {"Authorization": user} if user else {}
    found = []
    for _ in range(times):
        async with client.request(method, path, headers=headers | fields) as response:
            found.append(response.status)
    return found


async def test_a_handler_is_limited_by_its_user(client: Client) -> None:
    assert await statuses(client, 3, "POST", "/notes", "ann") == [200, 200, 429]
    assert await statuses(client, 1, "POST", "/notes", "bob") == [200]


async def test_somebody_unknown_counts_by_address(client: Client) -> None:
    assert await statuses(client, 3, "POST", "/notes") == [200, 200, 429]
    assert await statuses(client, 1, "POST", "/notes", **{"X-Forwarded-For": "192.0.2.1"}) == [200]


async def test_the_limits_of_a_handler_all_hold_and_a_route_is_its_template(client: Client) -> None:
    """Three of each user on each route, whatever the id; five of an address."""
    assert await statuses(client, 2, "GET", "/notes/1", "ann") == [200, 200]
    assert await statuses(client, 2, "GET", "/notes/2", "ann") == [200, 429]
    assert await statuses(client, 3, "GET", "/lists/1", "ann") == [200, 200, 429]


async def test_a_limit_of_a_handler_may_be_for_some_of_its_paths(client: Client) -> None:
    for path, expected in (("all", [200, 200]), ("part", [200, 429]), ("part/1", [429]), ("all", [200])):
        assert await statuses(client, len(expected), "GET", f"/any/{path}") == expected


async def test_all_limits_that_hold_are_told(client: Client) -> None:
    async with client.get("/notes/1") as response:
        told = response.headers["RateLimit-Policy"]

    assert told == '"all";q=50;w=60, "house";q=5;w=60, "each";q=3;w=60'


async def test_a_thousand_forged_addresses_are_one_bucket(client: Client) -> None:
    """The proxy appends what it saw; what the client wrote stands left of it."""
    seen = []
    for number in range(1000):
        forged = f"10.{number // 250}.{number % 250}.1, 198.51.100.7"
        seen += await statuses(client, 1, "GET", "/nowhere", **{"X-Forwarded-For": forged})

    assert seen == [404] * 50 + [429] * 950


def test_a_limit_is_named_by_its_function() -> None:
    assert [policy.name for policy in limits_of(Notes.create)] == ["notes-create"]
    assert limits_of(Notes().create) == limits_of(Notes.create)


def test_a_rate_that_is_none_is_refused_where_it_is_written() -> None:
    with pytest.raises(ConfigurationError, match="is not a rate such as '20/minute'"):
        limit("20 per minute")(create)


def test_one_name_means_one_limit() -> None:
    one_meaning_each([Policy("a", 1), Policy("a", 1), Policy("b", 2)])
    with pytest.raises(ConfigurationError, match="two limits are named 'a'"):
        one_meaning_each([Policy("a", 1), Policy("a", 2)])


@pytest.mark.parametrize("shared", [True, False])
async def test_as_a_library_it_is_one_call_with_redis_or_without(valkey_url: str, shared: bool) -> None:
    limiter = Limiter.of("2/minute", redis_url=valkey_url if shared else None)
    verdicts = [await limiter.acquire("ann") for _ in range(3)]
    other = await limiter.acquire("bob", cost=2)
    await limiter.close()

    assert [verdict.allowed for verdict in verdicts] == [True, True, False]
    assert other.allowed


async def test_two_limiters_on_one_redis_share_their_buckets(valkey_url: str) -> None:
    stores = [RedisStore(valkey_url, deadline_s=5) for _ in range(2)]  # sums are tested, not deadlines
    limiters = [Limiter(Leases(store), policies=[Policy("p", 100, 3600)]) for store in stores]
    admitted = 0
    for number in range(300):
        admitted += (await limiters[number % 2].acquire("ann")).allowed
    for limiter in limiters:
        await limiter.close()

    assert admitted == 100


async def test_nobody_asks_who_it_is_where_only_addresses_count() -> None:
    def unasked(request: web.Request) -> str | None:
        raise AssertionError("it does not matter who it is")

    @limit("2/minute", by="address")
    async def handler(request: web.Request) -> web.Response:
        return web.Response()

    app = web.Application(middlewares=[problems.middleware(show_internals=False)])
    app.router.add_get("/", handler)
    RateLimits(Limiter(local=LocalStore(clock=lambda: 1)), user=unasked).install(app)
    async with TestClient(TestServer(app)) as client:
        assert await statuses(client, 3, "GET", "/", "ann") == [200, 200, 429]
