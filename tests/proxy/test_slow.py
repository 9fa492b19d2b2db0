"""Slow and many clients: each has its deadline, none costs the others anything. The long forms: ``tox -e long``."""

from __future__ import annotations

import asyncio
import resource
import statistics
import sys
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from focushub_core.proxy.engine import Timeouts

from .conftest import Bench, until
from .raw import Client, answering, each
from .test_process import balancer, listening

pytestmark = pytest.mark.slow

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
QUICK = Timeouts(
    head_s=0.3, body_rate=1000, body_grace_s=0.3, keep_alive_s=0.5, idle_s=0.5, answer_s=2, linger_s=0.2
)


async def client_of(bench: Bench, *upstreams: str) -> Client:
    front, _ = await bench.engine(*upstreams, timeouts=QUICK)
    return await bench.connect(front)


async def trickle(client: Client, data: bytes, every_s: float) -> None:
    with suppress(ConnectionError):
        for byte in data:
            if client.writer.transport.is_closing():
                return
            client.writer.write(bytes([byte]))
            await asyncio.sleep(every_s)


async def test_a_head_that_comes_too_slowly_is_a_408(bench: Bench) -> None:
    client = await client_of(bench, await bench.script(answering(OK)))
    slow = asyncio.create_task(trickle(client, GET * 10, 0.02))
    reply = await client.reply()

    assert (reply.status, reply.fields[b"connection"]) == (408, b"close")
    await slow


@pytest.mark.parametrize(
    "framing", [b"Content-Length: 1000", b"Content-Length: 100000", b"Transfer-Encoding: chunked"]
)
async def test_a_body_that_comes_too_slowly_is_a_408_and_blames_no_upstream(
    bench: Bench, framing: bytes
) -> None:
    front, _ = await bench.engine(await bench.script(answering(b"")), timeouts=QUICK)
    client = await bench.connect(front)
    client.writer.write(b"POST / HTTP/1.1\r\nHost: a\r\n" + framing + b"\r\n\r\n")
    slow = asyncio.create_task(trickle(client, b"1\r\nx\r\n" * 50, 0.02))
    reply = await client.reply()

    assert reply.status == 408
    assert front.pool.upstreams[0].in_flight == 0
    await slow


async def test_a_body_that_was_asked_for_and_does_not_come_is_a_408_and_blames_no_upstream(
    bench: Bench,
) -> None:
    """Else five clients who say ``Expect: 100-continue``, and then nothing, had an upstream ejected."""

    async def welcome(_: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        await reader.read()

    front, _ = await bench.engine(await bench.script(each(welcome)), timeouts=Timeouts(answer_s=0.3))
    client = await bench.connect(front)
    expecting = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n"
    assert (await client.ask(expecting)).status == 100
    assert (await client.reply()).status == 408
    assert await client.closed()
    assert (front.pool.upstreams[0].health.faulty, front.pool.upstreams[0].in_flight) == (0, 0)


async def test_an_expectation_that_is_not_answered_is_a_504(bench: Bench) -> None:
    async def silent(_: bytes, reader: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
        await reader.read()

    front, _ = await bench.engine(await bench.script(each(silent)), timeouts=Timeouts(answer_s=0.3))
    client = await bench.connect(front)
    expecting = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n"
    assert (await client.ask(expecting)).status == 504
    assert front.pool.upstreams[0].health.faulty == 1


async def test_a_body_that_keeps_the_rate_may_take_longer_than_the_grace(bench: Bench) -> None:
    async def whole(_: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(3000)
        writer.write(OK)

    patient = replace(QUICK, body_grace_s=1, idle_s=5, answer_s=10)  # a machine may stand still for a moment
    front, _ = await bench.engine(await bench.script(each(whole)), timeouts=patient)
    client = await bench.connect(front)
    client.writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3000\r\n\r\n")
    for _ in range(15):
        client.writer.write(b"x" * 200)
        await asyncio.sleep(0.1)

    assert (await client.reply()).status == 200


async def test_an_idle_connection_is_closed_without_a_word(bench: Bench) -> None:
    client = await client_of(bench, await bench.script(answering(OK)))
    assert (await client.ask(GET)).status == 200
    started = time.monotonic()

    assert await client.closed()
    assert time.monotonic() - started < 3


async def test_a_client_that_takes_nothing_is_cut_off_and_frees_its_upstream(bench: Bench) -> None:
    async def endless(_: bytes, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"10000\r\n" + b"x" * 65536 + b"\r\n")
            await writer.drain()

    front, _ = await bench.engine(await bench.script(each(endless)), timeouts=QUICK)
    client = await bench.connect(front)
    client.writer.write(GET)
    await until(lambda: front.pool.upstreams[0].in_flight == 1)
    await until(lambda: front.pool.upstreams[0].in_flight == 0)
    client.writer.transport.abort()


async def test_an_upstream_that_stops_half_way_is_cut_off(bench: Bench) -> None:
    async def stops(_: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 70_000)
        await reader.read()

    client = await client_of(bench, await bench.script(each(stops)))
    reply = await client.ask(GET)

    assert (reply.status, len(reply.body), reply.whole) == (200, 70_000, False)


async def p99(port: int, requests: int) -> float:
    """Of four fast clients, in seconds."""
    took: list[float] = []

    async def one() -> None:
        client = await Client.to("127.0.0.1", port)
        for _ in range(requests // 4):
            started = time.perf_counter()
            assert (await client.ask(GET)).status == 200
            took.append(time.perf_counter() - started)
        client.close()

    await asyncio.gather(*(one() for _ in range(4)))
    return sorted(took)[int(len(took) * 0.99)]


async def slow_ones(bench: Bench, many: int, requests: int) -> float:
    """How many times longer the fast clients' p99 is with ``many`` slow heads, bodies and readers each.

    Balancer, slow clients and fast ones are processes of their own.
    """

    async def mixed(head: bytes, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if b"/large" not in head:
            writer.write(OK)
            return
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
        for _ in range(20):
            writer.write(b"x" * 50_000)
            await writer.drain()

    upstream = await bench.script(each(mixed))
    with balancer(upstream) as (_, port):
        await listening(port)
        await p99(port, requests // 4)  # warm
        alone = await p99(port, requests)
        program = str(Path(__file__).with_name("slow_clients.py"))
        argv = [sys.executable, program, str(port), str(many)]
        slow = await asyncio.create_subprocess_exec(*argv, stdout=asyncio.subprocess.PIPE)
        assert slow.stdout is not None
        try:
            assert await slow.stdout.readline() == b"ready\n"
            beside = await p99(port, requests)
        finally:
            slow.kill()
            await slow.wait()
        return beside / alone


async def test_slow_clients_do_not_hold_up_the_fast_ones(bench: Bench) -> None:
    assert await slow_ones(bench, 40, 2000) < 10  # a busy machine; the long form asks for twice


@pytest.mark.long
async def test_a_thousand_slow_heads_bodies_and_readers_at_most_double_the_p99(bench: Bench) -> None:
    raise_files()
    found = [await slow_ones(bench, 1000, 8000) for _ in range(3)]

    assert statistics.median(found) <= 2, found


def raise_files() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < 40_000 <= hard or hard == resource.RLIM_INFINITY:
        resource.setrlimit(resource.RLIMIT_NOFILE, (40_000, hard))


def resident() -> int:
    """Bytes."""
    return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * resource.getpagesize()


async def test_a_large_body_passes_both_ways_in_bounded_memory(bench: Bench) -> None:
    await pass_large(bench, 24)


@pytest.mark.long
async def test_a_hundred_megabytes_pass_both_ways_in_bounded_memory(bench: Bench) -> None:
    await pass_large(bench, 100)


async def pass_large(bench: Bench, megabytes: int) -> None:
    size, piece = megabytes * 2**20, b"x" * 2**18

    async def echo(_: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        left = size
        while left:
            data = await reader.read(2**18)
            left -= len(data)
            writer.write(data)
            await writer.drain()

    client = await client_of(bench, await bench.script(each(echo)))
    client.writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size)
    before = resident()

    async def send() -> None:
        for _ in range(size // len(piece)):
            client.writer.write(piece)
            await client.writer.drain()

    sending = asyncio.create_task(send())
    await client.reader.readuntil(b"\r\n\r\n")
    received = 0
    while received < size:
        received += len(await client.reader.read(2**18))
    await sending

    assert received == size
    assert resident() - before < 16 * 2**20
