"""`@limit` on the typed handlers of a service."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import ClientSession
from aiohttp.test_utils import TestServer
from uuid_utils.compat import uuid7

from focushub_core import ConfigurationError, Service, User, get, limit
from focushub_core.direct.server import Server
from focushub_core.settings import load
from focushub_core.testing import TokenMint

MINT = TokenMint()
Ask = Callable[..., Awaitable[Any]]


class Notes(Service):
    name = "note-service"

    async def fetch_keys(self) -> bytes:
        return MINT.document()

    @get("/v1/notes")
    @limit("2/minute", by="user")
    async def read(self, user: User) -> dict[str, str]:
        return {"of": str(user.id)}

    @get("/v1/open")
    @limit("1/minute", by="address", on_outage="admit")
    async def open_to_all(self) -> dict[str, str]:
        return {}

    @get("/v1/free")
    async def free(self) -> dict[str, str]:
        return {}


@pytest_asyncio.fixture(params=["directly", "by aiohttp"])
async def start(request: pytest.FixtureRequest) -> AsyncIterator[Callable[..., Awaitable[Ask]]]:
    """Serves the service in both ways that there are."""
    async with AsyncExitStack() as running:

        async def listening(service: Service) -> str:
            if request.param == "by aiohttp":
                return str(
                    (await running.enter_async_context(TestServer(service.application()))).make_url("/")
                )
            server = Server(service)
            running.push_async_callback(server.stop, 0)
            await server.listen()
            return "http://{}:{}/".format(*server.address)

        async def start(**environ: str) -> Ask:
            service = Notes(load(Notes.settings_type, owner="note", environ={"PORT": "0"} | environ))
            client = await running.enter_async_context(ClientSession(await listening(service)))

            async def ask(path: str, token: str | None = None) -> Any:
                headers = {"Authorization": f"Bearer {token}"} if token else {}
                async with client.get(path, headers=headers) as response:
                    is_json = response.content_type.endswith("json")
                    return response, (await response.json() if is_json else await response.text())

            return ask

        yield start


@pytest.mark.parametrize("shared", [True, False])
async def test_a_handler_is_limited_by_user_with_redis_or_without(
    start: Any, valkey_url: str, shared: bool
) -> None:
    ask = await start(**({"REDIS_URL": valkey_url} if shared else {}))
    ann, bob = MINT.token(uuid7()), MINT.token(uuid7())
    answers = [(await ask("/v1/notes", ann))[0].status for _ in range(3)]
    response, problem = await ask("/v1/notes", ann)

    assert answers == [200, 200, 429]
    assert (problem["code"], problem["policy"]) == ("rate_limited", "notes-read")
    assert response.headers["RateLimit-Policy"] == '"notes-read";q=2;w=60'
    assert int(response.headers["Retry-After"]) <= 30
    assert (await ask("/v1/notes", bob))[0].headers["RateLimit"].startswith('"notes-read";r=1;t=')


async def test_who_has_no_good_token_is_refused_and_counted_by_address(start: Any) -> None:
    ask = await start()
    assert [(await ask("/v1/notes", "nonsense"))[0].status for _ in range(3)] == [401, 401, 429]


async def test_a_handler_without_a_limit_has_none(start: Any) -> None:
    ask = await start()
    for _ in range(3):
        response, _ = await ask("/v1/free")
        assert (response.status, "RateLimit" in response.headers) == (200, False)


async def test_what_was_decided_is_shown_in_metrics_and_readiness(start: Any, valkey_url: str) -> None:
    ask = await start(REDIS_URL=valkey_url)
    for _ in range(3):
        await ask("/v1/open")
    metrics = (await ask("/metrics"))[1]
    shown = (await ask("/readyz?verbose"))[1]

    assert 'ratelimit_decisions_total{outcome="admitted",policy="notes-open-to-all"} 1.0' in metrics
    assert 'ratelimit_decisions_total{outcome="refused",policy="notes-open-to-all"} 2.0' in metrics
    assert "ratelimit_degraded 0.0" in metrics
    assert shown["checks"]["redis"]["status"] == "connected"
    assert shown["limits"]["kept"] == "shared"
    assert shown["limits"]["policies"]["notes-open-to-all"] | {"leased": 0} == {
        "admitted": 1,
        "refused": 2,
        "leased": 0,
        "degraded": 0,
    }


async def test_without_its_redis_a_service_keeps_its_limits_alone_and_says_so(start: Any) -> None:
    ask = await start(REDIS_URL="redis://127.0.0.1:1")
    token = MINT.token(uuid7())
    assert [(await ask("/v1/notes", token))[0].status for _ in range(3)] == [200, 200, 429]
    assert [(await ask("/v1/open"))[0].status for _ in range(3)] == [200, 200, 200]  # on_outage="admit"
    response, shown = await ask("/readyz?verbose")

    assert (response.status, shown["checks"]["redis"]["status"]) == (200, "disconnected")
    assert (shown["limits"]["kept"], shown["limits"]["policies"]["notes-read"]["degraded"]) == (
        "by shares",
        3,
    )
    assert "ratelimit_degraded 1.0" in (await ask("/metrics"))[1]


def test_two_handlers_whose_limits_have_one_name_but_differ_are_refused() -> None:
    class Clash(Service):
        name = "clash-service"

        @get("/a")
        @limit("1/minute", by="address", name="same")
        async def a(self) -> None: ...

        @get("/b")
        @limit("2/minute", by="address", name="same")
        async def b(self) -> None: ...

    with pytest.raises(ConfigurationError, match="two limits are named 'same'"):
        Clash(load(Clash.settings_type, environ={}))


def test_a_limit_by_user_needs_the_keys_that_tokens_are_verified_with() -> None:
    class Limited(Service):
        name = "limited-service"

        @get("/a")
        @limit("1/minute", by="user")
        async def a(self) -> None: ...

    with pytest.raises(ConfigurationError, match="AUTH_JWKS_URL"):
        Limited()
