"""Upstreams that fail: who is asked instead, and what the client hears."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress

import pytest
from aiohttp import ClientPayloadError, web

from focushub_core.balancer import State
from focushub_core.proxy.engine import Timeouts

from .conftest import Bench, Script, until


async def head(reader: asyncio.StreamReader) -> str:
    """The method of the request that comes in."""
    return (await reader.readuntil(b"\r\n\r\n")).split(b" ")[0].decode()


class Ledger:
    """Upstreams that write down what they were asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def good(self, request: web.Request) -> web.Response:
        body = await request.read()
        self.asked.append(f"good {request.method} {body.decode()}".strip())
        return web.Response(text="good")

    def bad(self, answer: bytes) -> Script:
        """Reads a request, writes ``answer``, and closes."""

        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.asked.append(f"bad {await head(reader)}")
            writer.write(answer)
            await writer.drain()

        return script


HALF = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"
SILENCE = b""


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "POST", "PATCH"])
async def test_a_refused_connection_goes_elsewhere_whatever_the_method(
    bench: Bench, refused: str, method: str
) -> None:
    ledger = Ledger()
    front = await bench.front(refused, await bench.app(ledger.good))
    body = b"" if method in ("GET", "HEAD") else b"body"
    async with front.client.request(method, "/", data=body or None) as answer:
        assert answer.status == 200

    assert ledger.asked == [f"good {method} {body.decode()}".strip()]


async def test_a_large_body_of_which_nothing_was_sent_goes_elsewhere(bench: Bench, refused: str) -> None:
    ledger = Ledger()
    front = await bench.front(refused, await bench.app(ledger.good))
    async with front.client.post("/", data=b"x" * 500_000) as answer:
        assert answer.status == 200

    assert len(ledger.asked[0]) == len("good POST ") + 500_000


@pytest.mark.parametrize("failure", [SILENCE, HALF], ids=["no answer", "half an answer"])
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_a_replayable_request_that_got_no_whole_answer_goes_elsewhere(
    bench: Bench, method: str, failure: bytes
) -> None:
    ledger = Ledger()
    front = await bench.front(await bench.script(ledger.bad(failure)), await bench.app(ledger.good))
    async with front.client.request(method, "/", data=b"b" if method == "PUT" else None) as answer:
        assert (answer.status, await answer.text()) == (200, "good")

    # aiohttp's client may ask the first one twice by itself
    assert list(dict.fromkeys(ledger.asked)) == [
        f"bad {method}",
        f"good {method}{' b' if method == 'PUT' else ''}",
    ]


@pytest.mark.parametrize("failure", [SILENCE, HALF, b"nonsense\r\n\r\n"])
async def test_a_post_without_an_answer_is_a_502_problem_and_never_sent_twice(
    bench: Bench, failure: bytes
) -> None:
    ledger = Ledger()
    front = await bench.front(await bench.script(ledger.bad(failure)), await bench.app(ledger.good))
    async with front.client.post("/", data=b"order") as answer:
        problem = await answer.json(content_type="application/problem+json")

    assert (answer.status, problem["status"]) == (502, 502)
    assert ledger.asked == ["bad POST"]


async def test_a_post_that_hangs_is_a_504_problem_and_never_sent_twice(bench: Bench) -> None:
    asked: list[str] = []

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await head(reader))
        await reader.read()

    front = await bench.front(
        await bench.script(hang), await bench.script(hang), timeouts=Timeouts(answer_s=0.3)
    )
    async with front.client.post("/") as answer:
        problem = await answer.json(content_type="application/problem+json")

    assert (answer.status, problem["code"]) == (504, "upstream_timeout")
    assert asked == ["POST"]


async def test_a_small_answer_that_stops_half_way_is_a_504_at_the_deadline(bench: Bench) -> None:
    async def stall(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await head(reader)
        writer.write(HALF)
        await reader.read()

    front = await bench.front(await bench.script(stall), timeouts=Timeouts(answer_s=0.3))
    async with front.client.get("/") as answer:
        assert answer.status == 504


async def test_refused_everywhere_is_a_503_problem_at_once(bench: Bench, refused: str) -> None:
    front = await bench.front(refused, refused.replace("127.0.0.1", "localhost"))
    took = []
    for _ in range(5):
        started = time.monotonic()
        async with front.client.post("/", data=b"x") as answer:
            problem = await answer.json(content_type="application/problem+json")
        took.append(time.monotonic() - started)
        assert (answer.status, problem["code"]) == (503, "upstream_unreachable")
        assert answer.headers["Retry-After"] == "1"

    assert min(took) < 0.05


@pytest.mark.parametrize(
    "start",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 100_000,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"186a0\r\n" + b"x" * 100_000 + b"\r\n",
    ],
    ids=["length", "chunks"],
)
async def test_half_a_large_answer_is_never_a_clean_200(bench: Bench, start: bytes) -> None:
    front = await bench.front(await bench.script(Ledger().bad(start)))
    with pytest.raises(ClientPayloadError):
        async with front.client.get("/") as answer:
            await answer.read()

    raw = await front.raw(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert raw.startswith(b"HTTP/1.1 200")
    assert not raw.endswith(b"0\r\n\r\n")


async def test_five_failures_in_a_row_eject_the_upstream(bench: Bench) -> None:
    async def broken(request: web.Request) -> web.Response:
        raise web.HTTPInternalServerError

    ledger = Ledger()
    front = await bench.front(await bench.app(broken), await bench.app(ledger.good))
    statuses = []
    for _ in range(20):
        async with front.client.get("/") as answer:
            statuses.append(answer.status)

    assert statuses.count(500) == 5
    assert front.pool.upstreams[0].health.state(time.monotonic()) is State.EJECTED


@pytest.mark.parametrize("size", [100, 1_000_000], ids=["a small answer", "a large one"])
async def test_so_do_five_answers_that_break_off(bench: Bench, size: int) -> None:
    """Their heads looked well each time."""
    ledger = Ledger()
    begins = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\nhalf" % size
    front = await bench.front(await bench.script(ledger.bad(begins)), await bench.app(ledger.good))
    for _ in range(20):
        with suppress(ClientPayloadError):
            async with front.client.post("/") as answer:
                await answer.read()

    assert ledger.asked.count("bad POST") == 5
    assert front.pool.upstreams[0].health.state(time.monotonic()) is State.EJECTED


async def test_a_client_that_goes_away_frees_the_upstream(bench: Bench) -> None:
    freed = asyncio.Event()

    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        try:
            while True:
                writer.write(b"1000\r\n" + b"x" * 4096 + b"\r\n")
                await writer.drain()
                await asyncio.sleep(0)
        finally:
            freed.set()

    front = await bench.front(await bench.script(endless))
    answer = await front.client.get("/")
    await answer.content.readany()
    answer.close()

    await asyncio.wait_for(freed.wait(), 10)
    await until(lambda: front.pool.upstreams[0].in_flight == 0)
    assert front.pool.upstreams[0].health.state(time.monotonic()) is State.UNKNOWN


async def test_a_client_that_breaks_off_its_body_is_not_the_upstreams_fault(bench: Bench) -> None:
    started = asyncio.Event()

    async def slow(request: web.Request) -> web.Response:
        started.set()
        await request.read()
        return web.Response()

    front = await bench.front(await bench.app(slow))
    for _ in range(6):
        started.clear()
        _, writer = await asyncio.open_connection(front.host, front.port)
        writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 70_000)
        await asyncio.wait_for(started.wait(), 5)
        writer.close()
    await until(lambda: front.pool.upstreams[0].in_flight == 0)

    assert front.pool.upstreams[0].health.state(time.monotonic()) is State.UNKNOWN
