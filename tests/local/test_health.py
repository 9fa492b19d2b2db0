"""One small HTTP request, whatever the other end answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from focushub_generator.local.health import Answer, request

Server = Callable[[asyncio.StreamReader, asyncio.StreamWriter], object]


@asynccontextmanager
async def answering(raw: bytes | None) -> AsyncIterator[str]:
    """A server that answers every request with ``raw``, or never."""
    done = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        if raw is None:
            await done.wait()
        else:
            writer.write(raw)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/health"
        done.set()


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokmore", Answer(200, "ok")),
        (b"HTTP/1.1 503 No\r\n\r\nall of it", Answer(503, "all of it")),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n2\r\n, \r\n0\r\n\r\n",
            Answer(200, "one, "),
        ),
        (b"HTTP/1.1 204 None\r\nContent-Length: 0\r\n\r\n", Answer(204, "")),
    ],
)
async def test_an_answer_is_its_status_and_its_body(raw: bytes, expected: Answer) -> None:
    async with answering(raw) as url:
        assert await request(url) == expected


@pytest.mark.parametrize(
    "raw",
    [b"", b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\ncut", b"HTTP/1.1 x\r\n\r\n"],
)
async def test_nonsense_is_no_answer(raw: bytes) -> None:
    async with answering(raw) as url:
        assert (await request(url)).status == 0


async def test_a_silent_part_is_no_answer_after_the_timeout() -> None:
    async with answering(None) as url:
        assert await request(url, timeout=0.05) == Answer(0, "no answer within 0.05 s")


async def test_nobody_there_is_no_answer() -> None:
    async with answering(b"") as url:
        pass
    assert (await request(url)).status == 0


@pytest.mark.parametrize(
    ("body", "fields"), [('{"version": "1"}', {"version": "1"}), ("[1]", {}), ("no", {})]
)
def test_the_fields_of_an_answer_are_those_of_a_json_object(body: str, fields: dict[str, object]) -> None:
    assert Answer(200, body).fields == fields
