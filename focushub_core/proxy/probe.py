"""An active check over HTTP: one GET, on a connection of its own.

One that was kept alive would prove nothing about who wants to connect now.
"""

from __future__ import annotations

import asyncio

from focushub_core.balancer import Upstream
from focushub_core.balancer.checker import Ask
from focushub_core.proxy.engine.links import address, authority
from focushub_core.proxy.http1 import ProtocolError, ResponseHead, ResponseReader, request_head

_BLOCK = b"User-Agent: focushub-check\r\nAccept: */*\r\nConnection: close\r\n"


def over_http(path: str, timeout_s: float) -> Ask:
    """Asks upstreams for ``path``, and waits ``timeout_s`` seconds for the answer's head."""

    async def ask(upstream: Upstream) -> int:
        async with asyncio.timeout(timeout_s):
            return await _ask(upstream, path.encode("ascii"))

    return ask


async def _ask(upstream: Upstream, path: bytes) -> int:
    reader, writer = await asyncio.open_connection(*address(upstream.url))
    try:
        writer.write(request_head(b"GET", path, authority(upstream.origin), _BLOCK, None))
        answers = ResponseReader()
        while True:
            event = answers.next()
            if isinstance(event, ResponseHead) and event.status >= 200:
                return event.status
            if event is None:
                data = await reader.read(65536)
                if not data:
                    raise ConnectionResetError("no answer")
                answers.receive(data)
    except ProtocolError as error:
        raise ConnectionError(str(error)) from error
    finally:
        writer.transport.abort()
