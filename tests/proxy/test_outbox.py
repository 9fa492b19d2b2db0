"""What is written in one turn of the loop leaves at its end: in order, all of it, bounded, and with back pressure."""

from __future__ import annotations

import asyncio

import pytest

from focushub_core.errors import NotFound
from focushub_core.proxy.engine import Answer, Asked, Route
from focushub_core.proxy.engine.outbox import MOST
from tests.proxy.wires import Bench, wire_of

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
GET_LAST = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


def nowhere(*_: object) -> Route:
    return Route("/", refusal=NotFound())


async def test_a_client_gets_its_answers_before_the_end_of_its_connection() -> None:
    async with Bench(nowhere) as bench:
        bench.client.data_received(GET)
        assert bench.answered == []
        bench.client.data_received(GET_LAST)

        assert [text[:12] for text in bench.answered] == [b"HTTP/1.1 404", b"HTTP/1.1 404", b"the end"]


async def test_a_client_that_is_gone_with_its_last_word_gets_what_was_answered_before() -> None:
    async def never(_: Asked) -> Answer:
        await asyncio.Event().wait()
        raise AssertionError

    routes = iter([nowhere(), Route("/", handler=never)])
    async with Bench(lambda *_: next(routes)) as bench:
        bench.engine.answers_half_closed = False
        bench.client.data_received(GET + GET)
        assert not bench.client.eof_received()

        assert [text[:12] for text in bench.answered] == [b"HTTP/1.1 404"]


async def test_who_pipelines_and_takes_nothing_is_answered_no_more() -> None:
    async with Bench(nowhere) as bench:
        wire_of(bench.client).room = 1000
        bench.client.data_received(GET * 9000)
        await asyncio.sleep(0)

        assert sum(map(len, bench.answered)) < 2 * MOST
        assert not wire_of(bench.client).reads


async def test_an_answer_waits_for_a_client_that_became_full_before_there_was_a_connection_for_it() -> None:
    async with Bench() as bench:
        wire_of(bench.client).room = 1000
        bench.client.data_received(GET + GET)
        bench.engine.outbox.flush()
        large = b"HTTP/1.1 200 OK\r\nContent-Length: 9000\r\nConnection: close\r\n\r\n" + b"x" * 9000
        bench.link.data_received(large)
        assert bench.connecting
        bench.engine.outbox.flush()
        assert bench.client.full

        assert not bench.connected().reads


async def test_who_is_handed_a_connection_that_is_full_hears_of_it() -> None:
    class Elsewhere(asyncio.Protocol):
        heard: list[str] = []

        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.heard.append("made")

        def pause_writing(self) -> None:
            self.heard.append("full")

        def data_received(self, data: bytes) -> None:
            self.heard.append("data")

    routes = iter([nowhere(), Route("/", elsewhere=Elsewhere)])
    async with Bench(lambda *_: next(routes)) as bench:
        wire_of(bench.client).room = 1
        bench.client.data_received(GET + GET)

        assert Elsewhere.heard == ["made", "full", "data"]


async def test_one_that_fails_keeps_nothing_from_the_others() -> None:
    class Failing:
        def send(self, data: bytes) -> None:
            raise RuntimeError("it is closed")

    async with Bench(others=2) as bench:
        bench.engine.outbox.write(Failing(), b"1")
        bench.client.write(b"2")
        bench.client.write(b"3")
        with pytest.raises(RuntimeError, match="closed"):
            bench.engine.outbox.flush()
        bench.client.write(b"4")
        await asyncio.sleep(0)

        assert bench.answered == [b"2", b"3", b"4"]
