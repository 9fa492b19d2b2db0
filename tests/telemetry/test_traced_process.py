"""A traced part as a process: its handlers' own spans belong to it, and a stop exports what is left."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import aiohttp

from focushub_core.embedded.ports import free_port

from .conftest import Collector
from .test_nothing_lost import ready, running

SERVICE = """
from focushub_core import Service, get
from opentelemetry import trace

class Lamp(Service):
    name = "lamp-service"

    @get("/v1/lamp")
    async def light(self) -> dict[str, bool]:
        with trace.get_tracer("lamp").start_as_current_span("light"):
            return {"on": True}

Lamp.run()
"""


async def test_a_handlers_own_span_lies_within_its_requests(collector: Collector, tmp_path: Path) -> None:
    port = free_port()
    environ = os.environ | {"PORT": str(port), "OTEL_BSP_SCHEDULE_DELAY": "60000"}
    with running(SERVICE, environ, tmp_path / "lines") as process:
        await ready(f"http://127.0.0.1:{port}")
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://127.0.0.1:{port}/v1/lamp") as answer,
        ):
            assert answer.status == 200
        assert collector.spans == []
        process.send_signal(signal.SIGINT)
        assert await asyncio.to_thread(process.wait, 15) == 0
    inner, request = sorted(await collector.until(2), key=lambda span: span.kind)
    assert (inner.name, inner.parent_id, inner.part) == ("light", request.span_id, "lamp-service")
    assert request.name == "GET /v1/lamp"
