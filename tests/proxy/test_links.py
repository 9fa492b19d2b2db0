"""Connections to upstreams: when a request leaves, and whose answer it is that comes."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from focushub_core.proxy.engine.links import Link
from focushub_core.proxy.http1 import ResponseHead
from tests.proxy.wires import Bench, wire_of

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
POST = b"POST / HTTP/1.1\r\nHost: a\r\n"
WHOLE = b"Content-Length: 2\r\n\r\n{}"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
STREAMED = CHUNKED + b"2\r\n{}\r\n"


class Asker:
    """Asks on a link, and keeps what it hears."""

    def __init__(self, link: Link) -> None:
        self.link = link
        self.heard: list[object] = []

    def on_whole(self, head: ResponseHead, body: bytes) -> None:
        self.heard.append(body)
        self.link.done(0.0)

    def on_lost(self, error: BaseException | None) -> None:
        self.heard.append("lost")
        self.link.leave(clean=False)

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"{name} was not expected")


async def test_requests_leave_together_but_for_those_that_were_given_up() -> None:
    async with Bench(others=3) as bench:
        made = [bench.upstream() for _ in range(3)]
        for number, (link, wire) in enumerate(made):
            link.ask(Asker(link), b"GET", b"GET /%d" % number)
            assert wire.written == []
        made[1][0].leave(clean=False)
        await asyncio.sleep(0)

        assert [wire.written for _, wire in made] == [[b"GET /0"], [], [b"GET /2"]]


async def test_the_only_request_leaves_at_once() -> None:
    async with Bench() as bench:
        bench.link.ask(Asker(bench.link), b"GET", b"GET /")

        assert bench.asked == [b"GET /"]


async def test_a_body_leaves_behind_its_head() -> None:
    async with Bench(others=2) as bench:
        bench.link.ask(Asker(bench.link), b"PUT", b"PUT /")
        bench.engine.counters.in_flight = 1
        bench.link.write(b"body")
        await asyncio.sleep(0)

        assert bench.asked == [b"PUT /", b"body"]


async def test_what_came_before_the_request_left_is_not_its_answer() -> None:
    async with Bench(others=2) as bench:
        asker = Asker(bench.link)
        bench.link.ask(asker, b"GET", b"GET /")
        bench.link.data_received(ANSWER)
        await asyncio.sleep(0)

        assert asker.heard == ["lost"]
        assert wire_of(bench.link).aborted
        assert bench.asked == []


async def test_what_comes_after_it_is() -> None:
    async with Bench(others=2) as bench:
        asker = Asker(bench.link)
        for _ in range(2):
            bench.link.ask(asker, b"GET", b"GET /")
            await asyncio.sleep(0)
            bench.link.data_received(ANSWER)

        assert asker.heard == [b"{}", b"{}"]
        assert not wire_of(bench.link).aborted
        assert len(bench.asked) == 2


@pytest.mark.parametrize(
    ("rest", "left", "again"), [(WHOLE, False, True), (WHOLE, True, False), (STREAMED, False, False)]
)
async def test_a_post_whose_kept_connection_closes_before_it_left_goes_on_a_new_one(
    rest: bytes, left: bool, again: bool
) -> None:
    """Not if it has left, since the upstream may have had it; nor if its body is not kept."""
    async with Bench() as bench:
        bench.client.data_received(POST + rest)
        if left:
            await asyncio.sleep(0)
        bench.link.connection_lost(None)
        bench.engine.outbox.flush()

        assert bench.connecting == again
        assert [b" 502 " in answer for answer in bench.answered if answer != b"the end"] == [True] * (
            not again
        )


@pytest.mark.parametrize("left", [False, True])
async def test_a_body_that_comes_while_its_request_goes_on_a_new_connection_comes_whole(left: bool) -> None:
    async with Bench() as bench:
        bench.client.data_received((POST.replace(b"POST", b"PUT") if left else POST) + CHUNKED)
        if left:
            await asyncio.sleep(0)
        bench.link.connection_lost(None)
        bench.client.data_received(b"3\r\nabc\r\n")
        wire = bench.connected()
        bench.client.data_received(b"3\r\ndef\r\n0\r\n\r\n")
        await asyncio.sleep(0)

        assert b"".join(wire.written).endswith(b"\r\n\r\n3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n")


async def test_the_end_of_a_body_leaves_though_its_answer_came_early() -> None:
    """Else the next request on the kept connection would be taken for it."""
    async with Bench() as bench:
        bench.client.data_received(POST + CHUNKED + b"3\r\nabc\r\n")
        await asyncio.sleep(0)
        bench.client.data_received(b"3\r\ndef\r\n0\r\n\r\n")
        bench.link.data_received(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
        await asyncio.sleep(0)
        bench.client.data_received(b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n")
        await asyncio.sleep(0)
        sent = b"".join(bench.asked)

        assert sent.index(b"abc\r\n3\r\ndef\r\n0\r\n\r\nGET /next") > 0
        assert not bench.connecting
