"""Connections to upstreams: when a request leaves, and whose answer it is that comes."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from focushub_core.balancer import Pool
from focushub_core.errors import NotFound
from focushub_core.proxy.engine import Engine, Route
from focushub_core.proxy.engine.client import ClientConnection
from focushub_core.proxy.engine.links import Link, Links
from focushub_core.proxy.engine.outbox import Outbox
from focushub_core.proxy.http1 import Names, ResponseHead
from focushub_core.telemetry.counters import RequestCounters

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


class Wire:
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.aborted = False

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def write_eof(self) -> None:
        self.written.append(b"the end")

    def abort(self) -> None:
        self.aborted = True

    def is_closing(self) -> bool:
        return self.aborted

    def get_extra_info(self, name: str) -> tuple[str, int]:
        return "127.0.0.1", 1


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


class Turn:
    """Connections to one upstream, in a process that has so many requests."""

    def __init__(self, in_flight: int) -> None:
        counters, loop = RequestCounters(), asyncio.get_running_loop()
        counters.in_flight = in_flight
        self.links = Links(loop, Names(), 60.0, Outbox(loop, counters))
        self._upstream = Pool.of("any", ["http://127.0.0.1:1"]).upstreams[0]

    def connect(self) -> tuple[Link, Wire]:
        """A connection."""
        link, wire = Link(self.links, self._upstream), Wire()
        link.connection_made(wire)  # type: ignore[arg-type]
        return link, wire


async def test_requests_leave_together_but_for_those_that_were_given_up() -> None:
    turn = Turn(in_flight=3)
    made = [turn.connect() for _ in range(3)]
    for number, (link, wire) in enumerate(made):
        link.ask(Asker(link), b"GET", b"GET /%d" % number)
        assert wire.written == []
    made[1][0].leave(clean=False)
    await asyncio.sleep(0)

    assert [wire.written for _, wire in made] == [[b"GET /0"], [], [b"GET /2"]]


async def test_the_only_request_leaves_at_once() -> None:
    link, wire = Turn(in_flight=1).connect()
    link.ask(Asker(link), b"GET", b"GET /")

    assert wire.written == [b"GET /"]


async def test_a_body_leaves_behind_its_head() -> None:
    turn = Turn(in_flight=2)
    link, wire = turn.connect()
    link.ask(Asker(link), b"PUT", b"PUT /")
    turn.links.outbox._counters.in_flight = 1
    link.write(b"body")
    await asyncio.sleep(0)

    assert wire.written == [b"PUT /", b"body"]


async def test_what_came_before_the_request_left_is_not_its_answer() -> None:
    link, wire = Turn(in_flight=2).connect()
    asker = Asker(link)
    link.ask(asker, b"GET", b"GET /")
    link.data_received(ANSWER)
    await asyncio.sleep(0)

    assert asker.heard == ["lost"]
    assert wire.aborted
    assert wire.written == []


async def test_what_comes_after_it_is() -> None:
    link, wire = Turn(in_flight=2).connect()
    asker = Asker(link)
    for _ in range(2):
        link.ask(asker, b"GET", b"GET /")
        await asyncio.sleep(0)
        link.data_received(ANSWER)

    assert asker.heard == [b"{}", b"{}"]
    assert not wire.aborted
    assert len(wire.written) == 2


WHOLE = b"Content-Length: 2\r\n\r\n{}"
STREAMED = b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n"


@pytest.mark.parametrize(
    ("rest", "left", "again"), [(WHOLE, False, True), (WHOLE, True, False), (STREAMED, False, False)]
)
async def test_a_post_whose_kept_connection_closes_before_it_left_goes_on_a_new_one(
    rest: bytes, left: bool, again: bool
) -> None:
    """Not if it has left, since the upstream may have had it; nor if its body is not kept."""
    pool = Pool.of("any", ["http://127.0.0.1:1"])
    engine = Engine("p", lambda head, side: Route("/", pool))
    await engine.start()
    engine.counters.in_flight = 1  # another one
    connected: list[object] = []
    engine.connect = lambda upstream, exchange: connected.append(exchange)  # type: ignore[method-assign]
    link, client = Link(engine.links, pool.upstreams[0]), ClientConnection(engine)
    for connection in (link, client):
        connection.connection_made(Wire())  # type: ignore[arg-type]
    engine.links.keep(link, engine.clock())
    client.data_received(b"POST / HTTP/1.1\r\nHost: a\r\n" + rest)
    if left:
        await asyncio.sleep(0)
    link.connection_lost(None)
    engine.outbox.flush()
    answered: list[bytes] = client.transport.written  # type: ignore[attr-defined]
    client.connection_lost(None)
    await engine.stop(0)

    assert bool(connected) is again
    assert [b" 502 " in answer for answer in answered if answer != b"the end"] == [True] * (not again)


async def test_a_client_gets_its_answer_before_the_end_of_its_connection() -> None:
    engine = Engine("p", lambda head, side: Route("/", refusal=NotFound()))
    await engine.start()
    engine.counters.in_flight = 1  # another one
    client, wire = ClientConnection(engine), Wire()
    client.connection_made(wire)  # type: ignore[arg-type]
    client.data_received(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert wire.written == []
    client.data_received(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    client.connection_lost(None)
    await engine.stop(0)

    assert [text[:12] for text in wire.written] == [b"HTTP/1.1 404", b"HTTP/1.1 404", b"the end"]
