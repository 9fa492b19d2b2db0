"""A request is explained to who knows the operator's secret, over all hops, and to nobody else."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer
from uuid_utils.compat import uuid7

from focushub_core import Secret, Service, ServiceSettings, User, get
from focushub_core.gateway import Gateway, GatewaySettings, Section
from focushub_core.proxy.loadbalancer import LoadBalancer, LoadBalancerSettings
from focushub_core.stack import parse
from focushub_core.telemetry.explain import FIELD, HEADER
from focushub_core.testing import TokenMint

SECRET = Secret("open-sesame-open-sesame")
STACK = """
[stack]
name = "shop"
[gateway]
replicas = 1
[services.task]
port = 3002
prefixes = ["/v1/tasks"]
[limits.user]
quota = 5
by = "user"
"""


class Tasks(Service):
    name = "task-service"

    @get("/v1/tasks")
    async def all(self, request: web.Request) -> dict[str, bool]:
        return {"heard": HEADER in request.headers}


class Shop(Gateway):
    mint = TokenMint()

    async def fetch_keys(self) -> bytes:
        return self.mint.document()

    @get("/v1/page")
    async def page(self, request: web.Request, user: User) -> dict[str, object]:
        return (await self.aggregate(request, [Section("tasks", "task", "/v1/tasks")], {})).sections()


@pytest_asyncio.fixture
async def client(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ClientSession]:
    """The balancer, in front of a gateway, in front of a service of two replicas, of which one breaks off."""
    async with AsyncExitStack() as running:
        broken = await running.enter_async_context(TestServer(breaking_off()))
        service = TestServer(Tasks(ServiceSettings(explain_secret=SECRET)).application())
        await running.enter_async_context(service)
        monkeypatch.setenv(
            "TASK_SERVICE_URL", ",".join(str(server.make_url("")).rstrip("/") for server in (broken, service))
        )
        stack = parse(STACK, Path("/nowhere"))
        gateway = Shop(
            GatewaySettings(
                auth_jwks_url="unused",
                port=0,
                instance="gateway-1",
                explain_secret=SECRET,
                check_interval_s=3600,
            ),
            stack=stack,
        )
        await gateway.listen()
        running.push_async_callback(gateway.stop, 1.0)
        balancer = LoadBalancer(
            LoadBalancerSettings(gateway_urls=(gateway.url,), port=0, explain_secret=SECRET), stack=stack
        )
        await balancer.listen()
        running.push_async_callback(balancer.stop, 1.0)
        headers = {"Authorization": f"Bearer {Shop.mint.token(uuid7())}"}
        yield await running.enter_async_context(ClientSession(balancer.url, headers=headers))


def breaking_off() -> web.Application:
    """Looks well when it is asked how it is, and answers nothing else."""

    async def answer(request: web.Request) -> web.Response:
        if request.path != "/readyz":
            assert request.transport is not None
            request.transport.abort()
        return web.Response()

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    return app


async def test_every_hop_says_what_it_did(client: ClientSession) -> None:
    async with client.get("/v1/tasks", headers={HEADER: SECRET.reveal()}) as answer:
        assert await answer.json() == {"heard": True}
        service, gateway, balancer = answer.headers.getall(FIELD)
    assert re.fullmatch(r"task-service;dur=[0-9.]+", service)
    assert re.match(r"gateway-1;dur=[0-9.]+, gateway-1\.token;dur=[0-9.]+;desc=\"verified\"", gateway)
    assert "gateway-1.limits;dur=" in gateway
    assert "user;r=4" in gateway
    assert re.search(
        r"gateway-1\.upstream;dur=[0-9.]+;desc=\"http://127.0.0.1:\d+: round-robin, \d of 2", gateway
    )
    assert "load-balancer.upstream" in balancer
    assert SECRET.reveal() not in str(answer.headers)


async def test_what_was_tried_in_vain_is_named(client: ClientSession) -> None:
    said = []
    for _ in range(2):  # in turns, one of them meets the replica that is gone
        async with client.get("/v1/tasks", headers={HEADER: SECRET.reveal()}) as answer:
            said.append(answer.headers.getall(FIELD)[1])
    (tried,) = [line for line in said if "gateway-1.tried" in line]
    assert re.search(
        r"gateway-1\.tried;dur=[0-9.]+;desc=\"http://127.0.0.1:\d+: round-robin, 2 of 2 .*; sent\"", tried
    )


async def test_an_answer_of_the_gateways_own_names_its_sections(client: ClientSession) -> None:
    async with client.get("/v1/page", headers={HEADER: SECRET.reveal()}) as answer:
        assert answer.status == 200
        assert "gateway-1.section-tasks;dur=" in answer.headers.getall(FIELD)[0]


async def test_a_refusal_is_explained_as_well(client: ClientSession) -> None:
    async with client.get("/v1/nowhere", headers={HEADER: SECRET.reveal()}) as answer:
        assert (answer.status, len(answer.headers.getall(FIELD))) == (404, 2)


@pytest.mark.parametrize("given", [None, "", "wrong", SECRET.reveal().upper(), "öffne"])
async def test_nothing_is_revealed_to_anybody_else(client: ClientSession, given: str | None) -> None:
    headers = {} if given is None else {HEADER: given}
    async with client.get("/v1/tasks", headers=headers) as answer:
        assert answer.status == 200
        assert FIELD not in answer.headers
        assert await answer.json() == {"heard": False}
