"""Every answer has its line, also when the process is told to stop while it is at work."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from focushub_core.embedded.ports import free_port

SERVICE = """
from focushub_core import Service, get

class Quick(Service):
    name = "quick-service"

    @get("/v1/quick")
    async def quick(self) -> dict[str, bool]:
        return {"done": True}

Quick.run()
"""
BALANCER = """
import os
from focushub_core.proxy.loadbalancer import LoadBalancer
LoadBalancer.run()
"""
CLIENTS = 8


async def ready(url: str) -> None:
    async with asyncio.timeout(30), aiohttp.ClientSession() as session:
        while True:
            try:
                async with session.get(f"{url}/livez"):
                    return
            except aiohttp.ClientError:
                await asyncio.sleep(0.02)


async def ask_until_it_ends(url: str, answered: list[str]) -> None:
    """Asks again and again; the ids of what was answered whole."""
    async with aiohttp.ClientSession() as session:
        while True:
            try:
                async with session.get(url) as answer:
                    await answer.read()
                    answered.append(answer.headers["X-Request-Id"])
            except aiohttp.ClientError:
                return


@contextmanager
def running(code: str, environ: dict[str, str], lines: Path) -> Iterator[subprocess.Popen[bytes]]:
    with lines.open("w") as out:
        process = subprocess.Popen([sys.executable, "-c", code], cwd=lines.parent, env=environ, stdout=out)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("code", [SERVICE, BALANCER], ids=["service", "balancer"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_no_line_is_lost_at_a_stop(tmp_path: Path, code: str, number: signal.Signals) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(text="ok")

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    upstream = TestServer(app)
    await upstream.start_server()
    port = free_port()
    environ = os.environ | {
        "PORT": str(port),
        "LOG_FORMAT": "json",
        "DRAIN_SECONDS": "0.3",
        "GATEWAY_URLS": str(upstream.make_url("")).rstrip("/"),
    }
    url, lines, answered = f"http://127.0.0.1:{port}", tmp_path / "lines", list[str]()
    with running(code, environ, lines) as process:
        await ready(url)
        clients = [
            asyncio.create_task(ask_until_it_ends(f"{url}/v1/quick", answered)) for _ in range(CLIENTS)
        ]
        async with asyncio.timeout(30):
            while len(answered) < 200:  # noqa: ASYNC110 (the clients count)
                await asyncio.sleep(0.01)
            process.send_signal(number)
            await asyncio.gather(*clients)
        assert await asyncio.to_thread(process.wait, 15) == 0
    await upstream.close()
    said = [json.loads(line) for line in lines.read_text().splitlines()]
    logged = Counter(line["request_id"] for line in said if line.get("route", "").startswith("/v1"))
    assert Counter(answered) - logged == Counter()
    assert max(logged.values()) == 1
    assert (
        sum((logged - Counter(answered)).values()) <= CLIENTS
    )  # answered, but cut off before the client had it
