"""One request through balancer, gateway and service to the database is one trace; each hop is a child of the last."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import ClientSession, web

from focushub_core import Database, Service, get
from focushub_core.gateway import Gateway, GatewaySettings
from focushub_core.proxy.loadbalancer import LoadBalancer, LoadBalancerSettings
from focushub_core.stack import parse
from focushub_core.telemetry import logs, trace

from .conftest import Collector, Seen

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SENT = {"traceparent": f"00-{TRACE}-{PARENT}-01", "tracestate": "rojo=1,congo=2"}
STACK = """
[stack]
name = "shop"
[services.shelf]
port = 3001
prefixes = ["/v1/shelves", "/v1/seen"]
public = ["/v1/shelves", "/v1/seen"]
"""


class Shelves(Service):
    name = "shelf-service"
    database = Database(migrations=("CREATE TABLE shelves (n integer)",))

    @get("/v1/shelves")
    async def count(self, database: Database) -> dict[str, int]:
        return {"shelves": await database.fetchval("SELECT count(*) FROM shelves")}

    @get("/v1/seen")
    async def seen(self, request: web.Request) -> dict[str, str]:
        return {name: request.headers[name] for name in SENT if name in request.headers}


class Shop(Gateway):
    @get("/v1/window")
    async def window(self, request: web.Request) -> dict[str, Any]:
        reply = await self.upstreams.get(self.pool_of["shelf"], "/v1/shelves", {})
        return {"status": reply.status, **trace.fields()}


Open = Callable[..., Awaitable[ClientSession]]


@pytest_asyncio.fixture
async def open_shop(
    serve: Callable[..., Awaitable[Any]], monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Open]:
    """Gives ``await open_shop()``: a client of a balancer before a gateway before a service with a database."""
    async with AsyncExitStack() as running:

        async def open_shop(*more: str) -> ClientSession:
            service = await serve(Shelves)
            monkeypatch.setenv("SHELF_SERVICE_URL", str(service.url).rstrip("/"))
            gateway = Shop(
                GatewaySettings(auth_jwks_url="http://127.0.0.1:1/", port=0, instance="gateway-1"),
                stack=parse(STACK, Path("/nowhere")),
            )
            await gateway.listen()
            running.push_async_callback(gateway.stop, 1.0)
            balancer = LoadBalancer(LoadBalancerSettings(gateway_urls=(*more, gateway.url), port=0))
            await balancer.listen()
            running.push_async_callback(balancer.stop, 1.0)
            return await running.enter_async_context(ClientSession(balancer.url))

        yield open_shop


def by_place(spans: list[Seen]) -> dict[tuple[str, str], Seen]:
    return {(span.part, span.kind): span for span in spans}


async def test_one_request_is_one_trace_through_every_hop(collector: Collector, open_shop: Open) -> None:
    client = await open_shop()
    async with client.get("/v1/shelves", headers=SENT) as answer:
        assert answer.status == 200
    spans = await collector.until(6)
    at = by_place(spans)
    way = [
        at["load-balancer", "server"],
        at["load-balancer", "client"],
        at["gateway", "server"],
        at["gateway", "client"],
        at["shelf-service", "server"],
        at["shelf-service", "client"],
    ]
    assert {span.trace_id for span in spans} == {TRACE}
    assert [span.parent_id for span in way] == [PARENT, *(span.span_id for span in way[:-1])]
    assert [span.name for span in way] == [
        "GET /v1/{tail}",
        "GET",
        "GET /v1/shelves",
        "GET",
        "GET /v1/shelves",
        "SELECT shelves",
    ]
    assert {span.state for span in spans} == {SENT["tracestate"]}
    assert not any(span.failed for span in spans)


async def test_who_sends_nothing_begins_a_trace_at_the_door(collector: Collector, open_shop: Open) -> None:
    client = await open_shop()
    async with client.get("/v1/shelves") as answer:
        assert answer.status == 200
    spans = await collector.until(6)
    assert len({span.trace_id for span in spans}) == 1
    assert [(span.part, span.kind) for span in spans if not span.parent_id] == [("load-balancer", "server")]


async def test_without_a_collector_the_fields_go_through_as_they_came(open_shop: Open) -> None:
    client = await open_shop()
    async with client.get("/v1/seen", headers=SENT) as answer:
        assert await answer.json() == SENT
    async with client.get("/v1/seen") as answer:
        assert await answer.json() == {}


async def test_what_the_gateway_asks_by_itself_is_in_the_trace_too(
    collector: Collector, open_shop: Open
) -> None:
    client = await open_shop()
    async with client.get("/v1/window", headers=SENT) as answer:
        said = await answer.json()
    at = by_place(await collector.until(6))
    assert said["status"] == 200
    assert said["traceparent"].split("-")[1:3] == [TRACE, at["gateway", "server"].span_id]
    assert at["gateway", "client"].parent_id == at["gateway", "server"].span_id
    assert at["gateway", "client"].attributes["url.full"] == "http://shelf-service/v1/shelves"
    assert at["shelf-service", "server"].parent_id == at["gateway", "client"].span_id


async def test_a_gateways_own_call_passes_on_what_came(open_shop: Open) -> None:
    client = await open_shop()
    async with client.get("/v1/window", headers=SENT) as answer:
        assert await answer.json() == {"status": 200, **SENT}


async def test_an_attempt_that_failed_stands_beside_the_one_that_did_not(
    collector: Collector, open_shop: Open
) -> None:
    async def break_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Ready, and dies of each request."""
        if (await reader.readuntil(b"\r\n\r\n")).startswith(b"GET /readyz "):
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(break_off, "127.0.0.1", 0)
    mortal = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    client = await open_shop(mortal)
    async with client.get("/v1/shelves", headers=SENT) as answer:
        assert answer.status == 200
    spans = await collector.until(7)
    server.close()
    (door,) = [span for span in spans if (span.part, span.kind) == ("load-balancer", "server")]
    first, second = sorted(
        (span for span in spans if span.parent_id == door.span_id), key=lambda span: not span.failed
    )
    assert (first.failed, first.attributes["error.type"]) == (True, "sent")
    assert first.attributes["url.full"] == f"{mortal}/v1/shelves"
    assert (second.failed, second.attributes["http.response.status_code"]) == (False, 200)
    (behind,) = [span for span in spans if (span.part, span.kind) == ("gateway", "server")]
    assert behind.parent_id == second.span_id


async def test_what_the_door_refuses_is_a_span_and_a_probe_is_none(
    collector: Collector, open_shop: Open
) -> None:
    client = await open_shop()
    for path in ("/livez", "/metrics", "/internal/secrets?token=hunter2"):
        async with client.get(path) as answer:
            await answer.read()
    (span,) = await collector.until(1)
    assert (span.name, span.attributes["http.response.status_code"], span.failed) == ("GET", 404, False)
    assert span.attributes["url.path"] == "/internal/secrets"
    assert "hunter2" not in str(span)


async def test_the_trace_stands_in_the_lines_of_every_hop(
    open_shop: Open, capsys: pytest.CaptureFixture[str], quiet_root: None
) -> None:
    logs.configure("all", as_json=True)
    client = await open_shop()
    async with client.get("/v1/shelves", headers=SENT), client.get("/v1/shelves"):
        pass
    await client.close()
    lines: list[dict[str, Any]] = []
    async with asyncio.timeout(10):
        while len(lines) < 6:  # lines are written in batches
            await asyncio.sleep(0.02)
            lines += [json.loads(line) for line in capsys.readouterr().out.splitlines() if '"route"' in line]
    traced = [line["part"] for line in lines if line.get("trace_id") == TRACE]
    assert sorted(traced) == ["gateway-1", "load-balancer", "shelf-service"]
    assert len([line for line in lines if "trace_id" not in line]) == 3
