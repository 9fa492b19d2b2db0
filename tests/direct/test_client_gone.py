"""A client that goes away before its answer."""

from __future__ import annotations

import asyncio
import contextlib

from focushub_core import WebPart, get
from focushub_core.direct.server import Server
from focushub_core.settings import Settings

begun, ended = asyncio.Event(), asyncio.Event()


class Slow(WebPart):
    name = "slow"

    @get("/v1/slow")
    async def slow(self) -> None:
        begun.set()
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()


async def test_what_is_done_for_it_ends() -> None:
    """A handler is cancelled, and so is the query that it waits for."""
    server = Server(Slow(Settings(port=0)))
    await server.listen()
    _, writer = await asyncio.open_connection(*server.address)
    writer.write(b"GET /v1/slow HTTP/1.1\r\nHost: x\r\n\r\n")
    async with asyncio.timeout(20):
        await begun.wait()
        writer.close()
        await ended.wait()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    await server.stop(1)
