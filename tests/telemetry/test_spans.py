"""A service's spans, as a collector gets them: one for each request, call and query, by the semantic conventions."""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import msgspec
import pytest
from aiohttp.test_utils import TestClient, TestServer
from opentelemetry import trace as api

from focushub_core import Conflict, Database, Service, Settings, Unavailable, WebPart, get, post
from focushub_core.http import calls
from focushub_core.telemetry import tracing

from .conftest import Collector

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SENT = {"traceparent": f"00-{TRACE}-{PARENT}-01", "tracestate": "rojo=1"}
Serve = Callable[..., Awaitable[Any]]


class Shelf(msgspec.Struct):
    n: int


class Shelves(Service):
    name = "shelf-service"
    database = Database(
        migrations=("CREATE TABLE shelves (n integer PRIMARY KEY); INSERT INTO shelves VALUES (1)",)
    )

    @get("/v1/shelves/{n}")
    async def read(self, n: int, database: Database) -> Shelf | None:
        return await database.one(Shelf, "SELECT n FROM shelves WHERE n = $1 AND 'secret' <> ''", n)

    @post("/v1/shelves")
    async def twice(self, database: Database) -> None:
        async with database.transaction() as connection:
            await connection.execute("INSERT INTO shelves VALUES (1)")


class Lamp(WebPart):
    """Says what its calls carry, and fails as it is told."""

    name = "lamp"
    elsewhere = ""

    @get("/v1/fields")
    async def fields(self, token: str = "") -> dict[str, str]:
        return calls.fields()

    @get("/v1/inner")
    async def inner(self) -> dict[str, str]:
        with api.get_tracer("handler").start_as_current_span("mine"):
            return calls.fields()

    @get("/v1/onward")
    async def onward(self) -> dict[str, str]:
        async with (
            aiohttp.ClientSession(middlewares=(calls.on_behalf,)) as session,
            session.get(f"{self.elsewhere}?token=hunter2") as answer,
        ):
            return dict(await answer.json())

    @get("/v1/broken")
    async def broken(self) -> None:
        raise RuntimeError("hunter2")

    @get("/v1/away")
    async def away(self) -> None:
        raise Unavailable("hunter2")

    @get("/v1/odd")
    async def odd(self) -> None:
        raise Conflict("hunter2")


@asynccontextmanager
async def running(part: WebPart) -> Any:
    async with TestClient(TestServer(part.application())) as client:
        yield client


def lamp() -> Lamp:
    return Lamp(Settings(instance="lamp-1"))


async def ask(path: str, **fields: str) -> tuple[int, Any]:
    async with running(lamp()) as client, client.get(path, headers=fields) as answer:
        return answer.status, await answer.json()


async def test_without_a_sender_and_without_a_collector_there_is_no_trace() -> None:
    _, body = await ask("/v1/fields")
    assert set(body) == {"X-Request-Id", "X-Request-Timeout-Ms"}


async def test_without_a_collector_what_came_goes_on_as_it_is() -> None:
    _, body = await ask("/v1/fields", **SENT)
    assert {name: body[name] for name in SENT} == SENT


async def test_a_parent_that_is_not_valid_goes_no_further() -> None:
    _, body = await ask("/v1/fields", traceparent=SENT["traceparent"].upper(), tracestate="rojo=1")
    assert "traceparent" not in body
    assert "tracestate" not in body


async def test_the_next_request_on_a_connection_is_in_no_trace_of_the_last_one() -> None:
    async with running(lamp()) as client:
        async with client.get("/v1/fields", headers=SENT) as answer:
            assert "traceparent" in await answer.json()
        async with client.get("/v1/fields") as answer:
            assert "traceparent" not in await answer.json()


async def test_a_request_is_a_span_beneath_its_senders(collector: Collector) -> None:
    _, body = await ask("/v1/fields", **SENT)
    (span,) = await collector.until(1)
    assert (span.part, span.kind, span.name) == ("lamp", "server", "GET /v1/fields")
    assert (span.trace_id, span.parent_id, span.state) == (TRACE, PARENT, "rojo=1")
    assert body["traceparent"] == f"00-{TRACE}-{span.span_id}-01"
    assert body["tracestate"] == "rojo=1"
    assert span.attributes == {
        "http.request.method": "GET",
        "http.route": "/v1/fields",
        "http.response.status_code": 200,
        "url.path": "/v1/fields",
        "url.scheme": "http",
        "http.request.header.x-request-id": [body["X-Request-Id"]],
    }
    assert not span.failed
    assert collector.resources[0]["service.instance.id"] == "lamp-1"


async def test_without_a_sender_a_trace_begins_here(collector: Collector) -> None:
    _, body = await ask("/v1/fields")
    (span,) = await collector.until(1)
    assert span.parent_id == ""
    assert body["traceparent"].startswith(f"00-{span.trace_id}-{span.span_id}-")


@pytest.mark.parametrize(
    ("path", "status", "failed", "kind"),
    [
        ("/v1/broken", 500, True, "RuntimeError"),
        ("/v1/away", 503, True, "focushub_core.errors.Unavailable"),
        ("/v1/odd", 409, False, None),
        ("/v1/nowhere", 404, False, None),
    ],
)
async def test_an_error_is_the_parts_own_only_from_500_on(
    collector: Collector, path: str, status: int, failed: bool, kind: str | None
) -> None:
    await ask(path)
    (span,) = await collector.until(1)
    assert (span.attributes["http.response.status_code"], span.failed) == (status, failed)
    assert span.attributes.get("error.type") == kind
    assert "hunter2" not in str(span)
    if status == 404:
        assert span.name == "GET"
        assert "http.route" not in span.attributes


async def test_probes_are_in_no_trace(collector: Collector) -> None:
    async with running(lamp()) as client:
        for path in ("/livez", "/readyz", "/health", "/metrics", "/v1/fields"):
            async with client.get(path) as answer:
                assert answer.status == 200
    (span,) = await collector.until(1)
    assert span.name == "GET /v1/fields"


async def test_who_was_not_sampled_is_not_exported_and_passed_on_as_such(collector: Collector) -> None:
    _, body = await ask("/v1/fields", traceparent=f"00-{TRACE}-{PARENT}-00")
    assert body["traceparent"].startswith(f"00-{TRACE}-")
    assert body["traceparent"].endswith("-00")
    await collector.until(0)


async def test_the_sdks_own_variables_sample(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_always_off")
    _, body = await ask("/v1/fields")
    assert not int(body["traceparent"][-2:], 16) & 1
    await ask("/v1/fields", **SENT)
    assert len(await collector.until(1)) == 1


async def test_a_handlers_own_span_is_the_parent_of_what_it_calls(collector: Collector) -> None:
    """The global provider is the handler's business; the context is ours, so that both meet."""
    _, body = await ask("/v1/inner", **SENT)
    assert body["traceparent"].split("-")[1] == TRACE
    (span,) = await collector.until(1)
    assert span.name == "GET /v1/inner"


async def test_a_call_to_another_part_lies_between_the_two(collector: Collector) -> None:
    async with running(lamp()) as second:
        first = lamp()
        first.elsewhere = str(second.make_url("/v1/fields"))
        async with running(first) as client, client.get("/v1/onward", headers=SENT) as answer:
            assert answer.status == 200
            ident = answer.headers["X-Request-Id"]
            assert (await answer.json())["X-Request-Id"] == ident
        spans = {span.span_id: span for span in await collector.until(3)}
    (inner,) = [span for span in spans.values() if span.name == "GET /v1/fields"]
    call = spans[inner.parent_id]
    outer = spans[call.parent_id]
    assert (call.kind, call.name, outer.name, outer.parent_id) == ("client", "GET", "GET /v1/onward", PARENT)
    assert call.attributes["http.response.status_code"] == 200
    assert call.attributes["url.full"] == first.elsewhere
    assert "hunter2" not in str(spans)


async def test_a_query_is_a_span_without_its_values(collector: Collector, serve: Serve) -> None:
    client = await serve(Shelves)
    assert (await client.get("/v1/shelves/1", headers=SENT)).body == {"n": 1}
    spans = {span.kind: span for span in await collector.until(2)}
    query, request = spans["client"], spans["server"]
    assert (query.trace_id, query.parent_id) == (TRACE, request.span_id)
    assert query.name == "SELECT shelves"
    assert query.attributes["db.system.name"] == "postgresql"
    assert query.attributes["db.query.summary"] == "SELECT shelves"
    assert {"db.namespace", "server.address", "server.port"} <= set(query.attributes)
    assert "secret" not in str(query)


async def test_what_postgresql_refused_is_its_code(collector: Collector, serve: Serve) -> None:
    client = await serve(Shelves)
    assert (await client.post("/v1/shelves")).status == 409
    spans = await collector.until(4)
    failed = [(span.name, span.attributes.get("db.response.status_code")) for span in spans if span.failed]
    assert failed == [("INSERT shelves", "23505")]
    assert [span.name for span in spans if span.kind == "client"] == ["BEGIN", "INSERT shelves", "ROLLBACK"]


async def test_nothing_is_lost_at_a_stop(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "60000")
    async with running(lamp()) as client:
        for _ in range(20):
            async with client.get("/v1/fields") as answer:
                assert answer.status == 200
        assert collector.spans == []
    assert len(await collector.until(20)) == 20


@pytest.mark.parametrize("how", ["away", "silent", "refusing"])
async def test_an_exporter_that_is_away_costs_a_warning(
    collector: Collector, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, how: str
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
    held: list[asyncio.StreamWriter] = []
    silent = await asyncio.start_server(lambda _, writer: held.append(writer), "127.0.0.1", 0)
    if how == "away":
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    elif how == "silent":
        port = silent.sockets[0].getsockname()[1]
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{port}")
    collector.status = 400
    async with running(lamp()) as client:
        for _ in range(3):
            async with client.get("/v1/fields") as answer:
                assert answer.status == 200
            await asyncio.sleep(0.1)
        stopping = time.monotonic()
    assert time.monotonic() - stopping < 10  # the SDK's own patience is 30 s
    silent.close()
    for writer in held:
        writer.close()
    warnings = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert warnings
    assert set(warnings) <= {
        "traces cannot be exported; those of the meantime are lost",
        "the last traces were not exported within 2 s",
    }
    assert len(warnings) <= 2


@pytest.mark.parametrize(
    ("environ", "wanted"),
    [
        ({}, ()),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, ("otlp",)),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c:4318/v1/traces"}, ("otlp",)),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, ("otlp",)),
        ({"OTEL_TRACES_EXPORTER": "console, otlp"}, ("console", "otlp")),
        ({"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, ()),
        ({"OTEL_SDK_DISABLED": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, ()),
        ({"OTEL_METRICS_EXPORTER": "otlp"}, ()),
    ],
)
def test_the_standard_variables_switch_it_on(environ: dict[str, str], wanted: tuple[str, ...]) -> None:
    assert tracing.exporters(environ) == wanted


@pytest.mark.parametrize(
    ("name", "value"),
    [("OTEL_TRACES_EXPORTER", "zipkin"), ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")],
)
async def test_what_is_not_spoken_here_is_said_and_stops_nobody(
    collector: Collector,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    name: str,
    value: str,
) -> None:
    monkeypatch.setenv(name, value)
    status, _ = await ask("/v1/fields")
    assert status == 200
    assert [f"{name} can be" in record.getMessage() for record in caplog.records] == [True]


def test_a_missing_extra_is_said_and_stops_nobody() -> None:
    code = (
        "import sys; sys.modules['opentelemetry'] = None; from focushub_core.telemetry import tracing;"
        "print(tracing.tracer_of('lamp'))"
    )
    environ = {**os.environ, "OTEL_TRACES_EXPORTER": "otlp"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True
    )
    assert done.stdout == "None\n"
    assert 'pip install "focushub-core[otel]"' in done.stderr


@pytest.mark.parametrize(
    "what", ["focushub_core.service", "focushub_core.gateway", "focushub_core.proxy.loadbalancer"]
)
def test_nothing_of_opentelemetry_is_loaded_unless_it_is_switched_on(what: str) -> None:
    code = f"import sys, {what}; print([n for n in sys.modules if n.startswith(('opentelemetry', 'google'))])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
