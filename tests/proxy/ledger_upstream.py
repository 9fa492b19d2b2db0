"""An upstream process that writes down what it carries out: ``python ledger_upstream.py PORT FOLDER FAULT``.

Every POST is a line of ``FOLDER/ledger``, its token, written before it is answered. One with an ``Idempotency-Key`` is
carried out once, whichever process gets it: it is an empty file ``FOLDER/key-KEY`` instead, so that no kill can come
between what is done and what says so. Answers carry the request's token. From SIGUSR1 on it is at fault, and from
SIGTERM on it drains, as `focushub_core.runtime` does: it is not ready, a while later it takes nothing new, and it ends
when all is answered.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

WORK_S = 0.002
DRAIN_S = 1.2
LARGE = 20_000
"""Bytes of the answer below ``/v1/large``."""


class Ledger:
    """What was carried out, by all processes that share ``folder``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lines = os.open(folder / "ledger", os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def carry_out(self, token: str, key: str | None) -> None:
        if key is None:
            os.write(self._lines, f"{token}\n".encode())
        else:
            (self._folder / f"key-{key}").touch()


class Server:
    """What all connections share."""

    def __init__(self, ledger: Ledger, fault: str) -> None:
        self.ledger = ledger
        self.fault = fault
        self.faulty = False
        self.draining = False
        self.connections: set[Connection] = set()


class Connection(asyncio.Protocol):
    """One client, one request after another."""

    transport: asyncio.Transport

    def __init__(self, server: Server) -> None:
        self._server = server
        self._data = b""
        self.busy = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._server.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.connections.discard(self)

    def data_received(self, data: bytes) -> None:
        self._data += data
        head, end, rest = self._data.partition(b"\r\n\r\n")
        if not end or self.busy:
            return
        line, *fields = head.decode().split("\r\n")
        told = {name.lower(): value for name, _, value in (field.partition(": ") for field in fields)}
        length = int(told.get("content-length", "0"))
        if len(rest) < length:
            return
        self._data = rest[length:]
        method, path, _ = line.split(" ")
        if path in ("/livez", "/readyz"):
            status = 503 if self._server.draining and path == "/readyz" else 200
            self._write(status, b"")
            return
        token = told["x-token"]
        if method == "POST":
            self._server.ledger.carry_out(token, told.get("idempotency-key"))
        self.busy = True
        body = token.encode() + (b" " * LARGE if path.startswith("/v1/large") else b"")
        asyncio.get_running_loop().call_later(WORK_S, self._answer, body)

    def _answer(self, body: bytes) -> None:
        self.busy = False
        fault = self._server.fault if self._server.faulty else ""
        if fault == "error":
            self._write(500, body)
        elif fault == "half":
            self._write(200, body, cut=True)
        else:
            self._write(200, body)

    def _write(self, status: int, body: bytes, *, cut: bool = False) -> None:
        close = b"Connection: close\r\n" if self._server.draining else b""
        head = b"HTTP/1.1 %d Said\r\nContent-Length: %d\r\n%b\r\n" % (status, len(body), close)
        if self._server.fault == "slow" and self._server.faulty:
            self._drip(head + body)
            return
        self.transport.write(head + (body[: len(body) // 2] if cut else body))
        if cut or self._server.draining:
            self.transport.close()

    def _drip(self, data: bytes) -> None:
        """A byte a second."""
        if data and not self.transport.is_closing():
            self.transport.write(data[:1])
            asyncio.get_running_loop().call_later(1.0, self._drip, data[1:])


async def main(port: int, folder: Path, fault: str) -> None:
    server = Server(Ledger(folder), fault)
    loop = asyncio.get_running_loop()
    listening = await loop.create_server(lambda: Connection(server), "127.0.0.1", port)
    ended = asyncio.Event()
    loop.add_signal_handler(signal.SIGUSR1, setattr, server, "faulty", True)
    loop.add_signal_handler(signal.SIGTERM, ended.set)
    print("listening", flush=True)
    await ended.wait()
    server.draining = True
    await asyncio.sleep(DRAIN_S)
    listening.close()
    for connection in list(server.connections):
        if not connection.busy:
            connection.transport.close()
    while server.connections:  # noqa: ASYNC110 (what is waited for has no event)
        await asyncio.sleep(0.005)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]))
