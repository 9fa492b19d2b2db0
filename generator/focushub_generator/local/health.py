"""One HTTP request without an HTTP library: all that `up` and `status` need, in a process that stays small."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import NamedTuple
from urllib.parse import urlsplit

LIMIT = 256 * 1024


class Answer(NamedTuple):
    """A response; ``status`` 0 means that none came, and ``body`` then says why."""

    status: int
    body: str

    @property
    def fields(self) -> dict[str, object]:
        """The body as a JSON object; empty when it is none."""
        with suppress(ValueError):
            found = json.loads(self.body)
            if isinstance(found, dict):
                return found
        return {}


async def request(url: str, *, method: str = "GET", body: object = None, timeout: float = 2.0) -> Answer:
    """Sends one request over a connection of its own; never raises for what the other end does."""
    try:
        async with asyncio.timeout(timeout):
            return await _exchange(url, method, b"" if body is None else json.dumps(body).encode())
    except TimeoutError:
        return Answer(0, f"no answer within {timeout:g} s")
    except (OSError, ValueError, IndexError, asyncio.IncompleteReadError) as error:
        return Answer(0, str(error) or type(error).__name__)


async def health(url: str, timeout: float = 2.0) -> Answer:
    """``GET /health`` of a part."""
    return await request(f"{url}/health", timeout=timeout)


async def readiness(url: str, timeout: float = 2.0) -> Answer:
    """``GET /readyz?verbose`` of a part: its checks, and what else it shows."""
    return await request(f"{url}/readyz?verbose", timeout=timeout)


async def _exchange(url: str, method: str, body: bytes) -> Answer:
    address = urlsplit(url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port, limit=LIMIT)
    try:
        target = (address.path or "/") + (f"?{address.query}" if address.query else "")
        writer.write(_head(method, target, address.netloc, len(body)) + body)
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        status = int(head[0].split(" ")[1])
        return Answer(status, (await _body(reader, head[1:])).decode(errors="replace"))
    finally:
        writer.close()


def _head(method: str, target: str, host: str, length: int) -> bytes:
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}", "Accept: application/json", "Connection: close"]
    if length:
        lines += ["Content-Type: application/json", f"Content-Length: {length}"]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


async def _body(reader: asyncio.StreamReader, lines: list[str]) -> bytes:
    fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    if fields.get("transfer-encoding", "").lower() != "chunked":
        length = fields.get("content-length")
        return await (reader.read(LIMIT) if length is None else reader.readexactly(min(int(length), LIMIT)))
    body = b""
    while size := int(await reader.readuntil(b"\r\n"), 16):
        body += (await reader.readexactly(size + 2))[:-2]
    return body
