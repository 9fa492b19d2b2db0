"""The load balancer as a part: what it routes, what it answers itself, and how it looks after its gateways."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp import ClientSession, web
from msgspec import structs

from focushub_core import stack
from focushub_core.errors import ConfigurationError
from focushub_core.proxy.loadbalancer import LoadBalancer, LoadBalancerSettings

from .conftest import Bench


class Gateway:
    """A gateway that a test makes ready, unready, or dead."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.ready = True
        self.checked = asyncio.Event()

    async def handle(self, request: web.Request) -> web.Response:
        if request.path == "/readyz":
            self.checked.set()
            return web.Response(status=200 if self.ready else 503)
        seen = {name: request.headers.get(name) for name in ("X-Request-Id", "X-Forwarded-For", "X-User-Id")}
        return web.json_response({"gateway": self.name, "path": request.raw_path, **seen})


class Door:
    """A client of the balancer."""

    def __init__(self, client: ClientSession) -> None:
        self.client = client

    async def status(self, path: str, method: str = "GET") -> int:
        async with self.client.request(method, path) as answer:
            await answer.read()
            return answer.status

    async def becomes(self, path: str, expected: int) -> None:
        """Return when ``path`` is answered with ``expected``; fail when that takes 5 s."""
        async with asyncio.timeout(5):
            while await self.status(path) != expected:  # noqa: ASYNC110 (what is waited for has no event)
                await asyncio.sleep(0.01)


Open = Callable[..., Awaitable[Door]]


@pytest_asyncio.fixture
async def balance() -> AsyncIterator[Open]:
    async with AsyncExitStack() as running:

        async def start(*urls: str, trusted: str = "") -> Door:
            settings = LoadBalancerSettings(
                gateway_urls=urls, check_interval_s=0.1, check_timeout_s=0.5, trusted_proxies=trusted
            )
            balancer = LoadBalancer(structs.replace(settings, port=0))
            await balancer.listen()
            running.push_async_callback(balancer.stop, 0.0)
            return Door(await running.enter_async_context(ClientSession(balancer.url)))

        yield start


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1/tasks", 200),
        ("/v1", 200),
        ("/docs", 200),
        ("/docs/swagger.css", 200),
        ("/openapi.json", 200),
        ("/.well-known/jwks.json", 200),
        ("/console/", 200),
        ("/", 404),
        ("/internal", 404),
        ("/internal/v1/summary", 404),
        ("/v10", 404),
        ("/favicon.ico", 404),
        ("/%69nternal", 404),
    ],
)
async def test_a_gateways_paths_go_to_a_gateway_and_all_others_are_404_problems(
    bench: Bench, balance: Open, path: str, status: int
) -> None:
    door = await balance(await bench.app(Gateway("g").handle))
    async with door.client.get(path) as answer:
        assert answer.status == status
        assert answer.content_type == ("application/json" if status == 200 else "application/problem+json")


@pytest.mark.parametrize("target", ["/v1/../internal", "/v1/%2e%2e/internal", "/v1/..%2finternal", "/v1/.."])
async def test_no_spelling_of_a_path_leads_out_of_its_prefix(
    bench: Bench, balance: Open, target: str
) -> None:
    door = await balance(await bench.app(Gateway("g").handle))
    url = door.client._base_url
    assert url is not None
    reader, writer = await asyncio.open_connection(url.host, url.port)
    writer.write(f"GET {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()

    assert answer.startswith(b"HTTP/1.1 400")
    assert b"ambiguous_path" in answer


async def test_gateways_take_turns(bench: Bench, balance: Open) -> None:
    door = await balance(*[await bench.app(Gateway(name).handle) for name in "abc"])
    seen: Counter[str] = Counter()
    for _ in range(30):
        async with door.client.get("/v1/x") as answer:
            seen[(await answer.json())["gateway"]] += 1

    assert seen == {"a": 10, "b": 10, "c": 10}


async def test_a_request_keeps_its_id_and_loses_what_was_forged(bench: Bench, balance: Open) -> None:
    door = await balance(await bench.app(Gateway("g").handle))
    sent = {"X-Request-Id": "abc-12345678", "X-Forwarded-For": "1.2.3.4", "X-User-Id": "7"}
    async with door.client.get("/v1/x?a=%2F", headers=sent) as answer:
        body = await answer.json()

        assert answer.headers["X-Request-Id"] == "abc-12345678"
        assert answer.headers["Via"] == "1.1 load-balancer"
    assert body["X-Request-Id"] == "abc-12345678"
    assert body["X-Forwarded-For"] == "127.0.0.1"
    assert body["X-User-Id"] is None


async def test_what_nginx_says_of_the_client_is_believed_once_it_is_trusted(
    bench: Bench, balance: Open
) -> None:
    door = await balance(await bench.app(Gateway("g").handle), trusted="127.0.0.0/8")
    async with door.client.get("/v1/x", headers={"X-Forwarded-For": "198.51.100.7"}) as answer:
        assert (await answer.json())["X-Forwarded-For"] == "198.51.100.7, 127.0.0.1"


async def test_it_is_healthy_while_one_gateway_is_and_alive_always(
    bench: Bench, balance: Open, refused: str
) -> None:
    gateway = Gateway("g")
    door = await balance(await bench.app(gateway.handle), refused)
    await door.becomes("/health", 200)
    async with door.client.get("/health") as answer:
        body = await answer.json()
    assert (body["status"], body["service"], body["gateways"]) == ("healthy", "load-balancer", "available")
    assert "database" not in body

    gateway.ready = False
    await door.becomes("/health", 503)

    assert await door.status("/readyz") == 503
    assert await door.status("/livez") == 200
    assert await door.status("/metrics") == 200
    async with door.client.get("/readyz?verbose") as answer:
        assert "draining" in (await answer.json())["checks"]["gateways"]["reason"]

    gateway.ready = True
    await door.becomes("/health", 200)


async def test_without_any_gateway_it_is_unhealthy_and_answers_503(balance: Open, refused: str) -> None:
    door = await balance(refused)

    assert await door.status("/health") == 503
    assert await door.status("/v1/x") == 503
    assert await door.status("/v1/x", "POST") == 503


async def test_a_gateway_that_drains_gets_nothing_new(bench: Bench, balance: Open) -> None:
    a, b = Gateway("a"), Gateway("b")
    door = await balance(await bench.app(a.handle), await bench.app(b.handle))
    await door.becomes("/health", 200)
    a.ready = False
    for _ in range(2):  # the second begins after the first was counted
        a.checked.clear()
        await asyncio.wait_for(a.checked.wait(), 5)
    for _ in range(10):
        async with door.client.get("/v1/x") as answer:
            assert (await answer.json())["gateway"] == "b"


async def test_methods_that_no_proxy_should_pass_on_are_refused(bench: Bench, balance: Open) -> None:
    door = await balance(await bench.app(Gateway("g").handle))

    assert await door.status("/v1/x", "TRACE") == 501


def test_without_gateways_it_does_not_start() -> None:
    with pytest.raises(ConfigurationError, match="GATEWAY_URLS is not set"):
        LoadBalancer(LoadBalancerSettings())


@pytest.mark.parametrize(("protocol", "status"), [("websocket", 501), ("h2c, websocket", 501), ("h2c", 200)])
async def test_no_other_protocol_is_taken_up(bench: Bench, balance: Open, protocol: str, status: int) -> None:
    door = await balance(await bench.app(Gateway("g").handle))
    sent = {"Connection": "Upgrade", "Upgrade": protocol}
    async with door.client.get("/v1/x", headers=sent) as answer:
        assert answer.status == status


async def test_while_it_drains_it_serves_says_so_and_lets_connections_go(bench: Bench) -> None:
    settings = LoadBalancerSettings(gateway_urls=(await bench.app(Gateway("g").handle),), port=0)
    balancer = LoadBalancer(settings)
    await balancer.listen()
    try:
        async with ClientSession(balancer.url) as client:
            balancer.draining = True
            async with client.get("/readyz") as answer:
                assert (answer.status, answer.headers["Connection"]) == (503, "close")
            async with client.get("/v1/x") as answer:
                assert (answer.status, answer.headers["Connection"]) == (200, "close")
    finally:
        await balancer.stop(0)


async def test_a_probe_that_fails_in_a_way_nobody_expected_is_a_500_problem(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(self: LoadBalancer) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(LoadBalancer, "report", broken)
    balancer = LoadBalancer(
        LoadBalancerSettings(gateway_urls=(await bench.app(Gateway("g").handle),), port=0)
    )
    await balancer.listen()
    try:
        async with ClientSession(balancer.url) as client, client.get("/health") as answer:
            assert (answer.status, answer.content_type) == (500, "application/problem+json")
            assert "a bug" not in await answer.text()
    finally:
        await balancer.stop(0)


@pytest.mark.parametrize("path", ["/readyz", "/health"])
async def test_it_says_where_each_gateway_stands_and_why_to_who_asks(
    bench: Bench, balance: Open, refused: str, path: str
) -> None:
    good = await bench.app(Gateway("g").handle)
    door = await balance(good, refused)
    await door.becomes("/health", 200)
    for _ in range(2):
        assert await door.status("/v1/x") == 200
    async with door.client.get(f"{path}?verbose") as answer:
        shown = {entry["url"]: entry for entry in (await answer.json())["upstreams"]}
    async with door.client.get(path) as answer:
        assert "upstreams" not in await answer.json()

    assert (shown[good]["state"], shown[good]["why"], shown[good]["last_check"]["result"]) == (
        "up",
        "",
        "passed",
    )
    assert (shown[refused]["state"], shown[refused]["last_check"]["result"]) == ("down", "failed")
    assert shown[good]["answered"] == 2
    async with door.client.get("/metrics") as answer:
        lines = (await answer.text()).splitlines()
    assert f'upstream_requests_total{{pool="gateways",upstream="{good}",outcome="answered"}} 2.0' in lines


STACK = """
[stack]
name = "shop"
[services.order]
port = 3001
prefixes = ["/v1/orders"]
keyed = ["/v1/orders"]
[services.auth]
port = 3002
prefixes = ["/v1/auth"]
"""


@pytest.mark.parametrize(
    ("path", "sent", "status"),
    [
        ("/v1/orders", {"Idempotency-Key": "7f"}, 200),
        ("/v1/orders", {}, 502),
        ("/v1/auth/login", {"Idempotency-Key": "7f"}, 502),
    ],
)
async def test_a_post_with_a_key_is_sent_to_another_gateway_where_the_stack_says_keys_are_kept(
    bench: Bench, tmp_path: Path, path: str, sent: dict[str, str], status: int
) -> None:
    asked = 0

    async def dies(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        if b"POST" in await reader.readuntil(b"\r\n\r\n"):
            asked += 1
        else:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    urls = (await bench.script(dies), await bench.app(Gateway("g").handle))
    balancer = LoadBalancer(
        LoadBalancerSettings(gateway_urls=urls, port=0), stack=stack.parse(STACK, tmp_path)
    )
    await balancer.listen()
    try:
        async with (
            ClientSession(balancer.url) as client,
            client.post(path, data=b"x", headers=sent) as answer,
        ):
            assert (answer.status, asked) == (status, 1)
    finally:
        await balancer.stop(0)


async def test_all_addresses_of_a_gateways_name_are_gateways(bench: Bench, balance: Open) -> None:
    """``localhost`` has one or two; where nobody listens at the second, the first serves."""
    origin = (await bench.app(Gateway("g").handle)).replace("127.0.0.1", "localhost")
    door = await balance(origin)
    await door.becomes("/health", 200)
    for _ in range(4):
        assert await door.status("/v1/x") == 200
    async with door.client.get("/readyz?verbose") as answer:
        shown = (await answer.json())["upstreams"]

    assert {entry["origin"] for entry in shown} == {origin}
    assert any(entry["url"].startswith("http://127.0.0.1:") for entry in shown)


async def test_gateways_whose_name_nobody_knows_are_shown_as_unresolved(balance: Open) -> None:
    door = await balance("http://gateway.invalid:3000")

    assert await door.status("/v1/x") == 503
    async with door.client.get("/readyz?verbose") as answer:
        body = await answer.json()
    assert [entry["state"] for entry in body["upstreams"]] == ["unresolved"]
    assert "gateway.invalid" in body["checks"]["gateways"]["reason"]
