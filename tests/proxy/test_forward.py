"""Forwarding over real sockets: both ways, whole, and in bounded memory."""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from yarl import URL

from focushub_core.proxy.engine import Timeouts

from .conftest import Bench

PIECE = b"0123456789abcdef" * 4096  # 64 KiB


async def test_a_request_and_its_answer_pass_whole(bench: Bench) -> None:
    async def echo(request: web.Request) -> web.Response:
        return web.Response(
            status=207,
            reason="Odd",
            body=await request.read(),
            headers=[("X-Saw", f"{request.method} {request.raw_path}"), ("X-A", "1"), ("X-A", "2")],
        )

    front = await bench.front(await bench.app(echo))
    async with front.client.post(URL("/v1/%C3%A9?b=%2F&a=1&a=", encoded=True), data=b"body") as answer:
        assert (answer.status, answer.reason, await answer.read()) == (207, "Odd", b"body")
        assert answer.headers["X-Saw"] == "POST /v1/%C3%A9?b=%2F&a=1&a="
        assert answer.headers.getall("X-A") == ["1", "2"]
        assert answer.headers.getall("Via") == ["1.1 test"]


async def test_thirty_requests_over_three_are_ten_each(bench: Bench) -> None:
    seen: Counter[int] = Counter()

    async def count(request: web.Request) -> web.Response:
        seen[request.url.port or 0] += 1
        return web.Response()

    front = await bench.front(*[await bench.app(count) for _ in range(3)])
    for _ in range(30):
        async with front.client.get("/") as answer:
            assert answer.status == 200

    assert sorted(seen.values()) == [10, 10, 10]
    assert [upstream.in_flight for upstream in front.pool.upstreams] == [0, 0, 0]


async def test_the_upstream_hears_who_asked_and_nothing_that_was_forged(bench: Bench) -> None:
    async def show(request: web.Request) -> web.Response:
        names = {name.lower() for name in request.headers} - {
            "x-request-timeout-ms"
        }  # the gateway's is its own
        return web.json_response(sorted(names))

    upstream = await bench.app(show)
    front = await bench.front(upstream)
    sent = {"X-User-Id": "7", "X_User_Id": "7", "X-Forwarded-For": "1.2.3.4", "Accept-Encoding": "br"}
    async with front.client.get("/", headers=sent, skip_auto_headers=["User-Agent", "Accept"]) as answer:
        assert await answer.json() == [
            "accept-encoding",
            "host",
            "via",
            "x-forwarded-for",
            "x-forwarded-host",
            "x-forwarded-proto",
            "x-request-id",
        ]


@pytest.mark.parametrize("chunked", [True, False])
async def test_a_large_body_streams_up_and_down(bench: Bench, chunked: bool) -> None:
    """32 MiB each way, none of it altered, the framing kept."""
    framing: list[object] = []

    async def echo(request: web.Request) -> web.StreamResponse:
        framing.append(request.content_length)
        answer = web.StreamResponse()
        answer.content_length = request.content_length
        await answer.prepare(request)
        async for piece in request.content.iter_any():
            await answer.write(piece)
        return answer

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(512):
            yield PIECE

    front = await bench.front(await bench.app(echo))
    size = 512 * len(PIECE)
    headers = {} if chunked else {"Content-Length": str(size)}
    received, digest = 0, hashlib.sha256()
    async with front.client.post("/", data=pieces(), headers=headers) as answer:
        assert answer.content_length == (None if chunked else size)
        async for piece in answer.content.iter_any():
            received += len(piece)
            digest.update(piece)

    assert framing == [None if chunked else size]
    assert received == size
    assert digest.digest() == hashlib.sha256(PIECE * 512).digest()


async def test_the_answer_is_due_from_the_last_byte_of_a_large_body_on(bench: Bench) -> None:
    """An upload takes twice as long as an answer may."""

    async def count(request: web.Request) -> web.Response:
        return web.Response(text=str(len(await request.read())))

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(8):
            yield PIECE
            await asyncio.sleep(0.2)

    front = await bench.front(await bench.app(count), timeouts=Timeouts(answer_s=0.8))
    async with front.client.post("/", data=pieces()) as answer:
        assert (answer.status, await answer.text()) == (200, str(8 * len(PIECE)))


async def test_a_slow_reader_holds_the_upstream_back(bench: Bench) -> None:
    """Of 64 MiB only what the buffers on the way hold is sent while the client does not read."""
    written, stalled = 0, asyncio.Event()

    async def pour(request: web.Request) -> web.StreamResponse:
        nonlocal written
        answer = web.StreamResponse()
        await answer.prepare(request)
        for _ in range(1024):
            write = asyncio.create_task(answer.write(PIECE))
            done, _ = await asyncio.wait([write], timeout=0.5)
            if not done:
                stalled.set()
            await write
            written += len(PIECE)
        return answer

    front = await bench.front(await bench.app(pour))
    async with front.client.get("/") as answer:
        await asyncio.wait_for(stalled.wait(), 20)
        assert written < 32 * 1024 * 1024
        assert len(await answer.read()) == 1024 * len(PIECE)


async def test_events_pass_one_by_one(bench: Bench) -> None:
    go_on = asyncio.Event()

    async def events(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await answer.prepare(request)
        await answer.write(b"data: 1\n\n")
        await go_on.wait()
        await answer.write(b"data: 2\n\n")
        return answer

    front = await bench.front(await bench.app(events))
    async with front.client.get("/") as answer:
        assert await answer.content.readany() == b"data: 1\n\n"
        go_on.set()
        assert await answer.read() == b"data: 2\n\n"


@pytest.mark.parametrize(
    ("method", "status", "expected"),
    [("HEAD", 200, "7"), ("GET", 304, None), ("GET", 204, None), ("DELETE", 204, None)],
)
async def test_an_answer_without_a_body_keeps_its_head(
    bench: Bench, method: str, status: int, expected: str | None
) -> None:
    async def bare(request: web.Request) -> web.Response:
        return web.Response(
            status=status, body=b"1234567" if status == 200 else None, headers={"ETag": '"1"'}
        )

    front = await bench.front(await bench.app(bare))
    for _ in range(2):  # the second on the same connection: nothing was left over
        async with front.client.request(method, "/") as answer:
            assert (answer.status, answer.headers["ETag"]) == (status, '"1"')
            assert answer.headers.get("Content-Length") == expected
            assert await answer.read() == b""


async def test_a_compressed_answer_stays_as_it_is(bench: Bench) -> None:
    async def packed(request: web.Request) -> web.Response:
        answer = web.Response(body=b"x" * 10_000)
        answer.enable_compression(web.ContentCoding.gzip)
        return answer

    front = await bench.front(await bench.app(packed))
    async with front.client.get("/") as answer:
        assert answer.headers["Content-Encoding"] == "gzip"
        assert (await answer.read())[:2] == b"\x1f\x8b"


async def test_redirects_cookies_and_errors_are_the_clients_business(bench: Bench) -> None:
    async def redirect(request: web.Request) -> web.Response:
        return web.Response(
            status=302,
            headers={"Location": "/elsewhere", "Set-Cookie": "a=1"},
            text=str(dict(request.cookies)),
        )

    front = await bench.front(await bench.app(redirect))
    for _ in range(2):
        async with front.client.get("/", allow_redirects=False, headers={"Cookie": ""}) as answer:
            assert (answer.status, answer.headers["Location"]) == (302, "/elsewhere")
            assert await answer.text() == "{}"


async def test_an_answer_before_the_end_of_the_body_is_passed_on(bench: Bench) -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig")
        await writer.drain()
        while await reader.read(65536):
            pass

    front = await bench.front(await bench.script(refuse))
    gate = asyncio.Event()

    async def pieces() -> AsyncIterator[bytes]:
        yield PIECE
        await gate.wait()

    async with front.client.post("/", data=pieces()) as answer:
        assert (answer.status, await answer.read()) == (413, b"big")
        gate.set()


@pytest.mark.parametrize(
    ("given", "most"), [(None, 30_000), ("250", 250), ("99999999", 30_000), ("soon", 30_000)]
)
async def test_the_upstream_hears_how_much_time_is_left(bench: Bench, given: str | None, most: int) -> None:
    heard: list[str] = []

    async def note(request: web.Request) -> web.Response:
        heard.extend(request.headers.getall("X-Request-Timeout-Ms"))
        return web.Response()

    front = await bench.front(await bench.app(note))
    headers = {} if given is None else {"X-Request-Timeout-Ms": given}
    async with front.client.get("/", headers=headers) as answer:
        assert answer.status == 200
    assert len(heard) == 1
    assert most - 200 < int(heard[0]) <= most


async def test_a_request_ends_when_its_own_time_is_over(bench: Bench) -> None:
    async def hang(request: web.Request) -> web.Response:
        await asyncio.Event().wait()
        raise AssertionError

    front = await bench.front(await bench.app(hang))
    async with front.client.get("/", headers={"X-Request-Timeout-Ms": "150"}) as answer:
        assert (answer.status, (await answer.json())["code"]) == (504, "upstream_timeout")
