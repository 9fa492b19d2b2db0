"""A client that is cheaper than any server it measures: raw keep-alive connections, one request after another each.

Run on its own core: ``python load.py HOST PORT CONNECTIONS SECONDS PATH``; prints one JSON line.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time

import uvloop

LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
HEAD = (
    "GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: load\r\nAccept: application/json\r\n"
    "Accept-Language: en\r\nAccept-Encoding: identity\r\nCache-Control: no-cache\r\nPragma: no-cache\r\n"
    "X-Request-Id: load-0123456789\r\nCookie: theme=dark\r\nConnection: keep-alive\r\n\r\n"
)


class Client(asyncio.Protocol):
    """One connection; ``waits`` are the seconds of each answer, ``failed`` counts those that are not 200."""

    def __init__(self, request: bytes, until: float, done: asyncio.Future[None]) -> None:
        self.request, self.until, self.done = request, until, done
        self.waits: list[float] = []
        self.failed = 0
        self.buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.send()

    def send(self) -> None:
        self.sent = time.perf_counter()
        self.transport.write(self.request)  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        data = self.buffer + data
        end = data.find(b"\r\n\r\n")
        if end < 0:
            self.buffer = data
            return
        length = LENGTH.search(data, 0, end)
        if length is None or len(data) < end + 4 + int(length[1]):
            self.buffer = data
            return
        self.buffer = b""
        now = time.perf_counter()
        self.waits.append(now - self.sent)
        self.failed += not data.startswith(b"HTTP/1.1 200")
        if now < self.until:
            self.send()
        else:
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_result(None)


async def main() -> None:
    host, port, connections, seconds, path = sys.argv[1:]
    loop = asyncio.get_running_loop()
    request = HEAD.format(path=path, host=f"{host}:{port}").encode()
    started = time.perf_counter()
    clients = []
    for _ in range(int(connections)):
        client = Client(request, started + float(seconds), loop.create_future())
        clients.append(client)
        await loop.create_connection(lambda made=client: made, host, int(port))  # type: ignore[misc]
    await asyncio.gather(*(client.done for client in clients))
    took = time.perf_counter() - started
    waits = sorted(wait for client in clients for wait in client.waits)
    print(  # noqa: T201 - its answer
        json.dumps(
            {
                "requests": len(waits),
                "per_second": len(waits) / took,
                "p50_ms": waits[len(waits) // 2] * 1000,
                "p99_ms": waits[len(waits) * 99 // 100] * 1000,
                "failed": sum(client.failed for client in clients),
            }
        )
    )


uvloop.run(main())
