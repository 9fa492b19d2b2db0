"""The engine on sockets: what RFC 9112 and 9110 ask of a proxy, byte by byte."""

from __future__ import annotations

import asyncio
import json
from random import Random

import pytest

from focushub_core.balancer import State
from focushub_core.proxy.http1 import chunk, last_chunk

from .conftest import Bench, until
from .http1.test_refused import ANSWERS, CHUNKED, REFUSED
from .raw import Client, answering, each

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CHUNKS = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk(b"ok") + last_chunk()


async def connect(bench: Bench, *upstreams: str) -> Client:
    front, _ = await bench.engine(*upstreams)
    return await bench.connect(front)


@pytest.mark.parametrize(("status", "data"), REFUSED.values(), ids=REFUSED)
async def test_what_is_refused_is_a_problem_closes_and_does_not_reach_an_upstream(
    bench: Bench, status: int, data: bytes
) -> None:
    asked: list[bytes] = []

    async def note(head: bytes, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(head)

    client = await connect(bench, await bench.script(each(note)))
    reply = await client.ask(data + GET)
    problem = json.loads(reply.body)

    assert (reply.status, reply.fields[b"connection"]) == (status, b"close")
    assert (problem["status"], problem["request_id"]) == (status, reply.fields[b"x-request-id"].decode())
    assert await client.closed()
    assert data.startswith(CHUNKED) or not asked  # such a body had begun to stream


@pytest.mark.parametrize("data", ANSWERS.values(), ids=ANSWERS)
async def test_an_answer_that_could_be_read_in_two_ways_is_a_502_or_breaks_off(
    bench: Bench, data: bytes
) -> None:
    client = await connect(bench, await bench.script(answering(data)))
    reply = await client.ask(GET)

    assert reply.status == 502 or not reply.whole


async def test_pipelined_requests_are_answered_in_order(bench: Bench) -> None:
    async def echo(head: bytes, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        target = head.split(b" ")[1]
        await asyncio.sleep(0.05 if target == b"/1" else 0)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(target), target))

    client = await connect(bench, await bench.script(each(echo)))
    client.writer.write(b"".join(b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % n for n in range(1, 50)))

    assert [(await client.reply()).body for _ in range(1, 50)] == [b"/%d" % n for n in range(1, 50)]


async def test_a_client_that_closed_its_side_gets_the_answers_it_asked_for(bench: Bench) -> None:
    async def slow(_: bytes, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.05)
        writer.write(OK)

    client = await connect(bench, await bench.script(each(slow)))
    client.writer.write(GET + GET)
    client.writer.write_eof()

    assert [(await client.reply()).body for _ in range(2)] == [b"ok", b"ok"]
    assert await client.closed()


@pytest.mark.parametrize(
    "start", [b"GET / HT", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf"]
)
async def test_half_a_request_is_a_400(bench: Bench, start: bytes) -> None:
    client = await connect(bench, await bench.script(answering(OK)))
    client.writer.write(start)
    client.writer.write_eof()

    assert (await client.reply()).status == 400
    assert await client.closed()


EXPECT = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n"


async def test_an_expectation_goes_to_the_upstream_and_its_100_comes_back(bench: Bench) -> None:
    async def upstream(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert b"Expect: 100-continue\r\n" in head
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = await reader.readexactly(4)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n" + body)

    client = await connect(bench, await bench.script(each(upstream)))
    for _ in range(2):
        assert (await client.ask(EXPECT)).status == 100
        reply = await client.ask(b"body")
        assert (reply.status, reply.body, b"connection" in reply.fields) == (200, b"body", False)


async def test_a_final_answer_instead_of_100_closes_the_connection(bench: Bench) -> None:
    refusal = b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nbig"
    client = await connect(bench, await bench.script(answering(refusal)))
    reply = await client.ask(EXPECT)

    assert (reply.status, reply.body, reply.fields[b"connection"]) == (413, b"big", b"close")
    assert await client.closed()


async def test_an_early_answer_reaches_a_client_that_still_sends(bench: Bench) -> None:
    """The connection lingers: it is not reset under the answer."""
    refusal = b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nbig"
    client = await connect(bench, await bench.script(answering(refusal)))
    client.writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10000000\r\n\r\n")
    for _ in range(20):
        client.writer.write(b"x" * 10_000)
        await asyncio.sleep(0.005)
    reply = await client.reply()

    assert (reply.status, reply.body) == (413, b"big")


HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"


async def test_interim_answers_are_passed_on(bench: Bench) -> None:
    client = await connect(bench, await bench.script(answering(HINTS + HINTS + OK)))
    replies = [await client.ask(GET), await client.reply(), await client.reply()]

    assert [reply.status for reply in replies] == [103, 103, 200]
    assert replies[0].fields[b"link"] == b"</a>"


async def test_http_1_0_hears_no_interim_answers_and_no_chunks(bench: Bench) -> None:
    body = chunk(b"x" * 70_000) + last_chunk()
    upstream = answering(HINTS + b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body)
    front, _ = await bench.engine(await bench.script(upstream))
    raw = await front.raw(b"GET / HTTP/1.0\r\nHost: a\r\n\r\n")

    assert raw.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"Connection: close\r\n" in raw
    assert raw.endswith(b"\r\n\r\n" + b"x" * 70_000)


async def test_to_http_1_0_half_an_answer_is_a_reset(bench: Bench) -> None:
    async def half(_: bytes, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk(b"half"))
        await writer.drain()
        writer.close()

    front, _ = await bench.engine(await bench.script(each(half)))
    with pytest.raises(ConnectionResetError):
        await front.raw(b"GET / HTTP/1.0\r\nHost: a\r\n\r\n")


@pytest.mark.parametrize(
    "answer", [b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", HINTS * 17], ids=["101", "too many"]
)
async def test_interim_answers_that_nobody_asked_for_are_a_502(bench: Bench, answer: bytes) -> None:
    client = await connect(bench, await bench.script(answering(answer)))
    reply = await client.ask(GET)
    while reply.status == 103:
        reply = await client.reply()

    assert reply.status == 502


async def test_trailers_pass_both_ways_without_those_that_mean_something(bench: Bench) -> None:
    got: list[bytes] = []

    async def upstream(_: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        got.append(await reader.readuntil(b"X-Sum: 1\r\n\r\n"))
        head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        writer.write(head + chunk(b"ok") + last_chunk([(b"X-Took", b"1"), (b"Via", b"forged")]))

    client = await connect(bench, await bench.script(each(upstream)))
    head = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    trailers = [(b"X-User-Id", b"7"), (b"X-Forwarded-For", b"1.2.3.4"), (b"X-Sum", b"1")]
    reply = await client.ask(head + b"5;a=b\r\nhello\r\n" + last_chunk(trailers))

    assert got == [b"5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n"]
    assert (reply.body, reply.trailers) == (b"ok", ((b"X-Took", b"1"),))


async def test_an_answer_that_lasts_until_the_end_of_its_connection_goes_on_in_chunks(bench: Bench) -> None:
    async def upstream(_: bytes, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nall")
        await writer.drain()
        writer.close()

    client = await connect(bench, await bench.script(each(upstream)))
    for _ in range(2):
        reply = await client.ask(GET)
        assert (reply.body, reply.whole, reply.fields[b"transfer-encoding"]) == (b"all", True, b"chunked")
        assert reply.fields[b"via"] == b"1.0 test"
        assert b"date" in reply.fields


async def test_the_absolute_form_of_this_authority_goes_on_in_origin_form(bench: Bench) -> None:
    async def echo(head: bytes, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = head.split(b"\r\n")[0]
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(line), line))

    client = await connect(bench, await bench.script(each(echo)))
    reply = await client.ask(b"GET http://A:80/x?y HTTP/1.1\r\nHost: a:80\r\n\r\n")

    assert reply.body == b"GET /x?y HTTP/1.1"


@pytest.mark.parametrize("extra", [b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", b"\r\n", b"x"])
async def test_what_comes_behind_an_answer_reaches_nobody(bench: Bench, extra: bytes) -> None:
    """Neither with the answer nor later, while the connection idles."""
    with_it = await bench.script(answering(OK + extra, OK))
    client = await connect(bench, with_it)
    assert [(await client.ask(GET)).body for _ in range(3)] == [b"ok"] * 3

    sent = asyncio.Event()

    async def later(_: bytes, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(OK)
        await writer.drain()
        await asyncio.sleep(0.05)
        writer.write(extra)
        sent.set()

    client = await connect(bench, await bench.script(each(later)))
    assert (await client.ask(GET)).body == b"ok"
    await sent.wait()
    await asyncio.sleep(0.05)
    assert (await client.ask(GET)).body == b"ok"


async def test_a_kept_connection_that_was_closed_costs_a_get_nothing(bench: Bench) -> None:
    """It says nothing of closing, and closes after each answer."""
    connections = 0

    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK)
        await writer.drain()
        await reader.readuntil(b"\r\n\r\n")  # and hangs up on the next one

    front, _ = await bench.engine(await bench.script(once))
    client = await bench.connect(front)
    assert [(await client.ask(GET)).status for _ in range(6)] == [200] * 6
    assert connections == 6
    assert front.pool.upstreams[0].health.state(0.0) is State.UNKNOWN


@pytest.mark.parametrize(
    "answer", [OK, b"HTTP/1.1 204 No Content\r\n\r\n", CHUNKS], ids=["length", "none", "chunks"]
)
async def test_connections_are_kept_on_both_sides(bench: Bench, answer: bytes) -> None:
    connections = 0

    async def count(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await answering(answer)(reader, writer)

    front, _ = await bench.engine(await bench.script(count))
    client = await bench.connect(front)
    for _ in range(30):
        assert (await client.ask(GET)).whole
    assert connections == 1


async def test_no_answer_reaches_another_client(bench: Bench) -> None:
    """Clients that vanish, upstreams that are slow, large and small answers: each carries its own token."""
    random = Random(6)

    async def echo(head: bytes, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        token = head.split(b" ")[1][1:]
        await asyncio.sleep(random.random() / 100)
        body = token * random.choice((1, 10, 20_000))
        if random.random() < 0.3:
            writer.write(
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk(body) + last_chunk()
            )
        else:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))

    front, _ = await bench.engine(*[await bench.script(each(echo)) for _ in range(2)])
    wrong: list[bytes] = []
    answered = 0

    async def one(number: int) -> None:
        nonlocal answered
        client = await bench.connect(front)
        for turn in range(12):
            token = b"%06d" % (number * 100 + turn)
            client.writer.write(b"GET /%b HTTP/1.1\r\nHost: a\r\n\r\n" % token)
            if random.random() < 0.1:
                client.writer.transport.abort()
                client = await bench.connect(front)
                continue
            reply = await client.reply()
            answered += 1
            if reply.body.replace(token, b"") or not reply.body:
                wrong.append(reply.body[:50])

    await asyncio.gather(*(one(number) for number in range(40)))
    assert wrong == []
    assert answered > 300
    await until(lambda: not any(upstream.in_flight for upstream in front.pool.upstreams))


async def test_an_upstream_that_takes_no_body_holds_the_client_back(bench: Bench) -> None:
    go_on = asyncio.Event()

    async def stubborn(_: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await go_on.wait()
        await reader.readexactly(64 * 2**20)
        writer.write(OK)

    client = await connect(bench, await bench.script(each(stubborn)))
    client.writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % (64 * 2**20))
    sent, piece = 0, b"x" * 2**20
    try:
        while sent < 64:
            client.writer.write(piece)
            sent += 1
            async with asyncio.timeout(0.5):
                await client.writer.drain()
    except TimeoutError:
        pass

    assert sent < 48
    go_on.set()
    client.writer.write(piece * (64 - sent))
    assert (await client.reply(within_s=20)).status == 200


async def test_a_refused_request_with_a_small_body_keeps_its_connection(bench: Bench) -> None:
    front, engine = await bench.engine(await bench.script(answering(OK)))
    from focushub_core.errors import NotFound

    inner = engine.route

    def route(head: object, side: object) -> object:
        if head.target == b"/no":  # type: ignore[attr-defined]
            raise NotFound()
        return inner(head, side)  # type: ignore[arg-type]

    engine.route = route  # type: ignore[assignment]
    client = await bench.connect(front)
    small = b"POST /no HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n"
    assert (await client.ask(small)).status == 404
    assert (await client.ask(b"body" + GET)).status == 200
    large = await client.ask(b"POST /no HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n")
    assert (large.status, large.fields[b"connection"]) == (404, b"close")


async def test_stopping_finishes_what_runs_and_closes_what_idles(bench: Bench) -> None:
    running, go_on = asyncio.Event(), asyncio.Event()

    async def slow(_: bytes, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        running.set()
        await go_on.wait()
        writer.write(OK)

    front, engine = await bench.engine(await bench.script(each(slow)))
    idle, busy = [await bench.connect(front) for _ in range(2)]
    busy.writer.write(GET)
    await running.wait()
    stopping = asyncio.create_task(engine.stop(10))
    assert await idle.closed()
    with pytest.raises(OSError, match=r"refused|failed"):
        await bench.connect(front)
    go_on.set()
    reply = await busy.reply()

    assert (reply.status, reply.fields[b"connection"]) == (200, b"close")
    await stopping
