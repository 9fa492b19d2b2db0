"""A collector of traces that speaks OTLP over HTTP as the real ones do, and what it was told."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

KINDS = {
    Span.SPAN_KIND_SERVER: "server",
    Span.SPAN_KIND_CLIENT: "client",
    Span.SPAN_KIND_INTERNAL: "internal",
}


@dataclass(frozen=True)
class Seen:
    """A span as it was exported; ``part`` is its service's name."""

    part: str
    kind: str
    name: str
    trace_id: str
    span_id: str
    parent_id: str
    state: str
    failed: bool
    attributes: dict[str, object]


class Collector:
    """Everything that was exported to ``url``."""

    def __init__(self) -> None:
        self.spans: list[Seen] = []
        self.resources: list[dict[str, object]] = []
        self.url = ""
        self.status = 200

    async def until(self, count: int) -> list[Seen]:
        """The spans, once there are ``count``; then no more may come for a moment in which some would."""
        async with asyncio.timeout(20):
            while len(self.spans) < count:  # noqa: ASYNC110 (another thread sends them)
                await asyncio.sleep(0.02)
        await asyncio.sleep(0.15)
        assert len(self.spans) == count, self.spans
        return self.spans

    async def handle(self, request: web.Request) -> web.Response:
        said = ExportTraceServiceRequest.FromString(await request.read())
        if self.status == 200:
            for group in said.resource_spans:
                resource = {pair.key: _value(pair.value) for pair in group.resource.attributes}
                self.resources.append(resource)
                for scope in group.scope_spans:
                    self.spans += [_seen(str(resource["service.name"]), span) for span in scope.spans]
        return web.Response(status=self.status, content_type="application/x-protobuf")


def _seen(part: str, span: Span) -> Seen:
    return Seen(
        part,
        KINDS[span.kind],
        span.name,
        span.trace_id.hex(),
        span.span_id.hex(),
        span.parent_span_id.hex(),
        span.trace_state,
        span.status.code == 2,
        {pair.key: _value(pair.value) for pair in span.attributes},
    )


def _value(value: AnyValue) -> object:
    if value.HasField("array_value"):
        return [_value(item) for item in value.array_value.values]
    return getattr(value, str(value.WhichOneof("value")))


@pytest_asyncio.fixture
async def collector(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Collector]:
    """Traces are switched on, and go here."""
    found = Collector()
    app = web.Application()
    app.router.add_post("/v1/traces", found.handle)
    server = TestServer(app)
    await server.start_server()
    found.url = str(server.make_url("")).rstrip("/")
    for name in (
        "OTEL_TRACES_EXPORTER",
        "OTEL_SDK_DISABLED",
        "OTEL_SERVICE_NAME",
        "OTEL_RESOURCE_ATTRIBUTES",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", found.url)
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
    yield found
    await server.close()


@pytest.fixture
def quiet_root() -> Iterator[None]:
    """What a test does to the root logger is undone."""
    root = logging.getLogger()
    before = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = before
    logging.captureWarnings(False)
